"""Which films `maskmill film` wrote: a comment in the file says so, and is found without the library that wrote it."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

COMMENT = "Results of a job, written by maskmill film"

_HEAD_BYTES = 64 * 2**10  # MKV has its tags there, and a short MP4 its own
_TAIL_BYTES = 4096  # of the box that describes an MP4, and ends with its tags
_BOXES = 8  # at the top of a file: the description is among the first two, or the last
_LONG = 1  # for a size: it follows behind the name


def is_ours(path: Path) -> bool:
    """False for what cannot be read, too: it is sent, and told then."""
    mark = COMMENT.encode()
    try:
        with path.open("rb") as file:
            return mark in file.read(_HEAD_BYTES) or mark in _end_of_description(file)
    except OSError:
        return False


def _end_of_description(file: BinaryIO) -> bytes:
    """Of the box `moov`; empty where there is none. Source: ISO/IEC 14496-12, section 4.2."""
    at, size = 0, file.seek(0, os.SEEK_END)
    for _ in range(_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 16:
            break
        length, name = struct.unpack(">I4s", head[:8])
        length = int.from_bytes(head[8:], "big") if length == _LONG else length or size - at
        if name == b"moov":
            file.seek(max(at, min(at + length, size) - _TAIL_BYTES))
            return file.read(min(length, _TAIL_BYTES))
        if length < 8:
            break
        at += length
    return b""
