"""What entries of bundles are called."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib

import pytest

from jobs.submitting.packed import PackedLimits, read_packed

NAME = "東京/一.jpg"


def names_in(data: bytes) -> list[str]:
    limits = PackedLimits(entries=10, entry_bytes=1000)
    return [entry.path for entry in read_packed(io.BytesIO(data), name="x", limits=limits, pass_over=print)]


def zip_with(raw: bytes, extra: bytes = b"") -> bytes:
    """One stored entry whose name is these bytes, without the flag for UTF-8."""
    data = b"x"
    crc = zlib.crc32(data)
    local = (
        struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0x21, crc, 1, 1, len(raw), len(extra)) + raw + extra + data
    )
    head = struct.pack(
        "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 0, 0, 0x21, crc, 1, 1, len(raw), len(extra), 0, 0, 0, 0, 0
    )
    directory = head + raw + extra
    return local + directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(local), 0)


def unicode_path(raw: bytes, name: str, *, version: int = 1) -> bytes:
    field = bytes([version]) + struct.pack("<I", zlib.crc32(raw)) + name.encode()
    return struct.pack("<HH", 0x7075, len(field)) + field


def test_the_unicode_path_of_a_zip_entry_is_its_name() -> None:
    raw = b"??/?.jpg" + b"\x80"
    other = struct.pack("<HH", 0x5455, 5) + bytes(5)
    assert names_in(zip_with(raw, other + unicode_path(raw, NAME))) == [NAME]


@pytest.mark.parametrize(
    "extra",
    [unicode_path(b"another name", NAME), unicode_path(b"Z\x81rich.jpg", NAME, version=2), b"\x75\x70\xff"],
)
def test_a_unicode_path_that_does_not_belong_to_the_name_is_not_believed(extra: bytes) -> None:
    assert names_in(zip_with(b"Z\x81rich.jpg", extra)) == ["Zürich.jpg"]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        (NAME, "cp932"),
        ("カメラ_01.jpg", "cp932"),
        (NAME, "utf-8"),
        ("Ocaña_é.jpg", "utf-8"),
        ("Ocaña_é.jpg", "cp437"),
        ("Köln/für Öl.jpg", "cp437"),
        ("Ñandú äöü.jpg", "cp437"),
    ],
)
def test_a_name_without_any_hint_is_read_as_what_it_looks_like(name: str, encoding: str) -> None:
    assert names_in(zip_with(name.encode(encoding))) == [name]


def test_names_that_say_that_they_are_utf_8_are_just_that() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(NAME, b"x")
    assert names_in(buffer.getvalue()) == [NAME]


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_names_in_a_tar_are_read_as_what_they_look_like(encoding: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT, encoding=encoding) as archive:
        entry = tarfile.TarInfo(NAME)
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    assert names_in(buffer.getvalue()) == [NAME]
