"""Uploads straight to the store: announcing files, and, where the store takes none itself, receiving them.

What is large, or goes to a directory, comes here in as many requests as it takes. Shape of the protocol: that of Google
Cloud Storage's resumable uploads (`Content-Range`, 308 with `Range`).
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from api.access import OPEN, READ, SUBMIT
from api.answers.openapi import binary, body, problems
from api.bodies.body_pipe import read_in_thread
from api.bodies.upload_content import Portion, check_headers, portion_of
from api.dependencies import CallerDep, ServicesDep, UseCasesDep
from api.router import Router
from api.schemas.uploads import UploadProgress, UploadRequest, UploadTicket, UploadTickets, UploadView
from api.services import Services
from jobs.errors import UploadConflict, UploadNotFound
from jobs.uploads.announcing import announced
from jobs.uploads.piece_reader import PieceReader
from jobs.uploads.upload import UPLOAD_ID, Upload, UploadState
from jobs.uploads.uploading import Ticket

router = Router(prefix="/uploads", tags=["uploads"])

REQUEST_BYTES = 8 * 2**20

UploadId = Annotated[str, Path(description="as `POST /uploads` gave it", examples=["upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY"])]


@router.post(
    "",
    dependencies=[SUBMIT],
    status_code=201,
    response_model=UploadTickets,
    responses=problems(400, 408, 413, 422),
    openapi_extra=body(json=UploadRequest),
)
async def begin_uploads(request: Request, services: ServicesDep, use_cases: UseCasesDep) -> Response:
    """Announce files; each gets an address that takes its bytes. Then name them as inputs of `POST /jobs`."""
    rules = services.upload_rules.at_most(REQUEST_BYTES)
    text = await read_in_thread(request, b"".join, rules)
    try:
        wanted = UploadRequest.model_validate_json(text)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from error
    files = [announced(each.name, each.size, each.content_type) for each in wanted.files]
    tickets = await run_in_threadpool(use_cases.uploading.begin, files)
    answer = UploadTickets(uploads=[_ticket_view(request, each) for each in tickets])
    return Response(answer.model_dump_json(), 201, media_type="application/json")


@router.get(
    "/{upload_id}",
    dependencies=[READ],
    response_model=UploadView,
    response_model_exclude_none=True,
    responses=problems(UploadNotFound),
)
def get_upload(request: Request, upload_id: UploadId, use_cases: UseCasesDep, caller: CallerDep) -> UploadView:
    """How far an upload is, and, for keys of scope `submit`, a fresh address for what is missing: whoever has it may
    send, with any key or none."""
    ticket = use_cases.uploading.look(_checked(upload_id))
    upload = ticket.upload
    is_told = ticket.state is UploadState.OPEN and caller.may("submit")
    sent = _ticket_view(request, ticket) if is_told else None
    return UploadView(
        upload=upload.id,
        name=upload.name,
        size=upload.size,
        content_type=upload.media_type,
        state=ticket.state,
        received=ticket.received,
        method=None if sent is None else sent.method,
        url=None if sent is None else sent.url,
        headers=None if sent is None else sent.headers,
        expires_at=upload.expires_at,
    )


@router.put(
    "/{upload_id}/content",
    dependencies=[OPEN],
    response_model=UploadProgress,
    response_description="all of it has arrived",
    responses={
        308: {
            "model": UploadProgress,
            "description": "bytes are missing; they go on behind those that `Range` names (without it, at the first)",
            "headers": {"Range": {"schema": {"type": "string"}, "description": "`bytes=0-99`: what has arrived"}},
        },
        **problems(400, UploadNotFound, 408, UploadConflict, 413, 422),
    },
    openapi_extra={"requestBody": {"required": True, "content": binary("image/*", "application/*")}},
)
async def put_upload_content(
    request: Request,
    upload_id: UploadId,
    services: ServicesDep,
    expires: Annotated[int, Query(ge=0, le=2**53)],
    signature: Annotated[str, Query(min_length=64, max_length=64)],
    content_range: Annotated[str | None, Header(max_length=100)] = None,
) -> Response:
    """The bytes of an upload, at the address that it was given: whole, or from where they broke off.

    `Content-Range: bytes 100-199/200` sends the rest, `bytes */200` with no body asks what has arrived. Without
    it the file comes whole and begins anew.
    """
    receiving = services.receiving
    upload = await run_in_threadpool(receiving.find, _checked(upload_id), expires=expires, signature=signature)
    portion = portion_of(upload, content_range)
    if portion.asks:
        return _progress(upload, await run_in_threadpool(receiving.received, upload))
    headers = request.headers
    check_headers(upload, portion, headers.get("content-type"), headers.get("content-length"))
    return _progress(upload, await _receive(request, services, upload, portion))


async def _receive(request: Request, services: Services, upload: Upload, portion: Portion) -> int:
    return await read_in_thread(
        request,
        lambda pieces: services.receiving.receive(upload, PieceReader(pieces), offset=portion.first),
        services.upload_rules.at_most(portion.length),
    )


def _progress(upload: Upload, received: int) -> Response:
    done = received == upload.size
    state = UploadState.STORED if done else UploadState.OPEN
    view = UploadProgress(upload=upload.id, state=state, received=received)
    headers = {"Range": f"bytes=0-{received - 1}"} if received and not done else {}
    return JSONResponse(view.model_dump(), 200 if done else 308, headers=headers)


def _ticket_view(request: Request, ticket: Ticket) -> UploadTicket:
    upload = ticket.upload
    assert upload.expires_at is not None  # nobody uses it yet
    if ticket.direct is not None:
        # Every client sets the length itself; browsers forbid to.
        headers = {name: value for name, value in ticket.direct.headers.items() if name != "Content-Length"}
        url = ticket.direct.url
    else:
        expires = int(upload.expires_at.timestamp())
        query = urlencode({"expires": expires, "signature": upload.signature(expires)})
        url = f"{str(request.base_url).rstrip('/')}/uploads/{upload.id}/content?{query}"
        headers = {"Content-Type": upload.media_type}
    return UploadTicket(upload=upload.id, method="PUT", url=url, headers=headers, expires_at=upload.expires_at)


def _checked(upload_id: str) -> str:
    """What cannot be an id never reaches the database."""
    if UPLOAD_ID.fullmatch(upload_id) is None:
        raise UploadNotFound("there is no such upload")
    return upload_id
