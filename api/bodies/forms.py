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

from api.bodies.part_headers import file_name, parse_disposition, text_of
from api.errors import BadRequest
from jobs.errors import FieldFault, InvalidOptions, TooManyBytes
from jobs.submitting.reading import HEAD_BYTES

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

TEXT_BYTES = 256 * 1024  # of all text fields together, names included
LISTS = frozenset({"artifacts"})  # fields that may come several times, as curl and browsers send lists


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """field: the form field's name; name: what the client calls the file. sha256 is empty unless it was asked for."""

    field: str
    name: str
    media_type: str | None
    sha256: str = ""


TakeFile = Callable[[FilePart, BinaryIO], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRules:
    """spool: where files lie until they are taken; those of up to `held_bytes` stay in memory.
    digests: also compute each file's SHA-256.

    last_wins: a text field that comes again replaces what it said before, where else it would be an error.
    part_limit: the most bytes that a file may have, by what the part says of it and by its first HEAD_BYTES.
    """

    boundary: bytes
    spool: Path
    held_bytes: int
    part_limit: Callable[[FilePart, bytes], int]
    digests: bool = False
    last_wins: bool = False


def boundary_of(content_type: str) -> bytes:
    """Raises BadRequest when a multipart content type has none, or one that is too long."""
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise BadRequest("the Content-Type has no usable boundary")
    return boundary


def read_form(pieces: Iterable[bytes], rules: FormRules, *, take: TakeFile) -> dict[str, str]:
    """The text fields by name. `take` is called with each file as soon as it is complete; its file is gone afterwards.

    Raises BadRequest for a malformed or truncated body, InvalidOptions for a text field that comes twice, TooManyBytes
    for a file or text fields beyond their limit, and whatever `take` raises.
    """
    reader = _FormReader(rules, take)
    parser = MultipartParser(rules.boundary, reader.callbacks(), max_header_count=16, max_header_size=8192)
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

    def __init__(self, rules: FormRules, take: TakeFile) -> None:
        self.fields: dict[str, str] = {}
        self.complete = False
        self._rules, self._take = rules, take
        self._limit: int | None = None  # of the open file; None: its first bytes are not all there yet
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
        kind, parameters = parse_disposition(self._headers.get("content-disposition", b""))
        if kind != "form-data" or "name" not in parameters:
            raise BadRequest("a part has no Content-Disposition: form-data with a name")
        media_type, _ = parse_options_header(self._headers.get("content-type"))
        name = file_name(parameters)
        self._part = FilePart(
            field=text_of(parameters["name"]),
            name="" if name is None else _visible(name),
            media_type=media_type.decode("latin-1") or None,
        )
        if name is not None:
            self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed at the part's end
                self._rules.held_bytes, dir=str(self._rules.spool)
            )
            self._digest = hashlib.sha256()
            self._limit = None

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._count_text(end - start)
            self._text += data[start:end]
            return
        piece = memoryview(data)[start:end]
        self._file.write(piece)
        self._check_size(self._file)
        if self._rules.digests:
            self._digest.update(piece)

    def _check_size(self, file: IO[bytes]) -> None:
        size = file.tell()
        if self._limit is None and size >= HEAD_BYTES:
            file.seek(0)
            self._limit = self._rules.part_limit(self._part, file.read(HEAD_BYTES))
            file.seek(size)
        if self._limit is not None and size > self._limit:
            raise TooManyBytes(f"{self._part.name!r} is larger than the {self._limit} bytes that it may have")

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
        value = text_of(bytes(self._text))
        if name not in self.fields or self._rules.last_wins:
            self.fields[name] = value
        elif name in LISTS:
            self.fields[name] += f",{value}"
        else:
            raise InvalidOptions([FieldFault(name, "is given twice")])

    def _end_file(self, file: IO[bytes]) -> None:
        if self._part.name or file.tell():  # a browser sends an empty part for an empty file field
            part = self._part
            if self._rules.digests:
                part = FilePart(
                    field=part.field, name=part.name, media_type=part.media_type, sha256=self._digest.hexdigest()
                )
            file.seek(0)
            self._take(part, cast(BinaryIO, file))
        self.close()

    def _finish(self) -> None:
        self.complete = True


def _visible(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable() or letter.isspace()).strip()
