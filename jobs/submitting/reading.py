"""A file that is being received: what it is by its first bytes, never more than allowed, its digest at its end."""

from __future__ import annotations

import hashlib
from posixpath import splitext

from jobs.errors import TooManyBytes
from jobs.ports import Readable
from jobs.submitting.names import base_name
from segmentation.picture_files.picture_kinds import PICTURE_KINDS, foreign_kind, sniff_media_type

HEAD_BYTES = 512  # enough to tell what a file is, a TAR too
_SUFFIXES = frozenset(suffix for kind in PICTURE_KINDS.values() for suffix in kind.suffixes)
_NO_PICTURES = frozenset({None, "PDF", "this kind of video or picture"})


def is_picture(head: bytes) -> bool:
    """By the first bytes; also a picture of a kind that nobody here reads."""
    return sniff_media_type(head) is not None or foreign_kind(head) not in _NO_PICTURES


def is_picture_name(name: str) -> bool:
    return splitext(name.rstrip("/"))[1].lower() in _SUFFIXES


class BoundedReader:
    """Refuses to give more than `limit` bytes. head: first bytes that were read from `handle` already. kind: of what it
    is, for people."""

    def __init__(self, handle: Readable, *, name: str, limit: int, head: bytes = b"", kind: str = "an image") -> None:
        self._handle = handle
        self._name = base_name(name)
        self._left = limit
        self._head = head
        self._kind = kind
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex, of what was read."""
        return self._digest.hexdigest()

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        piece = self._piece(wanted)
        self._left -= len(piece)
        if self._left < 0:
            raise TooManyBytes(f"{self._name!r} is larger than {self._kind} may be")
        self._digest.update(piece)
        return piece

    def _piece(self, size: int) -> bytes:
        piece, self._head = self._head[:size], self._head[size:]
        return piece + self._handle.read(size - len(piece)) if len(piece) < size else piece
