"""The results of a finished job as one ZIP file, made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.access import READ
from api.answers.openapi import binary, problems
from api.answers.ranges import Representation, checked, in_threads, put_together, serve
from api.answers.zip_stream import ZipStream
from api.answers.zip_writer import ZipWriter
from api.dependencies import JobId, ServicesDep, UseCasesDep
from api.edge.places import whose
from api.errors import DownloadsBusy
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.routes.images import content_disposition
from api.services import UseCases
from jobs.errors import FieldFault, InvalidOptions, JobNotFinished, JobNotFound, ModelNotFound
from jobs.exports.choice import ExportChoice, export_fault
from jobs.keys import DISAGREEMENT
from jobs.reporting.archive import COMPARISON, CORRECTED, METRICS, Entry, kind_of
from segmentation.exports import EXPORTS
from segmentation.formats import FORMATS

router = Router(prefix="/jobs/{job_id}/archive", tags=["jobs"], dependencies=[READ])

_KIND = "|".join((*FORMATS, METRICS, CORRECTED, DISAGREEMENT, COMPARISON))
_KINDS: dict[str, Any] = {
    "description": "kinds to take, `metrics` and `corrected` (the newest correction of each image), of several "
    "models also `disagreement` and `comparison`; all by default",
    "json_schema_extra": {"pattern": f"^({_KIND})(,({_KIND}))*$"},
    "examples": ["mask,metrics"],
}
_HEADERS = {
    "Content-Length": {"description": "exact", "schema": {"type": "integer"}},
    "Accept-Ranges": {"description": "`bytes`", "schema": {"type": "string"}},
    "ETag": {"description": "for `If-Range`", "schema": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """kinds: None for all."""

    kinds: list[str] | None
    without_lost: bool


async def _wanted(
    artifacts: Annotated[str | None, Query(max_length=200, **_KINDS)] = None,
    without_lost: Annotated[
        bool,
        Query(
            description="leave out what the store has lost, and tell of each file in `files_missing.csv`, of each "
            "image of an export in `pictures_missing.csv`; else the answer breaks off there. The store is asked for "
            "every file first: of a large job that takes a while"
        ),
    ] = False,
) -> Wanted:
    kinds = None if artifacts is None else [name.strip() for name in artifacts.split(",") if name.strip()]
    return Wanted(kinds, without_lost)


ExportName = Annotated[str | None, Query(json_schema_extra={"enum": list(EXPORTS)}, description="for which tool")]


async def _export(
    export: ExportName = None,
    instances: Annotated[bool, Query(description="of an export: regions that hang together are told apart")] = False,
    pictures: Annotated[bool, Query(description="of an export: also the pictures that were sent")] = False,
    corrected: Annotated[bool, Query(description="of an export: corrections, where there are some")] = True,
) -> ExportChoice | None:
    if export is None:
        return None
    fault = export_fault(export)
    if fault is not None:
        raise InvalidOptions([FieldFault("export", fault)])
    return ExportChoice(name=export, instances=instances, pictures=pictures, corrected=corrected)


async def _place(request: Request, services: ServicesDep) -> AsyncIterator[None]:
    """Held until the last byte is sent, or the client is gone: FastAPI leaves dependencies after the answer."""
    if request.method == "HEAD":
        yield
        return
    async with services.downloads.one(whose(request)):
        yield


@router.head("", include_in_schema=False)
@router.get(
    "",
    dependencies=[KNOWN_QUERY, Depends(_place)],
    response_class=Response,
    responses={
        200: {"content": binary("application/zip"), "headers": _HEADERS, "description": "the whole archive"},
        206: {"content": binary("application/zip"), "headers": _HEADERS, "description": "the range that was asked for"},
        304: {"description": "not changed"},
        **problems(JobNotFound, JobNotFinished, ModelNotFound, DownloadsBusy, 416, 422),
    },
)
async def get_archive(
    request: Request,
    job_id: JobId,
    use_cases: UseCasesDep,
    wanted: Annotated[Wanted, Depends(_wanted)],
    export: Annotated[ExportChoice | None, Depends(_export)] = None,
    model: Annotated[
        str | None,
        Query(
            max_length=128,
            description="of an export of a job with several models: whose masks; default: those of all, a folder each",
        ),
    ] = None,
) -> Response:
    """A ZIP file of exact length, resumable. Never held in memory or on disk.

    With `export`, or where the job was submitted with one and no artifacts are named, it is what an annotation tool
    imports; of several models each has a folder, unless one is named. That is made while it is sent: its length is not
    known, and it cannot be resumed.

    In its CSV files a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return has an apostrophe in front,
    so that no spreadsheet takes a file's name for a formula.
    """
    opening = partial(_opened, request, use_cases, job_id, wanted, export, model)
    return await to_thread.run_sync(opening, limiter=use_cases.archive_threads)


def _opened(
    request: Request,
    use_cases: UseCases,
    job_id: str,
    wanted: Wanted,
    export: ExportChoice | None,
    model: str | None,
) -> Response:
    choice = export or (use_cases.reading.job(job_id).options.export if wanted.kinds is None else None)
    if choice is not None:
        return _exported(request, use_cases, job_id, choice, model, without_lost=wanted.without_lost)
    if model is not None:
        raise InvalidOptions([FieldFault("model", "is for an export; an archive has a folder for each model")])
    archive = use_cases.archives.open(job_id, wanted.kinds, without_lost=wanted.without_lost)
    ended = archive.job.finished_at or archive.job.created_at

    def read(entry: Entry, start: int) -> Iterator[bytes]:
        pieces = archive.read(entry, start)
        if entry.key is None:
            return pieces
        return checked(request, pieces, entry, artifact=kind_of(entry.name), file=entry.name, key=entry.key)

    zipped = ZipStream(archive.entries, read, ended, archive.entries.sums)
    body = Representation(
        length=zipped.length,
        etag=archive.fingerprint,
        media_type="application/zip",
        read=zipped.iterate,
        threads=use_cases.archive_threads,
    )
    return serve(request, body, _headers(f"{job_id}.zip"))


def _exported(
    request: Request, use_cases: UseCases, job_id: str, choice: ExportChoice, model: str | None, *, without_lost: bool
) -> Response:
    place = None if model is None else use_cases.reading.place_of(job_id, model)
    found = use_cases.exporting.open(job_id, choice, model=place, without_lost=without_lost)
    headers = {**_headers(f"{job_id}_{choice.name}.zip"), "Accept-Ranges": "none"}
    if request.method == "HEAD":
        return Response(headers=headers, media_type="application/zip")
    zipped = ZipWriter(found.job.finished_at or found.job.created_at).iterate(found.files)
    pieces = in_threads(put_together(zipped), use_cases.archive_threads, job_id=job_id)
    return StreamingResponse(pieces, headers=headers, media_type="application/zip")


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": content_disposition("attachment", name),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
