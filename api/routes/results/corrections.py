"""Corrections of a job's images: label PNGs come in, all versions are kept, the newest is the image's ground truth."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Annotated, BinaryIO, cast

from fastapi import Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access import READ, SUBMIT
from api.answers.openapi import binary, problems
from api.answers.ranges import Representation, checked, serve
from api.bodies.body_pipe import read_in_thread
from api.dependencies import ImageIndex, JobId, ServicesDep, UseCasesDep
from api.known_query import KNOWN_QUERY, one_of
from api.router import Router
from api.routes.images import content_disposition
from api.schemas.corrections import (
    CorrectedView,
    CorrectionPage,
    CorrectionVersions,
    TakenView,
    corrected_view,
    correction_view,
    taken_view,
)
from jobs.corrections.correction import MEDIA_TYPE
from jobs.errors import (
    ArchiveUnreadable,
    ArtifactNotFound,
    CorrectionNotFound,
    ImageNotFinished,
    ImageNotFound,
    InvalidOptions,
    JobNotFound,
    MaskUnknownIds,
    TooManyBytes,
    TooManyImages,
    UnsupportedMedia,
)
from jobs.exports.importing import FORMS
from jobs.reporting.names import safe_stem
from segmentation.errors import MaskMismatch, UnreadableExport, UnreadableImage

router = Router(prefix="/jobs/{job_id}", tags=["corrections"])

LARGEST = 2**31 - 1


@router.put(
    "/images/{index}/correction",
    dependencies=[SUBMIT, KNOWN_QUERY],
    response_model=CorrectedView,
    responses=problems(
        *(JobNotFound, ImageNotFound, ArtifactNotFound, 408, ImageNotFinished, TooManyBytes, UnsupportedMedia),
        *(MaskMismatch, MaskUnknownIds, UnreadableImage, 422),
    ),
    openapi_extra={"requestBody": {"required": True, "content": binary(MEDIA_TYPE)}},
)
async def put_correction(
    request: Request, job_id: JobId, index: ImageIndex, services: ServicesDep, use_cases: UseCasesDep
) -> Response:
    """A PNG of class ids of the job's label space, as large as the picture; the prediction is scored against it.

    The same bytes again are the same version.
    """
    rules = services.upload_rules.at_most(services.settings.max_image_bytes)
    data = await read_in_thread(request, b"".join, rules)
    corrected = await run_in_threadpool(use_cases.correcting.put, job_id, index, data)
    return Response(corrected_view(corrected).model_dump_json(), media_type="application/json")


@router.head("/images/{index}/correction", include_in_schema=False, dependencies=[READ])
@router.get(
    "/images/{index}/correction",
    dependencies=[READ, KNOWN_QUERY],
    response_class=Response,
    responses={
        200: {"content": binary(MEDIA_TYPE), "description": "the PNG, as it was sent"},
        206: {"content": binary(MEDIA_TYPE), "description": "a part of it"},
        304: {"description": "not changed"},
        **problems(JobNotFound, ImageNotFound, CorrectionNotFound, 416, 422),
    },
)
def get_correction(
    request: Request,
    job_id: JobId,
    index: ImageIndex,
    services: ServicesDep,
    use_cases: UseCasesDep,
    version: Annotated[int | None, Query(ge=1, le=LARGEST, description="the newest by default")] = None,
) -> Response:
    """What somebody drew for this image."""
    found = use_cases.correcting.version(job_id, index, version)
    file, objects = found.file, services.adapters.objects

    def read(start: int, end: int) -> Iterator[bytes]:
        pieces = objects.stream(file.key, start=start, length=end - start)
        return checked(request, pieces, file, image=index, artifact="correction", key=file.key)

    body = Representation(length=file.size, etag=file.sha256[:32], media_type=MEDIA_TYPE, read=read)
    stem = safe_stem(use_cases.reading.image(job_id, index).name) or "image"
    headers = {
        "Content-Disposition": content_disposition("inline", f"{stem}_correction.png"),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
    }
    return serve(request, body, headers)


@router.get(
    "/images/{index}/corrections",
    dependencies=[READ, KNOWN_QUERY],
    responses=problems(JobNotFound, ImageNotFound, 422),
)
def list_versions(job_id: JobId, index: ImageIndex, use_cases: UseCasesDep) -> CorrectionVersions:
    """All versions of one image's correction, the newest first."""
    found = use_cases.correcting.versions(job_id, index)
    return CorrectionVersions(items=[correction_view(each) for each in found])


@router.post(
    "/corrections",
    dependencies=[SUBMIT, KNOWN_QUERY],
    response_model=TakenView,
    responses=problems(
        *(ArchiveUnreadable, JobNotFound, ArtifactNotFound, 408, TooManyBytes, TooManyImages),
        *(InvalidOptions, MaskMismatch, MaskUnknownIds, UnreadableExport),
    ),
    openapi_extra={"requestBody": {"required": True, "content": binary("application/zip")}},
)
async def take_corrections(
    request: Request,
    job_id: JobId,
    services: ServicesDep,
    use_cases: UseCasesDep,
    form: Annotated[
        str | None,
        Query(alias="format", json_schema_extra={"enum": list(FORMS)}, description="by default by what is in it"),
        one_of(FORMS),
    ] = None,
) -> Response:
    """A ZIP file of masks, or of what an annotation tool exported: a new version for each image that is not as it was.

    Nothing is kept when a mask in it cannot be one.
    """
    with tempfile.TemporaryFile(dir=services.spool) as spooled:
        await read_in_thread(request, partial(_spool, spooled), services.upload_rules)
        taken = await run_in_threadpool(use_cases.importing.take, job_id, cast(BinaryIO, spooled), form)
    return Response(taken_view(taken).model_dump_json(), media_type="application/json")


def _spool(spooled: IO[bytes], pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        spooled.write(piece)


@router.get("/corrections", dependencies=[READ, KNOWN_QUERY], responses=problems(JobNotFound, 422))
def list_corrections(
    job_id: JobId,
    use_cases: UseCasesDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int, Query(ge=-1, le=LARGEST, description="`next_cursor` of the page before")] = -1,
) -> CorrectionPage:
    """The newest correction of each image that has one, in input order."""
    found = use_cases.correcting.newest(job_id, after=cursor, limit=limit + 1)
    page = found[:limit]
    return CorrectionPage(
        items=[correction_view(each) for each in page],
        next_cursor=page[-1].index if len(found) > limit else None,
    )
