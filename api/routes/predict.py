"""One picture, at once: through the same queue as everything else, at interactive priority."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse

from api.access import SUBMIT
from api.answers.accept import preferred
from api.answers.openapi import binary, body, problems
from api.answers.ranges import in_threads
from api.bodies.picture_form import FILE, receive_picture_form
from api.bodies.submissions import PictureField, options_in
from api.dependencies import ServicesDep, UseCasesDep
from api.errors import NotAcceptable, PredictionFailed
from api.known_query import KNOWN_QUERY
from api.live.preferences import Preference, PreferHeader, parse_preference
from api.live.waiting import wait_for_find
from api.router import Router
from api.routes.compat import comparison
from api.routes.jobs import REFUSED, IdempotencyKey, answer_submission
from api.schemas.job import ImageView, JobView, image_view
from api.schemas.requests import PredictForm
from api.services import Services
from jobs.errors import JobNotFound, ModelFailed, OutOfMemory, Transient
from jobs.job import Artifact, ImageStatus, Job, JobImage, Priority
from jobs.options import JobOptions
from jobs.ports import ObjectStore
from jobs.reporting.read import Reading
from segmentation.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from segmentation.media_types import accepted_as

router = Router(tags=["predict"])

_UNPREDICTED = (UnreadableImage, UnsupportedImage, ImageTooLarge, ModelFailed, OutOfMemory, 502, 504)
JSON = "application/json"
_HELD_BYTES = 4 * 2**20  # sent at once; more goes in pieces


@router.post(
    "/predict",
    dependencies=[SUBMIT, KNOWN_QUERY],
    response_model=ImageView,
    responses={
        200: {
            "content": binary(*accepted_as()),
            "description": "the artifact that `Accept` names, or metrics and links",
        },
        202: {"model": JobView, "description": "still running when the wait was over"},
        **problems(*REFUSED, JobNotFound, 406, *_UNPREDICTED),
    },
    openapi_extra=body(multipart=PredictForm),
)
async def predict(
    request: Request,
    services: ServicesDep,
    use_cases: UseCasesDep,
    prefer: PreferHeader,
    accept: Annotated[str | None, Header(max_length=1000, include_in_schema=False)] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """`image/png` → the mask, `image/jpeg` → the overlay, `application/geo+json` → the polygons, `application/json` →
    metrics and links."""
    media_type = choose(accept)
    preference = parse_preference(prefer, limit_s=services.settings.wait_limit_s)
    fields = {FILE: PictureField(lambda values: _for(media_type, options_in(values)))}
    if request.app.state.is_compatible:
        fields[comparison.IMAGE] = comparison.field(services)
    field, job = await receive_picture_form(
        request, services, use_cases.submitting, fields, idempotency_key=idempotency_key
    )
    if field != FILE:
        return await comparison.answer(request, services, use_cases, job)
    return await _answer(request, services, use_cases.reading, job, preference, media_type)


async def _answer(
    request: Request, services: Services, reading: Reading, job: Job, preference: Preference, media_type: str
) -> Response:
    wait_s = services.settings.predict_wait_s if preference.wait_s is None else preference.wait_s
    if preference.respond_async and not job.is_finished:
        return await _accepted(request, services, reading, job, preference)
    find = partial(_result, services.adapters.objects, reading, job.id, media_type)
    found = await wait_for_find(request, services, job, find=find, wait_s=wait_s)
    return await _accepted(request, services, reading, job, preference) if found is None else found


async def _accepted(
    request: Request, services: Services, reading: Reading, job: Job, preference: Preference
) -> Response:
    job = await run_in_threadpool(_latest, reading, job)
    answer = await answer_submission(
        request, services, reading, job, Preference(respond_async=preference.respond_async)
    )
    answer.headers["X-Job-Id"] = job.id
    return answer


def _latest(reading: Reading, job: Job) -> Job:
    """As it was when nobody can tell how it is now: a job that was taken is never answered with an error."""
    try:
        return reading.job(job.id)
    except Transient:
        return job


def _result(objects: ObjectStore, reading: Reading, job_id: str, media_type: str) -> Response | None:
    """None while the image has not ended."""
    image = reading.image(job_id, 0)
    if image.finished_at is None:
        return None
    headers = {"X-Job-Id": job_id, "Location": f"/jobs/{job_id}", "X-Content-Type-Options": "nosniff"}
    if image.status is ImageStatus.FAILED and image.failure is not None:
        raise PredictionFailed(image.failure, job_id=job_id)
    if media_type == JSON or image.status is not ImageStatus.SUCCEEDED:
        view = image_view(image, has_input=True, models=reading.models_of(job_id, [image]))
        return JSONResponse(view.model_dump(mode="json"), headers=headers)
    artifact = _asked(image, media_type)
    if artifact.size <= _HELD_BYTES:
        return Response(objects.get(artifact.key), headers=headers, media_type=artifact.media_type)
    headers["Content-Length"] = str(artifact.size)
    pieces = in_threads(objects.stream(artifact.key), None, job_id=job_id)
    return StreamingResponse(pieces, headers=headers, media_type=artifact.media_type)


def _asked(image: JobImage, media_type: str) -> Artifact:
    """An idempotency key leads to the job of its first request, which may have wanted something else. Raises
    NotAcceptable."""
    name = accepted_as()[media_type]
    for each in image.results[0].artifacts:
        if (each.name, each.media_type) == (name, media_type):
            return each
    raise NotAcceptable(f"the first request with this Idempotency-Key did not ask for {media_type}; take another key")


def choose(accept: str | None) -> str:
    """The media type to answer with. Raises NotAcceptable when the client wants none of those we have."""
    offers = (JSON, *accepted_as())
    found = preferred(accept, offers)
    if found is None:
        raise NotAcceptable(f"a prediction can be had as {', '.join(offers)}")
    return found


def _for(media_type: str, options: JobOptions) -> JobOptions:
    """Options that make sure of the artifact which will be the answer."""
    wanted = accepted_as().get(media_type)
    artifacts = options.artifacts if wanted in (None, *options.artifacts) else (*options.artifacts, str(wanted))
    overlay = replace(options.overlay, format="jpeg") if wanted == "overlay" else options.overlay
    return replace(options, artifacts=artifacts, overlay=overlay, priority=Priority.INTERACTIVE.value)
