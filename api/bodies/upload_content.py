"""The bytes of an upload as they come over HTTP: whole, or the rest of what broke off (`Content-Range`, 308)."""

from __future__ import annotations

import re
from typing import NamedTuple

from api.errors import BadRequest
from jobs.errors import FieldFault, InvalidOptions
from jobs.uploads.upload import Upload

_RANGE = re.compile(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19})")


class Portion(NamedTuple):
    """Bytes from `first` on, `length` of them. asks: none come; the client wants to know how many are there."""

    first: int
    length: int
    asks: bool = False


def portion_of(upload: Upload, content_range: str | None) -> Portion:
    """What a request brings of an upload. Raises BadRequest, InvalidOptions."""
    if content_range is None:
        return Portion(0, upload.size)
    found = _RANGE.fullmatch(content_range.strip())
    if found is None:
        raise BadRequest("Content-Range must look like `bytes 100-199/200`, or `bytes */200` to ask what has arrived")
    if int(found[3]) != upload.size:
        raise InvalidOptions([FieldFault("Content-Range", f"the file was announced with {upload.size} bytes")])
    if found[1] is None:
        return Portion(0, 0, asks=True)
    first, last = int(found[1]), int(found[2])
    if not first <= last < upload.size:
        raise BadRequest("Content-Range must name bytes of the file, the first one first")
    return Portion(first, last - first + 1)


def check_headers(upload: Upload, portion: Portion, content_type: str | None, content_length: str | None) -> None:
    """Size and type are part of what the address was signed for. Raises InvalidOptions."""
    given = (content_type or "").partition(";")[0].strip().lower()
    if given != upload.media_type:
        raise InvalidOptions([FieldFault("Content-Type", f"must be {upload.media_type}, as announced, got {given!r}")])
    if content_length is not None and content_length != str(portion.length):
        said = f"must be {portion.length}, as announced, got {content_length[:20]}"
        raise InvalidOptions([FieldFault("Content-Length", said)])
