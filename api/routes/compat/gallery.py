"""A gallery of sample scenes with their ground truth, and predictions laid over pictures, in Cityscapes' categories."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from api.access import READ, SUBMIT
from api.answers.openapi import binary, body, problems
from api.dependencies import ServicesDep, UseCasesDep
from api.errors import BadRequest, UnreadablePicture
from api.router import Router
from api.routes.compat.rendering import as_png
from api.routes.compat.running import (
    image_of,
    known_models,
    options_for,
    receive_json,
    receive_picture,
    served_model,
    submit_sample,
    wait_for_all,
)
from api.services import Services, UseCases
from data.sample_library import LABEL_SPACE, SampleNotFound
from jobs.errors import FieldFault, InvalidOptions, ModelNotFound, NoImages
from jobs.job import Job
from jobs.options import JobOptions, OverlayOptions
from jobs.reporting.read import artifact_of
from segmentation.formats import FORMATS
from segmentation.formats.format import FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.label_spaces.cityscapes_8 import CITYSCAPES_8
from segmentation.picture_files.pictures import decode_mask, decode_picture

router = Router(tags=["old clients"], dependencies=[READ])

PNG = "image/png"
_OVERLAY = OverlayOptions(opacity=0.5, format="png")
_HEADERS = {"X-Content-Type-Options": "nosniff"}
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": binary(PNG), "description": "at the picture's own size"}}

ImageId = Annotated[str, Path(max_length=200, description="one of `GET /list_images/`", examples=["day-avenue-01"])]


class ImageIds(BaseModel):
    ids: list[str] = Field(examples=[["day-avenue-01", "rain-avenue-01"]])


class LegendEntry(BaseModel):
    name: str = Field(examples=["flat"])
    color: tuple[int, int, int] = Field(description="red, green, blue", examples=[[128, 64, 128]])


class Legend(BaseModel):
    legend: list[LegendEntry]


class AvailableModels(BaseModel):
    models: list[str] = Field(examples=[["dilatednet", "mask2former", "street-fast"]])


class GalleryForm(BaseModel):
    """The form of `POST /predict_from_file/`."""

    file: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    model_name: str = Field(examples=["dilatednet"])


class GalleryChoice(BaseModel):
    """The body of `POST /predict_from_id/`."""

    image_id: str = Field(max_length=200, examples=["day-avenue-01"])
    model_name: str = Field(max_length=200, examples=["dilatednet"])


@router.get("/list_images/", responses=problems())
async def list_gallery(services: ServicesDep) -> ImageIds:
    """The ids of all sample scenes."""
    return ImageIds(ids=list(services.adapters.samples.ids()))


@router.get("/list_images/{image_id}", response_class=Response, responses={**_PICTURE, **problems(SampleNotFound, 422)})
def get_gallery_image(image_id: ImageId, services: ServicesDep) -> Response:
    """A sample scene as PNG."""
    data = services.adapters.samples.picture(image_id)
    return _png(as_png(decode_picture(data, max_pixels=services.settings.max_pixels)))


@router.get("/get_mask/{image_id}", response_class=Response, responses={**_PICTURE, **problems(SampleNotFound, 422)})
def get_gallery_mask(image_id: ImageId, services: ServicesDep) -> Response:
    """The ground truth of a sample scene, half and half over its picture."""
    samples, most = services.adapters.samples, services.settings.max_pixels
    picture = decode_picture(samples.picture(image_id), max_pixels=most)
    truth = LabelMap(decode_mask(samples.mask(image_id), max_pixels=most), get_label_space(LABEL_SPACE))
    options = FormatOptions(opacity=_OVERLAY.opacity, overlay_format=_OVERLAY.format)
    return _png(FORMATS["overlay"].encode(truth.remapped(CITYSCAPES_8), picture, options).data)


@router.get("/legend_data/", responses=problems())
async def get_legend() -> Legend:
    """The eight categories with the colours of the overlays, by ascending id."""
    return Legend(legend=[LegendEntry(name=each.name, color=each.colour) for each in CITYSCAPES_8.classes])


@router.get("/available_models/", responses=problems())
def list_available_models(services: ServicesDep) -> AvailableModels:
    """What `model_name` may be: names of before, and those of `GET /models`."""
    return AvailableModels(models=list(known_models(services)))


@router.post(
    "/predict_from_file/",
    dependencies=[SUBMIT],
    response_class=Response,
    responses={**_PICTURE, **problems(BadRequest, NoImages, UnreadablePicture, ModelNotFound, 408, 413, 415, 422, 504)},
    openapi_extra=body(multipart=GalleryForm),
)
async def predict_from_file(request: Request, services: ServicesDep, use_cases: UseCasesDep) -> Response:
    """The prediction, half and half over the picture, within 20 s."""

    def options(fields: dict[str, str]) -> JobOptions:
        if "model_name" not in fields:
            raise InvalidOptions([FieldFault("model_name", "is required")])
        return _options(services, fields["model_name"])

    job = await receive_picture(request, services, use_cases, options)
    return await _answer(request, services, use_cases, job)


@router.post(
    "/predict_from_id/",
    dependencies=[SUBMIT],
    response_class=Response,
    responses={
        **_PICTURE,
        **problems(BadRequest, UnreadablePicture, ModelNotFound, SampleNotFound, 408, 413, 422, 504),
    },
    openapi_extra=body(json=GalleryChoice),
)
async def predict_from_id(request: Request, services: ServicesDep, use_cases: UseCasesDep) -> Response:
    """The same for a sample scene."""
    choice: GalleryChoice = await receive_json(request, services, GalleryChoice)
    job = await run_in_threadpool(_submit_sample, services, use_cases, choice)
    return await _answer(request, services, use_cases, job)


def _submit_sample(services: Services, use_cases: UseCases, choice: GalleryChoice) -> Job:
    options = _options(services, choice.model_name)
    services.adapters.samples.picture(choice.image_id)  # raises SampleNotFound: an id is looked up, never a path
    return submit_sample(use_cases, choice.image_id, options)


def _options(services: Services, model_name: str) -> JobOptions:
    model = served_model(services, model_name)
    return options_for(model, label_space=CITYSCAPES_8.name, artifacts=("overlay",), overlay=_OVERLAY)


async def _answer(request: Request, services: Services, use_cases: UseCases, job: Job) -> Response:
    await wait_for_all(request, services, use_cases, [job])
    return await run_in_threadpool(_overlay, services, use_cases, job)


def _overlay(services: Services, use_cases: UseCases, job: Job) -> Response:
    stored = artifact_of(image_of(use_cases.reading, job), "overlay")
    return _png(services.adapters.objects.get(stored.key), {"X-Job-Id": job.id})


def _png(data: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(data, media_type=PNG, headers={**_HEADERS, **(headers or {})})
