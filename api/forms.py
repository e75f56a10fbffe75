"""Reading `multipart/form-data` as it comes: text fields are kept, each file is spooled to disk and handed on.

Starlette's form parser keeps files under 1 MB in memory and refuses the 1,001st part; this one holds one piece of the
body at a time. Source: RFC 7578.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.errors import BadRequest
from jobs.errors import FieldFault, InvalidOptions, TooManyBytes

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

TEXT_BYTES = 256 * 1024  # of all text fields together, names included


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """field: the form field's name; name: what the client calls the file. sha256 is empty unless it was asked for."""

    field: str
    name: str
    media_type: str | None
    sha256: str = ""


TakeFile = Callable[[FilePart, BinaryIO], None]


def boundary_of(content_type: str) -> bytes:
    """Raises BadRequest when a multipart content type has none, or one that is too long."""
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise BadRequest("the Content-Type has no usable boundary")
    return boundary


def read_form(
    pieces: Iterable[bytes], *, boundary: bytes, spool: Path, take: TakeFile, digests: bool = False
) -> dict[str, str]:
    """The text fields by name. `take` is called with each file as soon as it is complete; its file is gone afterwards.

    digests: also compute each file's SHA-256. Raises BadRequest for a malformed or truncated body, InvalidOptions for
    a text field that comes twice, TooManyBytes for text fields beyond reason, and whatever `take` raises.
    """
    reader = _FormReader(spool=spool, take=take, digests=digests)
    parser = MultipartParser(boundary, reader.callbacks(), max_header_count=16, max_header_size=8192)
    try:
        for piece in pieces:
            parser.write(piece)
    except FormParserError as error:
        raise BadRequest(f"the body is not well-formed multipart/form-data: {error}") from error
    finally:
        reader.close()
    if not reader.complete:
        raise BadRequest("the multipart body ends before its last boundary")
    return reader.fields


class _FormReader:
    """What the parser calls. At most one file is open, and only the text fields are held."""

    def __init__(self, *, spool: Path, take: TakeFile, digests: bool) -> None:
        self.fields: dict[str, str] = {}
        self.complete = False
        self._spool, self._take, self._digests = spool, take, digests
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[str, bytes] = {}
        self._part = FilePart(field="", name="", media_type=None)
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._text = bytearray()
        self._text_bytes = 0

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._headers = {}
        self._text = bytearray()

    def _end_header(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open(self) -> None:
        kind, parameters = parse_options_header(self._headers.get("content-disposition"))
        if kind != b"form-data" or b"name" not in parameters:
            raise BadRequest("a part has no Content-Disposition: form-data with a name")
        media_type, _ = parse_options_header(self._headers.get("content-type"))
        self._part = FilePart(
            field=_text(parameters[b"name"]),
            name=_file_name(parameters.get(b"filename", b"")),
            media_type=media_type.decode("latin-1") or None,
        )
        if b"filename" in parameters:
            self._file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115 - closed at the part's end
            self._digest = hashlib.sha256()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._count_text(end - start)
            self._text += data[start:end]
            return
        piece = memoryview(data)[start:end]
        self._file.write(piece)
        if self._digests:
            self._digest.update(piece)

    def _count_text(self, size: int) -> None:
        self._text_bytes += size
        if self._text_bytes > TEXT_BYTES:
            raise TooManyBytes(f"text fields may hold at most {TEXT_BYTES} bytes together")

    def _end(self) -> None:
        if self._file is None:
            self._end_text()
        else:
            self._end_file(self._file)

    def _end_text(self) -> None:
        name = self._part.field
        self._count_text(len(name))  # or a body of nothing but names would be held whole
        if name in self.fields:
            raise InvalidOptions([FieldFault(name, "is given twice")])
        self.fields[name] = _text(bytes(self._text))

    def _end_file(self, file: IO[bytes]) -> None:
        if self._part.name or file.tell():  # a browser sends an empty part for an empty file field
            part = self._part
            if self._digests:
                part = FilePart(
                    field=part.field, name=part.name, media_type=part.media_type, sha256=self._digest.hexdigest()
                )
            file.seek(0)
            self._take(part, cast(BinaryIO, file))
        self.close()

    def _finish(self) -> None:
        self.complete = True


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _file_name(value: bytes) -> str:
    return "".join(letter for letter in _text(value) if letter.isprintable()).strip()
