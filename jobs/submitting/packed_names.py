"""What the entry of a bundle is called. ZIP and TAR keep bytes; which letters they are is told in three ways or none.

Sources: PKWARE APPNOTE 6.3.10, 4.4.4 (bit 11: UTF-8) and 4.6.9 (field 0x7075: the name in UTF-8, beside its CRC-32).
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator

_UTF8_FLAG = 0x0800
_UNICODE_PATH = 0x7075
_JAPANESE = re.compile(r"[\u3005-\u3007\u3041-\u30ff\u4e00-\u9fff]{2}")
_NEITHER = re.compile(r"[^\x20-\x7e\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")


def zip_name(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _UTF8_FLAG or entry.orig_filename.isascii():
        return entry.orig_filename.partition("\0")[0]
    raw = entry.orig_filename.encode("cp437")  # as the standard library read it
    return _unicode_path(entry.extra, raw) or _decoded(raw)


def tar_name(name: str) -> str:
    """name: as the standard library reads it, bytes that are no UTF-8 as halves of surrogate pairs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return _decoded(name.encode("utf-8", "surrogateescape"))
    return name


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """None where the field is not there, or was left behind by a program that renamed the entry."""
    for kind, field in extra_fields(extra):
        if kind == _UNICODE_PATH and field[:1] == b"\x01" and field[1:5] == struct.pack("<I", zlib.crc32(raw)):
            return field[5:].decode("utf-8", "replace")
    return None


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each that stands beside an entry's name. Raises BadZipFile for one that is cut off."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        at += 4 + size
        if at > len(extra):
            raise zipfile.BadZipFile("a field beside a name is cut off")
        yield kind, extra[at - size : at]


def _decoded(raw: bytes) -> str:
    """UTF-8 where it is that; Japanese where it reads as that; else the code page that ZIP began with."""
    for encoding in ("utf-8", "cp932"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or (_JAPANESE.search(text) and not _NEITHER.search(text)):
            return text
    return raw.decode("cp437")
