"""Jobs: submit, list, read, wait, cancel, retry, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime, BeforeValidator

from api.access import READ, SUBMIT
from api.answers.openapi import body, problems
from api.answers.ranges import matches
from api.bodies.body_pipe import read_in_thread
from api.bodies.forms import boundary_of
from api.bodies.submissions import JSON_BYTES, FormSubmission, JsonSubmission
from api.dependencies import JOB_ID, JobId, ServicesDep, UseCasesDep, is_job_id
from api.errors import BadRequest
from api.known_query import KNOWN_QUERY, fitting
from api.live.job_watch import Place, Seen
from api.live.preferences import Preference, PreferHeader, parse_preference
from api.live.waiting import wait_for_job
from api.router import Router
from api.schemas.job import JobPage, JobView, job_view
from api.schemas.requests import JobForm, JobRequest
from api.services import Services, UseCases
from jobs.errors import (
    ArchiveUnreadable,
    FieldFault,
    FilmUnreadable,
    FilmUnsupported,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidOptions,
    JobNotFinished,
    JobNotFound,
    JobRunning,
    NoImages,
    NotAllowed,
    TooManyBytes,
    TooManyImages,
    Transient,
    UnsupportedMedia,
)
from jobs.job import Job, JobStatus
from jobs.listing.filters import JobFilter
from jobs.listing.metadata import METADATA_BYTES
from jobs.reporting.read import Reading, progress_without_queue
from storage.model_reference import canonical

router = Router(prefix="/jobs", tags=["jobs"])

_ACCEPTED_HEADERS = {
    "Location": {"description": "the job", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds until asking again makes sense", "schema": {"type": "integer"}},
}
MODEL = r"^(models:/)?[a-z0-9][a-z0-9._-]{0,99}(@[A-Za-z][A-Za-z0-9_-]{0,18}|/[0-9]{1,9})?$"
MODEL_SAID = "`NAME`, `NAME/VERSION` or `NAME@ALIAS`"

REFUSED = (
    *(BadRequest, ArchiveUnreadable, NoImages, 408, IdempotencyInProgress, TooManyBytes, TooManyImages, 415),
    *(InvalidOptions, IdempotencyKeyReused, FilmUnreadable, FilmUnsupported),
)
_ETAG = {"ETag": {"schema": {"type": "string"}}}

_METADATA = "metadata."
MOST_PAIRS = 5
_TIME: dict[str, Any] = {"examples": ["2026-11-30T08:00:00Z"]}


def _no_number(said: object) -> object:
    """Raises ValueError. Pydantic would take a year for seconds since 1970."""
    if isinstance(said, str) and not said[4:].startswith("-"):
        raise ValueError("not a time such as 2026-11-30T08:00:00Z")
    return said


Moment = Annotated[AwareDatetime, BeforeValidator(_no_number)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key with the same request returns the first job for 24 h",
    ),
]


JobCursor = Annotated[
    str | None,
    Query(max_length=200, json_schema_extra={"pattern": JOB_ID}, description="`next_cursor` of the page before"),
]


@router.post(
    "",
    dependencies=[SUBMIT, KNOWN_QUERY],
    status_code=202,
    response_model=JobView,
    response_description="the job was accepted",
    responses={
        200: {"model": JobView, "description": "`Prefer: wait=N`, and the job has ended"},
        202: {"headers": _ACCEPTED_HEADERS},
        **problems(*REFUSED, JobNotFound),
    },
    openapi_extra=body(multipart=JobForm, json=JobRequest),
)
async def submit_job(
    request: Request,
    services: ServicesDep,
    use_cases: UseCasesDep,
    prefer: PreferHeader,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit one image or a batch: `multipart/form-data` with files, or JSON that names inputs to fetch."""
    preference = parse_preference(prefer, limit_s=services.settings.wait_limit_s)
    job = await _receive(request, services, use_cases, idempotency_key)
    return await answer_submission(request, services, use_cases.reading, job, preference)


async def _receive(request: Request, services: Services, use_cases: UseCases, idempotency_key: str | None) -> Job:
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = FormSubmission(
            submitting=use_cases.submitting,
            boundary=boundary_of(content_type),
            spool=services.spool,
            idempotency_key=idempotency_key,
        )
        return await read_in_thread(request, form.jobs_form, services.upload_rules)
    if kind == "application/json":
        rules = services.upload_rules.at_most(JSON_BYTES)
        named = JsonSubmission(
            submitting=use_cases.submitting,
            references=use_cases.references,
            samples=frozenset(services.adapters.samples.ids()),
            idempotency_key=idempotency_key,
        )
        return await read_in_thread(request, named.submit, rules)
    raise UnsupportedMedia("the body must be multipart/form-data or application/json")


async def answer_submission(
    request: Request, services: Services, reading: Reading, job: Job, preference: Preference
) -> Response:
    """202 with the job; 200 when the client wanted to wait for its end and it came in time."""
    headers = {} if preference.applied is None else {"Preference-Applied": preference.applied}
    if preference.wait_s is not None and not preference.respond_async:
        seen = await wait_for_end(request, services, job, preference.wait_s)
    else:
        seen = await run_in_threadpool(_seen, reading, job)
    headers["Location"] = f"/jobs/{job.id}"
    if not seen.job.is_finished or preference.wait_s is None:
        return job_answer(seen, 202, {**headers, "Retry-After": "1"})
    return job_answer(seen, 200, headers)


async def wait_for_end(request: Request, services: Services, job: Job, wait_s: float) -> Seen:
    """As it was when nobody can tell how it is now: a job that was taken is never answered with an error."""
    try:
        place = Place(job.id, job.tenant)
        return await wait_for_job(request, services, place, until=lambda found: found.is_finished, wait_s=wait_s)
    except Transient:
        return Seen(job, progress_without_queue(job))


def _seen(reading: Reading, job: Job) -> Seen:
    """Once a job is read, or was taken, a database that has gone away is no reason not to tell of it."""
    try:
        return Seen(job, reading.progress(job))
    except Transient:
        return Seen(job, progress_without_queue(job))


def job_answer(seen: Seen, status: int, headers: Mapping[str, str]) -> Response:
    return Response(seen.body, status, headers={**headers, "ETag": etag_of(seen.job)}, media_type="application/json")


def etag_of(job: Job) -> str:
    """Weak: estimates in the job's view move without a change of the job."""
    return f'W/"{job.id}-{job.version}"'


async def _where(
    request: Request,
    status: JobStatus | None = None,
    model: Annotated[
        str | None,
        Query(json_schema_extra={"pattern": MODEL}, description=f"{MODEL_SAID}: one of the job's"),
        fitting(MODEL, MODEL_SAID),
    ] = None,
    created_after: Annotated[Moment | None, Query(description="then or later", **_TIME)] = None,
    created_before: Annotated[Moment | None, Query(description="earlier than then", **_TIME)] = None,
    _metadata: Annotated[
        str | None,
        Query(
            alias=f"{_METADATA}KEY",
            description="jobs whose `metadata` has this value under KEY, which stands for any name; up to "
            f"{MOST_PAIRS} of them, all of which have to fit",
            examples=["7"],
        ),
    ] = None,
) -> JobFilter:
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name.startswith(_METADATA)]
    if len(pairs) > MOST_PAIRS:
        raise InvalidOptions([FieldFault("metadata", f"at most {MOST_PAIRS} values can be asked for at once")])
    if any(len(name) + len(value) > METADATA_BYTES for name, value in pairs):  # SQLite looks for 50,000 bytes at most
        raise InvalidOptions([FieldFault("metadata", f"no job has a value of more than {METADATA_BYTES} bytes")])
    return JobFilter(
        status=status,
        model=None if model is None else canonical(model),
        created_after=_in_utc("created_after", created_after),
        created_before=_in_utc("created_before", created_before),
        metadata=tuple((name.removeprefix(_METADATA), value) for name, value in pairs),
    )


def _in_utc(name: str, when: datetime | None) -> datetime | None:
    """Raises InvalidOptions for a time that its zone moves out of all calendars."""
    try:
        return None if when is None else when.astimezone(UTC)
    except OverflowError as error:
        raise InvalidOptions([FieldFault(name, "is no time that there is in UTC")]) from error


@router.get("", dependencies=[READ, KNOWN_QUERY], responses=problems(422))
def list_jobs(
    use_cases: UseCasesDep,
    where: Annotated[JobFilter, Depends(_where)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: JobCursor = None,
) -> JobPage:
    """Newest first."""
    if cursor is not None and not is_job_id(cursor):
        raise InvalidOptions([FieldFault("cursor", "is none that this list gave out")])
    found = use_cases.reading.page(where, limit=limit + 1, before=cursor)
    jobs = found[:limit]
    progress = use_cases.reading.progress_of(jobs)
    return JobPage(
        items=[job_view(job, progress[job.id]) for job in jobs],
        next_cursor=jobs[-1].id if len(found) > limit else None,
    )


@router.get(
    "/{job_id}",
    dependencies=[READ, KNOWN_QUERY],
    response_model=JobView,
    responses={200: {"headers": _ETAG}, 304: {"description": "not changed"}, **problems(JobNotFound, 422)},
)
async def get_job(
    request: Request,
    job_id: JobId,
    services: ServicesDep,
    use_cases: UseCasesDep,
    wait: Annotated[int, Query(ge=0, le=60, description="seconds to hold the answer until the job changes")] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The job. With `wait`, as soon as it differs from `If-None-Match`, or from what it was when the call came."""
    reading = use_cases.reading
    if wait:
        place = Place(job_id, reading.caller.tenant)
        wait_s = min(wait, services.settings.wait_limit_s)
        seen = await wait_for_job(request, services, place, until=_Differs(if_none_match), wait_s=wait_s)
    else:
        seen = await run_in_threadpool(lambda: _seen(reading, reading.job(job_id)))
    etag = etag_of(seen.job)
    if matches(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return job_answer(seen, 200, {})


@dataclass
class _Differs:
    """Whether a job is another than the one that the client knows: by its ETag, else by what it is at first."""

    known: str | None

    def __call__(self, job: Job) -> bool:
        self.known = self.known or etag_of(job)
        return not matches(self.known, etag_of(job))


@router.post("/{job_id}/cancel", dependencies=[SUBMIT], status_code=202, responses=problems(JobNotFound))
def cancel_job(job_id: JobId, use_cases: UseCasesDep) -> JobView:
    """Queued images are canceled at once; running ones finish or stop within seconds."""
    return _view(use_cases.reading, use_cases.changing.cancel(job_id))


@router.post(
    "/{job_id}/retry",
    dependencies=[SUBMIT],
    status_code=202,
    responses=problems(JobNotFound, JobNotFinished, NotAllowed, TooManyImages),
)
def retry_job(job_id: JobId, use_cases: UseCasesDep) -> JobView:
    """The failed images of a `partial` or `failed` job go back to the queue."""
    return _view(use_cases.reading, use_cases.changing.retry(job_id))


def _view(reading: Reading, job: Job) -> JobView:
    return job_view(job, _seen(reading, job).progress)


@router.delete("/{job_id}", dependencies=[SUBMIT], status_code=204, responses=problems(JobNotFound, JobRunning))
def delete_job(job_id: JobId, use_cases: UseCasesDep) -> None:
    """The job is gone for good. Rows and objects go with it; those of more than 1,000 images within minutes."""
    use_cases.changing.delete(job_id)
