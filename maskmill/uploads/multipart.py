"""A multipart/form-data body that is read from disk while it is sent: one open file at a time, nothing held."""

from __future__ import annotations

import mimetypes
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from maskmill.errors import InvalidInput
from maskmill.inputs import plain

PIECE = 256 * 1024
OnSent = Callable[[int, int], None]  # bytes sent so far, bytes in all


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of the form field `field`, sent under `name`. size: in bytes, when it was looked at."""

    field: str
    path: Path
    size: int
    name: str

    @staticmethod
    def of(field: str, path: Path, name: str | None = None) -> FilePart:
        """name: None for the file's own. Raises InvalidInput when there is no such readable file."""
        try:
            return FilePart(field, path, path.stat().st_size, plain(path.name) if name is None else name)
        except OSError as error:
            leads = f" (it is a link to {path.readlink()})" if path.is_symlink() else ""
            raise InvalidInput(f"{path}: {error.strerror or error}{leads}") from error

    def require_whole(self, left: int, *, is_longer: bool) -> None:
        """left: bytes that did not come. Raises InvalidInput where the file is not as long as when it was looked at:
        what was sent of it is no picture that there ever was."""
        if left or is_longer:
            raise InvalidInput(f"{self.path} became {'shorter' if left else 'longer'} while it was sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartBody:
    """Iterating it anew sends it anew, byte for byte: a request can be repeated. Its length is known beforehand."""

    fields: Sequence[tuple[str, str]]
    files: Sequence[FilePart]
    boundary: str = field(default_factory=lambda: uuid.uuid4().hex)
    on_sent: OnSent | None = None

    @property
    def media_type(self) -> str:
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        fields = sum(len(self._field(name, value)) for name, value in self.fields)
        files = sum(len(self._head(part)) + part.size + 2 for part in self.files)
        return fields + files + len(self._end())

    def __iter__(self) -> Iterator[bytes]:
        total = self.length
        sent = 0
        for piece in self._pieces():
            yield piece
            sent += len(piece)
            if self.on_sent is not None:
                self.on_sent(sent, total)

    def _pieces(self) -> Iterator[bytes]:
        for name, value in self.fields:
            yield self._field(name, value)
        for part in self.files:
            yield from self._file(part)
        yield self._end()

    def _file(self, part: FilePart) -> Iterator[bytes]:
        left = part.size
        prefix = self._head(part)
        try:
            with part.path.open("rb") as handle:
                while piece := handle.read(min(PIECE, left)):
                    yield prefix + piece
                    prefix = b""
                    left -= len(piece)
                is_longer = bool(handle.read(1))
        except OSError as error:
            raise InvalidInput(f"{part.path}: {error.strerror or error}") from error
        part.require_whole(left, is_longer=is_longer)
        yield prefix + b"\r\n"

    def _field(self, name: str, value: str) -> bytes:
        head = f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        return head.encode() + value.encode() + b"\r\n"

    def _head(self, part: FilePart) -> bytes:
        media_type = mimetypes.guess_type(part.path.name)[0] or "application/octet-stream"
        return (
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="{part.field}"; {_file_name(part.name)}\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        ).encode()

    def _end(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()


def _file_name(name: str) -> str:
    """As browsers do, what could end the value is percent-encoded (WHATWG HTML, multipart/form-data encoding); where
    that could be misread, the name follows in a form that cannot (RFC 8187)."""
    plain = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    exact = plain == name and "%" not in name and "=?" not in name
    return f'filename="{plain}"' if exact else f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
