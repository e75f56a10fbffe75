"""What all interfaces of before share: from their names of models to ours, from a picture to its result, in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from api.bodies.body_pipe import read_in_thread
from api.bodies.picture_form import FILE, receive_picture_form
from api.bodies.submissions import OptionsOf, PictureField
from api.errors import BadRequest, PredictionFailed, UnreadablePicture
from api.routes.jobs import wait_for_end
from api.services import Services, UseCases
from jobs.errors import FieldFault, InvalidOptions, ModelNotFound, TimedOut, Transient
from jobs.job import Failure, ImageStatus, Job, JobImage, NewImage, Priority, Source, SourceKind
from jobs.options import JobOptions
from jobs.ports import ObjectStore
from jobs.reporting.read import Reading, artifact_of
from segmentation.errors import UnreadableImage, UnsupportedImage
from segmentation.formats import FORMATS
from segmentation.formats.format import ReadableFormat
from segmentation.label_map import LabelMap
from segmentation.label_spaces import LabelSpaces
from storage.model_reference import canonical

KEPT_S = 3600  # the jobs behind these interfaces: hardly a client asks for them again
JSON_BYTES = 64 * 2**10
_NO_PICTURE = {UnreadableImage.code, UnsupportedImage.code}


def served_model(services: Services, name: str) -> str:
    """A model of the catalogue, or the one that a name of before stands for. Raises ModelNotFound."""
    stands_for = services.settings.compat_models
    for candidate in (name, stands_for.get(name, "")):
        with suppress(ModelNotFound):
            services.adapters.catalog.card(canonical(candidate))
            return canonical(candidate)
    raise ModelNotFound(f"there is no model {name!r}; there are: {', '.join(known_models(services))}")


def known_models(services: Services) -> Sequence[str]:
    """The names of before that stand for a model, then those of the catalogue."""
    names = [card.name for card in services.adapters.catalog.list()]
    old = []
    for name in services.settings.compat_models:
        with suppress(ModelNotFound):
            services.adapters.catalog.card(canonical(services.settings.compat_models[name]))
            old.append(name)
    return list(dict.fromkeys([*old, *names]))


def options_for(model: str, **wanted: Any) -> JobOptions:
    return JobOptions(model=model, priority=Priority.INTERACTIVE.value, expires_in=KEPT_S, **wanted)


async def receive_picture(request: Request, services: Services, use_cases: UseCases, options: OptionsOf) -> Job:
    """The one picture of a form, in `file`. Raises UnreadablePicture, NoImages, and what reading a form raises."""
    fields = {FILE: PictureField(options, UnreadablePicture)}
    # Fields that come again, and those that nobody knows, are taken as those clients are used to.
    _, job = await receive_picture_form(request, services, use_cases.submitting, fields, last_wins=True)
    return job


async def receive_json(request: Request, services: Services, shape: type[BaseModel]) -> Any:
    """A small body, as one of `shape`. Raises BadRequest, InvalidOptions, TooManyBytes."""

    def read(pieces: Iterator[bytes]) -> BaseModel:
        try:
            return shape.model_validate(json.loads(b"".join(pieces)), strict=True)
        except ValidationError as error:
            faults = [FieldFault(".".join(str(part) for part in each["loc"]), each["msg"]) for each in error.errors()]
            raise InvalidOptions(faults) from error
        except (ValueError, RecursionError) as error:
            raise BadRequest("the body is not well-formed JSON") from error

    return await read_in_thread(request, read, services.upload_rules.at_most(JSON_BYTES))


def submit_sample(use_cases: UseCases, sample_id: str, options: JobOptions) -> Job:
    """A sample that there is."""
    with use_cases.submitting.open_draft() as draft:
        draft.add_inputs([NewImage(Source(SourceKind.SAMPLE, sample_id), f"{sample_id}.jpg")])
        return use_cases.submitting.submit(draft, options)


async def wait_for_all(request: Request, services: Services, use_cases: UseCases, jobs: Sequence[Job]) -> None:
    """Until all have ended. Raises PredictionFailed when they have not in time; then they are canceled."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + services.settings.compat_wait_s
    for job in jobs:
        seen = await wait_for_end(request, services, job, max(0.0, deadline - clock()))
        if not seen.job.is_finished:
            await run_in_threadpool(_cancel, use_cases, jobs)
            told = f"the picture took longer than {services.settings.compat_wait_s:g} s"
            raise PredictionFailed(Failure(TimedOut.code, told), job_id=job.id)


def _cancel(use_cases: UseCases, jobs: Sequence[Job]) -> None:
    for job in jobs:
        with suppress(Transient):
            use_cases.changing.cancel(job.id)


def image_of(reading: Reading, job: Job) -> JobImage:
    """The one image of a finished job. Raises UnreadablePicture, PredictionFailed."""
    image = reading.image(job.id, 0)
    if image.status is ImageStatus.SUCCEEDED:
        return image
    failure = image.failure or Failure(TimedOut.code, "the picture was given up before it was done")
    if failure.code in _NO_PICTURE:
        raise UnreadablePicture(failure.message)
    raise PredictionFailed(failure, job_id=job.id)


def label_map_of(objects: ObjectStore, reading: Reading, job: Job) -> LabelMap:
    """What the model said, in the job's label space. Raises what `image_of` raises."""
    mask_format = FORMATS["mask"]
    assert isinstance(mask_format, ReadableFormat)
    data = objects.get(artifact_of(image_of(reading, job), "mask").key)
    return mask_format.decode(data, LabelSpaces(job.spaces.own).get(job.label_space))
