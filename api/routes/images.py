"""The images of a job: their rows, and the bytes that belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple
from unicodedata import normalize
from urllib.parse import quote

from anyio import to_thread
from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.access import READ
from api.answers.openapi import binary, problems
from api.answers.ranges import Representation, checked, serve
from api.dependencies import ImageIndex, JobId, ServicesDep, UseCasesDep
from api.known_query import KNOWN_QUERY, fitting
from api.router import Router
from api.schemas.choices import SORTS, Sort
from api.schemas.job import ImagePage, ImageView, image_view
from api.services import Services, UseCases
from jobs.comparing.drift import CLASS_DRIFT, usual_shares
from jobs.errors import (
    ArtifactNotFound,
    FieldFault,
    ImageNotFound,
    InputChanged,
    InputNotKept,
    InvalidOptions,
    JobNotFound,
    ModelNotFound,
)
from jobs.inputs.kept import is_kept
from jobs.job import Artifact, ImageStatus, JobImage
from jobs.listing.filters import ImageFilter
from jobs.ports import ObjectStore
from jobs.reporting.names import safe_stem
from jobs.reporting.read import Reading
from segmentation.media_types import is_shown, shown_media_types, suffix_of
from segmentation.picture_files.file_data import FileData, sha256_of
from segmentation.picture_files.picture_kinds import HEAD_BYTES, sniff_media_type

router = Router(prefix="/jobs/{job_id}/images", tags=["images"], dependencies=[READ])

INPUT = "input"
HELD_TO_SEND = 2**20  # bytes of a picture that is read to be sent, in memory; there may be many, and slow clients
_PIECE = 2**18

# What lists are sorted by, where it has another name.
_STORED = {"disagreement": "accord", "entropy": "clarity", "low_confidence": "surety"}
# Are kept, to be sorted by, of the first model alone.
_FIRST_ONES = ("confidence", "entropy", "low_confidence", CLASS_DRIFT, "miou")
_NOT_NUL, _CODED = r"^[^\x00]+$", r"^[a-z][a-z0-9_]{0,63}$"  # NUL is in no database
_TEXT: dict[str, Any] = {"json_schema_extra": {"pattern": _NOT_NUL}, "examples": ["cam_a/"]}
_CODE: dict[str, Any] = {"json_schema_extra": {"pattern": _CODED}, "examples": ["mask_mismatch"]}
_IS_PLAIN = fitting(_NOT_NUL, "one character at least, none of them NUL")
_IS_CODE = fitting(_CODED, "a code, such as mask_mismatch")
AskedModel = Annotated[
    str | None,
    Query(max_length=128, description="of a job with several models: whose results; default: the first one's"),
]
_ARTIFACT, _ARTIFACT_SAID = r"^[a-z0-9_-]{1,64}$", "`input`, or a name of `artifacts`"
ArtifactName = Annotated[
    str,
    Path(json_schema_extra={"pattern": _ARTIFACT}, description=_ARTIFACT_SAID),
    fitting(_ARTIFACT, _ARTIFACT_SAID),
]


class Order(NamedTuple):
    """How a list of images is shown: in which order, and whose results come first."""

    sort: Sort
    model: str | None


async def _order(
    sort: Annotated[
        Sort,
        Query(description="; ".join(f"`{name}`: {first}" for name, first in SORTS.items())),
    ] = "index",
    model: AskedModel = None,
) -> Order:
    return Order(sort, model)


async def _where(
    status: ImageStatus | None = None,
    ref: Annotated[str | None, Query(max_length=1000, description="the caller's own id", **_TEXT), _IS_PLAIN] = None,
    name: Annotated[str | None, Query(max_length=255, description="how it begins", **_TEXT), _IS_PLAIN] = None,
    warning: Annotated[str | None, Query(description="the code of one of its warnings", **_CODE), _IS_CODE] = None,
    error: Annotated[str | None, Query(description="the code of its error", **_CODE), _IS_CODE] = None,
) -> ImageFilter:
    begins = None if name is None else normalize("NFC", name)
    return ImageFilter(status=status, ref=ref, name=begins, warning=warning, error=error)


class AskedArtifact(NamedTuple):
    name: str
    model: str | None
    upright: bool


async def _asked_artifact(
    artifact: ArtifactName,
    model: AskedModel = None,
    upright: Annotated[
        bool,
        Query(description="of the `input`: written anew where EXIF turns it, so that its pixels lie as those of masks"),
    ] = False,
) -> AskedArtifact:
    return AskedArtifact(artifact, model, upright and artifact == INPUT)


OrderDep = Annotated[Order, Depends(_order)]
AskedDep = Annotated[AskedArtifact, Depends(_asked_artifact)]


@router.get("", dependencies=[KNOWN_QUERY], responses=problems(JobNotFound, ModelNotFound, 422))
def list_images(
    job_id: JobId,
    use_cases: UseCasesDep,
    order: OrderDep,
    where: Annotated[ImageFilter, Depends(_where)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
) -> ImagePage:
    """Rows in input order, unless another order is asked for."""
    place = 0 if order.model is None else use_cases.reading.place_of(job_id, order.model)
    if place and order.sort in _FIRST_ONES:
        raise InvalidOptions([FieldFault("sort", "sorts by the results of the first model alone")])
    sort = _STORED.get(order.sort, order.sort)
    try:
        rows, next_cursor = use_cases.reading.images(job_id, where, sort=sort, limit=limit, after=cursor)
    except ValueError as error:
        raise InvalidOptions([FieldFault("cursor", "is none that this list gave out")]) from error
    return ImagePage(items=_views(use_cases.reading, job_id, rows, place), next_cursor=next_cursor)


@router.get(
    "/{index}",
    dependencies=[KNOWN_QUERY],
    responses=problems(JobNotFound, ImageNotFound, ModelNotFound, 422),
)
def get_image(job_id: JobId, index: ImageIndex, use_cases: UseCasesDep, model: AskedModel = None) -> ImageView:
    """One row."""
    image = use_cases.reading.image(job_id, index)
    place = 0 if model is None else use_cases.reading.place_of(job_id, model)
    return _views(use_cases.reading, job_id, [image], place)[0]


@router.head("/{index}/{artifact}", include_in_schema=False)
@router.get(
    "/{index}/{artifact}",
    dependencies=[KNOWN_QUERY],
    response_class=Response,
    responses={
        200: {"content": binary(*shown_media_types()), "description": "the bytes"},
        206: {"content": binary(*shown_media_types()), "description": "a part of them"},
        304: {"description": "not changed"},
        307: {"description": "the store serves it itself, at the address in `Location`"},
        **problems(
            *(JobNotFound, ImageNotFound, ArtifactNotFound, InputNotKept, InputChanged, ModelNotFound),
            *(416, 422),
        ),
    },
)
async def get_artifact(
    request: Request,
    job_id: JobId,
    index: ImageIndex,
    asked: AskedDep,
    services: ServicesDep,
    use_cases: UseCasesDep,
) -> Response:
    """A stored result, or the `input` as it was sent, or as it lies in its bucket or in the sample library, if it is
    still the picture that was segmented. `disagreement`: where several models differ, the lighter the more."""
    image = await to_thread.run_sync(use_cases.reading.image, job_id, index) if asked.name == INPUT else None
    if image is not None and not image.source.is_stored:
        serving = partial(_from_elsewhere, request, services, use_cases, image, asked)
        slow = True  # a bucket keeps a thread waiting: a few do that at once
    else:
        serving = partial(_served, request, services, use_cases, (job_id, index), asked)
        slow = asked.upright
    return await to_thread.run_sync(serving, limiter=use_cases.archive_threads if slow else None)


def _served(
    request: Request, services: Services, use_cases: UseCases, place: tuple[str, int], asked: AskedArtifact
) -> Response:
    """place: the job, and the index of the image in it."""
    upright = use_cases.exporting.upright(*place) if asked.upright else None
    found = use_cases.reading.artifact(*place, asked.name, model=asked.model)
    if upright is None and request.method == "GET":  # a signature is good for one method
        address = services.adapters.objects.presigned_get(found.key, expires_s=services.settings.presigned_s)
        if address is not None:
            return RedirectResponse(address, 307)
    headers = _headers(found.name, found.media_type, use_cases.reading.image(*place).name)
    if upright is not None:
        return Response(upright, headers=headers, media_type=_shown(found.media_type))
    return serve(request, _representation(request, services.adapters.objects, found, place[1]), headers)


def _from_elsewhere(
    request: Request, services: Services, use_cases: UseCases, image: JobImage, asked: AskedArtifact
) -> Response:
    """An input that is not in the store. It is read to its end before anything of it is sent: only then it is known
    to be the one that was segmented, and by its hash whether the client has it already. Who asks for a range will ask
    for more: for them it is kept for a moment."""
    job = use_cases.reading.job(image.job_id)
    read_whole = partial(use_cases.inputs.picture, job, image, held=HELD_TO_SEND)
    if asked.upright:
        data: FileData = use_cases.exporting.upright(image.job_id, image.index) or read_whole()
    elif "range" in request.headers and image.input_sha256 is not None:
        data = services.recent.get((job.id, image.index, image.input_sha256), read_whole)
    else:
        data = read_whole()
    media_type = sniff_media_type(data[:HEAD_BYTES]) or "application/octet-stream"
    headers = _headers(INPUT, media_type, image.name)

    def read(start: int, end: int) -> Iterator[bytes]:
        return (data[at : min(at + _PIECE, end)] for at in range(start, end, _PIECE))

    sha256 = image.input_sha256 if image.input_sha256 is not None and not asked.upright else sha256_of(data)
    told = Representation(length=len(data), etag=sha256[:32], media_type=_shown(media_type), read=read)
    return serve(request, told, headers)


def _views(reading: Reading, job_id: str, images: Sequence[JobImage], place: int) -> list[ImageView]:
    """place: of the model whose results are told first."""
    job = reading.job(job_id)
    models, usual = job.models if len(job.models) > 1 else (), usual_shares(job)
    return [
        image_view(image, has_input=is_kept(image.source), models=models, model=place, usual=usual) for image in images
    ]


def _representation(request: Request, objects: ObjectStore, artifact: Artifact, index: int) -> Representation:
    def read(start: int, end: int) -> Iterator[bytes]:
        pieces = objects.stream(artifact.key, start=start, length=end - start)
        if artifact.name == INPUT:  # of results alone a sum is known
            return pieces
        return checked(request, pieces, artifact, image=index, artifact=artifact.name, key=artifact.key)

    return Representation(
        length=artifact.size,
        etag=f"{artifact.crc32:08x}-{artifact.size:x}",
        media_type=_shown(artifact.media_type),
        read=read,
    )


def _shown(media_type: str) -> str:
    return media_type if is_shown(media_type) else "application/octet-stream"


def _headers(artifact: str, media_type: str, image_name: str) -> dict[str, str]:
    """Nothing that a client uploaded may run in the browser of whoever opens it."""
    stem = safe_stem(image_name) or "image"
    name = (stem if artifact == INPUT else f"{stem}_{artifact}") + suffix_of(media_type)
    disposition = "inline" if is_shown(media_type) else "attachment"
    return {
        "Content-Disposition": content_disposition(disposition, name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
    }


def content_disposition(disposition: str, name: str) -> str:
    """RFC 6266: a plain name for all, the true one for those who read `filename*`."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in name
    )
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
