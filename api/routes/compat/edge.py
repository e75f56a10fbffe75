"""`POST /predict/`: one picture, and its mask as numbers, small enough for a device at the edge."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from api.access import SUBMIT
from api.answers.openapi import body, problems
from api.dependencies import ServicesDep, UseCasesDep
from api.errors import BadRequest, UnreadablePicture
from api.router import Router
from api.routes.compat.rendering import LONG_SIDE, reduced
from api.routes.compat.running import label_map_of, options_for, receive_picture, wait_for_all
from api.services import Services, UseCases
from jobs.errors import FieldFault, InvalidOptions, NoImages
from jobs.job import Job
from jobs.options import JobOptions

router = Router(tags=["old clients"], dependencies=[SUBMIT])

_TRUE, _FALSE = ("true", "True", "1", "on", "yes"), ("false", "False", "0", "off", "no")


class EdgeForm(BaseModel):
    """The form of `POST /predict/`."""

    file: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    visualize: str = Field("false", json_schema_extra={"enum": [*_TRUE, *_FALSE]})


class EdgeMask(BaseModel):
    classes: list[str] = Field(
        description="names of the classes in `mask`, by ascending id", examples=[["sky", "building", "road"]]
    )
    mask: list[list[int]] = Field(
        description=f"class ids in the model's label space, row by row; at most {LONG_SIDE} on the long side",
        examples=[[[0, 0, 1], [0, 1, 1], [3, 3, 3]]],
    )
    message: str | None = Field(None, description="with `visualize`", examples=["the overlay is at image_url"])
    image_url: str | None = Field(
        None,
        description="with `visualize`: the classes' colours laid over the picture; good for an hour",
        examples=["http://localhost:8008/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/0/overlay"],
    )


@router.post(
    "/predict/",
    response_model_exclude_none=True,
    responses=problems(BadRequest, NoImages, UnreadablePicture, 408, 413, 415, 422, 504),
    openapi_extra=body(multipart=EdgeForm),
)
async def predict_at_edge(request: Request, services: ServicesDep, use_cases: UseCasesDep) -> EdgeMask:
    """By the server's default model, within 20 s."""
    shown: list[bool] = []

    def options(fields: dict[str, str]) -> JobOptions:
        shown.append(_is_true(fields.get("visualize", "false")))
        artifacts = ("mask", "overlay") if shown[0] else ("mask",)
        return options_for(services.submit_rules.default_model, artifacts=artifacts)

    job = await receive_picture(request, services, use_cases, options)
    await wait_for_all(request, services, use_cases, [job])
    answer = await run_in_threadpool(_mask, services, use_cases, job)
    if shown[0]:
        answer.image_url = str(request.url_for("get_artifact", job_id=job.id, index=0, artifact="overlay"))
        answer.message = f"the overlay is at {answer.image_url}"
    return answer


def _is_true(text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise InvalidOptions([FieldFault("visualize", f"must be true or false, got {text[:20]!r}")])
    return text in _TRUE


def _mask(services: Services, use_cases: UseCases, job: Job) -> EdgeMask:
    small = reduced(label_map_of(services.adapters.objects, use_cases.reading, job))
    return EdgeMask(classes=list(small.class_fractions()), mask=small.ids.tolist())
