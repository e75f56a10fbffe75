"""Live streams of what happens to jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from api.access import READ
from api.answers.openapi import problems
from api.dependencies import JobId, ServicesDep, UseCasesDep
from api.live.job_watch import Place as Whose
from api.live.streams import HEADERS, MEDIA_TYPE, Listening, ListeningToAll, Missed
from api.router import Router
from jobs.errors import FieldFault, InvalidOptions, JobNotFound
from jobs.reporting.events import Place

router = Router(tags=["events"], dependencies=[READ])

CLOCKS_APART = timedelta(minutes=1)
_EPOCH = datetime.fromtimestamp(0, UTC)

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=100,
        json_schema_extra={"pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$"},
        description="the id of the last event that was received; the stream goes on behind it",
        examples=["12.345"],
    ),
]
_STREAM = {
    MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "description": "one event of the stream; `data` is JSON",
            "properties": {
                "event": {"type": "string", "enum": ["job", "image"]},
                "id": {"type": "string"},
                "data": {"type": "string"},
            },
            "required": ["event", "id", "data"],
        },
        "example": {
            "event": "job",
            "id": "12",
            "data": '{"id": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY", …}',
        },
    }
}


@router.get(
    "/jobs/{job_id}/events",
    response_class=Response,
    responses={
        200: {"content": _STREAM, "description": "`job` events carry a `JobView`, `image` events an `ImageView`"},
        204: {"description": "the job has ended, and the client was told everything"},
        **problems(JobNotFound, 422),
    },
)
async def stream_job(
    request: Request,
    job_id: JobId,
    services: ServicesDep,
    use_cases: UseCasesDep,
    only: Annotated[Literal["job"] | None, Query(description="`job`: no events of images")] = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Server-sent events: an `image` event for each image that ends, and the `job` after each change.

    The id of an event is the version of the job; of an image, the version in which it ended and its index. Without
    `Last-Event-ID` the stream begins with what has happened so far. It ends after the event of the finished job.
    """
    place = _place(last_event_id)
    job = await run_in_threadpool(use_cases.reading.job, job_id)
    if place.version > job.version:
        raise InvalidOptions([FieldFault("Last-Event-ID", f"this job is at {job.version}, got {place}")])
    if job.is_finished and place.has_all_of(job):
        return Response(status_code=204)
    listening = Listening(request, services.watch, services.pages, services.settings.heartbeat_s, place, only == "job")
    told = services.gate.while_good(request, listening.of(Whose(job.id, job.tenant)))
    return StreamingResponse(told, headers=HEADERS, media_type=MEDIA_TYPE)


@router.get(
    "/events",
    response_class=Response,
    responses={200: {"content": _STREAM, "description": "`job` events, each with a `JobView`"}, **problems(422)},
)
async def stream_jobs(
    request: Request, services: ServicesDep, use_cases: UseCasesDep, last_event_id: LastEventId = None
) -> Response:
    """Server-sent events of all jobs of the caller: each that has not ended, and then each again after every change.

    With `Last-Event-ID` those come too that ended or were corrected since about then, and all of them where that is in
    the future; a job may be told again as it was. The stream does not end by itself.
    """
    reading = use_cases.reading
    missed: Missed = {}
    place = 0
    if last_event_id is not None:
        since, place = _time(last_event_id), int(last_event_id)
        if since > datetime.now(UTC):  # of a clock that was set back meanwhile: nobody knows what ended since
            since, place = _EPOCH, 0
        found = await run_in_threadpool(reading.changed_since, since)
        missed = {job_id: 0 if ended is None else int(ended.timestamp() * 1e3) for job_id, ended in found}
    listening = ListeningToAll(request, services.watch, services.settings.heartbeat_s, missed, place)
    told = services.gate.while_good(request, listening.of(reading.caller.tenant))
    return StreamingResponse(told, headers=HEADERS, media_type=MEDIA_TYPE)


def _time(last_event_id: str) -> datetime:
    """Some time before that event: the clocks of two hosts differ."""
    if not last_event_id.isascii() or not last_event_id.isdecimal() or len(last_event_id) > 14:
        raise InvalidOptions([FieldFault("Last-Event-ID", f"{last_event_id!r} is no id of this stream")])
    return datetime.fromtimestamp(int(last_event_id) / 1e3, UTC) - CLOCKS_APART


def _place(last_event_id: str | None) -> Place:
    try:
        return Place() if last_event_id is None else Place.parse(last_event_id)
    except ValueError as error:
        raise InvalidOptions([FieldFault("Last-Event-ID", str(error))]) from error
