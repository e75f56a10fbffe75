"""`POST /predict` with a picture in `image`: two models' masks, side by side, in colours of their own."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.answers.openapi import problems, refer
from api.bodies.submissions import PictureField
from api.errors import UnreadablePicture
from api.routes.compat.rendering import as_data_url
from api.routes.compat.running import label_map_of, options_for, served_model, wait_for_all
from api.services import Services, UseCases
from jobs.errors import ModelNotFound
from jobs.job import Job

IMAGE = "image"
FIRST, SECOND = "deeplab", "mask2former"  # what clients call the two


class TwoMasks(BaseModel):
    """Colour masks at the picture's own size."""

    deeplab_png: str = Field(pattern="^data:image/png;base64,", examples=["data:image/png;base64,iVBORw0KGgo="])
    mask2former_png: str = Field(pattern="^data:image/png;base64,", examples=["data:image/png;base64,iVBORw0KGgo="])


class ComparisonForm(BaseModel):
    """The form of `POST /predict` for two masks."""

    image: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]


def describe(document: dict[str, Any]) -> None:
    """What the main interface's route takes and gives besides."""
    predict = document["paths"]["/predict"]["post"]
    for content, shape in (
        (predict["requestBody"]["content"]["multipart/form-data"], ComparisonForm),
        (predict["responses"]["200"]["content"]["application/json"], TwoMasks),
    ):
        content["schema"] = {"anyOf": [content["schema"], refer(shape)]}
    told = " A picture in `image` gives the masks of two models, for clients that were written for another service."
    predict["description"] += told
    predict["responses"].setdefault("404", problems(ModelNotFound)[404])


def field(services: Services) -> PictureField:
    """What else the form holds means nothing here."""
    return PictureField(
        lambda values: options_for(served_model(services, FIRST), artifacts=("mask",)), UnreadablePicture
    )


async def answer(request: Request, services: Services, use_cases: UseCases, first: Job) -> JSONResponse:
    """first: the job of the first model, as it was submitted."""
    second = await run_in_threadpool(_by_the_other, services, use_cases, first)
    await wait_for_all(request, services, use_cases, [first, second])
    masks = await run_in_threadpool(_masks, services, use_cases, first, second)
    return JSONResponse(masks.model_dump(), headers={"X-Job-Id": first.id})


def _by_the_other(services: Services, use_cases: UseCases, first: Job) -> Job:
    """The same picture through the second model; the first job where both names mean the same."""
    model = served_model(services, SECOND)
    if model in first.models:
        return first
    image = use_cases.reading.image(first.id, 0)
    data = io.BytesIO(services.adapters.objects.get(image.source.location))
    with use_cases.submitting.open_draft() as draft:
        draft.add_file(image.name, data, media_type="image/*")
        return use_cases.submitting.submit(draft, replace(first.options, model=model, label_space=None))


def _masks(services: Services, use_cases: UseCases, first: Job, second: Job) -> TwoMasks:
    found = {
        job.id: as_data_url(label_map_of(services.adapters.objects, use_cases.reading, job)) for job in (first, second)
    }
    return TwoMasks(deeplab_png=found[first.id], mask2former_png=found[second.id])
