"""The results of a finished job as one ZIP file, made while it is sent."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.access import READ
from api.answers.openapi import binary, problems
from api.answers.ranges import Representation, serve
from api.answers.zip_stream import ZipStream
from api.dependencies import JobId, UseCasesDep
from api.routes.images import content_disposition
from jobs.errors import JobNotFinished, JobNotFound
from jobs.keys import DISAGREEMENT
from jobs.reporting.archive import COMPARISON, CORRECTED, METRICS
from segmentation.formats import FORMATS

router = APIRouter(prefix="/jobs/{job_id}/archive", tags=["jobs"], dependencies=[READ])

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


@router.head("", include_in_schema=False)
@router.get(
    "",
    response_class=Response,
    responses={
        200: {"content": binary("application/zip"), "headers": _HEADERS, "description": "the whole archive"},
        206: {"content": binary("application/zip"), "headers": _HEADERS, "description": "the range that was asked for"},
        304: {"description": "not changed"},
        **problems(JobNotFound, JobNotFinished, 416, 422),
    },
)
def get_archive(
    request: Request,
    job_id: JobId,
    use_cases: UseCasesDep,
    artifacts: Annotated[
        str | None,
        Query(max_length=200, **_KINDS),
    ] = None,
) -> Response:
    """A ZIP file of exact length, resumable. Never held in memory or on disk.

    In its CSV files a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return has an apostrophe in front,
    so that no spreadsheet takes a file's name for a formula.
    """
    wanted = None if artifacts is None else [name.strip() for name in artifacts.split(",") if name.strip()]
    archive = use_cases.archives.open(job_id, wanted)
    zipped = ZipStream(archive.entries, archive.read, archive.job.finished_at or archive.job.created_at)
    body = Representation(
        length=zipped.length, etag=archive.fingerprint, media_type="application/zip", read=zipped.iterate
    )
    headers = {
        "Content-Disposition": content_disposition("attachment", f"{job_id}.zip"),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    return serve(request, body, headers)
