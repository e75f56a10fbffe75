"""Single byte ranges and entity tags (RFC 9110, sections 8.8.3, 13 and 14) for answers of known length."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.answers.zip_stream import EntryChanged
from api.errors import RangeNotSatisfiable, families
from api.metrics import ApiMetrics

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*")
_PIECE = 256 * 1024
_BREAKING: tuple[type[Exception], ...] = (*families(), EntryChanged)


class AnswerBrokenOff(Exception):
    """What is being sent cannot be sent to its end: the server cuts the connection. Why, the log has said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """Bytes of known length. read(start, end) gives those from `start` to `end - 1` in pieces; etag without quotes.

    threads: those that may read at once; None: as many as there are for everything.
    """

    length: int
    etag: str
    media_type: str
    read: Callable[[int, int], Iterator[bytes]]
    threads: CapacityLimiter | None = None


class StoredFile(Protocol):
    """As it was when it was stored; size in bytes."""

    @property
    def size(self) -> int: ...
    @property
    def crc32(self) -> int: ...


def serve(request: Request, body: Representation, headers: Mapping[str, str]) -> Response:
    """200, 206, 304, or RangeNotSatisfiable. A range that is no single, well-formed one is passed over, as allowed."""
    tag = f'"{body.etag}"'
    common = {**headers, "ETag": tag, "Accept-Ranges": "bytes"}
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=common)
    part = None
    if request.method == "GET" and request.headers.get("if-range", tag) == tag:
        part = parse_range(request.headers.get("range"), body.length)
    start, end = part or (0, body.length)
    common["Content-Length"] = str(end - start)
    if part is not None:
        common["Content-Range"] = f"bytes {start}-{end - 1}/{body.length}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=common, media_type=body.media_type)
    pieces = put_together(_exactly(end - start, body.read(start, end)))
    content = in_threads(pieces, body.threads, job_id=request.path_params.get("job_id"))
    return StreamingResponse(content, status_code=status, headers=common, media_type=body.media_type)


def parse_range(header: str | None, length: int) -> tuple[int, int] | None:
    """(start, end), end excluded; None when there is no single range in it. Raises RangeNotSatisfiable."""
    found = _RANGE.fullmatch(header or "")
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:  # the last so many bytes
        start, end = max(0, length - int(last)), length
    else:
        start, end = int(first), min(int(last) + 1, length) if last else length
        if last and int(last) < start:
            return None
    if start >= length:
        raise RangeNotSatisfiable(length)
    return start, end


def matches(if_none_match: str | None, tag: str) -> bool:
    """Weak comparison of a list of tags with one."""
    given = [part.strip() for part in (if_none_match or "").split(",")]
    return "*" in given or tag.removeprefix("W/") in [part.removeprefix("W/") for part in given]


def put_together(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces put together: each piece that is sent costs a change of threads."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def checked(request: Request, pieces: Iterator[bytes], stored: StoredFile, **told: object) -> Iterator[bytes]:
    """The same pieces. What comes back from the store whole and with other bytes than it got is sent all the same,
    since most of it may be right, and told; of a part nothing is known. told: of which file, for the log."""
    size = crc32 = 0
    for piece in pieces:
        size, crc32 = size + len(piece), zlib.crc32(piece, crc32)
        yield piece
    if size == stored.size and crc32 != stored.crc32:  # a whole one of another size breaks off
        cast(ApiMetrics, request.app.state.metrics).damaged_files.inc()
        extra = {"action": "stored_file_damaged", "job_id": request.path_params.get("job_id"), **told}
        logger.warning("a file that was sent is damaged in the store: its CRC-32 is another", extra=extra)


async def in_threads(
    pieces: Iterator[bytes], threads: CapacityLimiter | None, *, job_id: str | None
) -> AsyncIterator[bytes]:
    """Each piece is read in one of these; what is being sent holds none. Pieces are never empty.

    job_id: whose they are, for the log. Raises AnswerBrokenOff when the job goes meanwhile, or a part of the service.
    """
    try:
        while piece := await to_thread.run_sync(next, pieces, b"", limiter=threads):
            yield piece
    except _BREAKING as error:
        said = {"action": "answer_broken_off", "job_id": job_id, "reason": getattr(error, "code", "internal_error")}
        logger.warning("an answer breaks off: %s", error, extra=said)
        raise AnswerBrokenOff from error


def _exactly(length: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Raises EntryChanged when there are fewer bytes; no more are ever read."""
    left = length
    for piece in pieces:
        left -= len(piece)
        yield piece
    if left > 0:
        raise EntryChanged(f"there are {left} bytes fewer than the {length} that were announced")
