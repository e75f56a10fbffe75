"""The directory of a ZIP, read a record at a time: the same entries as `zipfile` finds, in a tenth of the memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from jobs.errors import ArchiveUnreadable, TooManyImages
from jobs.submitting import zip_directory
from jobs.submitting.packed import open_zip
from jobs.submitting.zip_directory import ZipDirectory
from tests.factories import zip_of

FOUR_GIB = 2**32
FILES = {"a.jpg": b"A" * 40, "straße/ü.png": b"B" * 500, "notes.txt": b""}


FIELDS = ("orig_filename", "flag_bits", "compress_type", "CRC", "compress_size", "file_size", "header_offset", "extra")


def told(entries: Iterable[zipfile.ZipInfo]) -> list[list[object]]:
    return [[getattr(each, field) for field in FIELDS] for each in entries]


def commented(comment: bytes) -> bytes:
    buffer = io.BytesIO(zip_of(FILES))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = comment
    return buffer.getvalue()


@cache
def with_long_end() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(zipfile.ZIP_FILECOUNT_LIMIT + 1):
            archive.writestr(f"{number}.jpg", b"")
    return buffer.getvalue()


# Made when they are asked for: every process of the tests collects all of them.
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: zip_of({}),
    "usual": lambda: zip_of(FILES),
    "behind a program": lambda: b"#!/bin/sh\n" + zip_of(FILES),
    "comment": lambda: commented(b"made by hand"),
    "longest comment": lambda: commented(b"x" * 65535),
    "long end": with_long_end,
    "long end behind something": lambda: b"before" + with_long_end(),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_entries_are_those_of_the_standard_library(name: str) -> None:
    data = ARCHIVES[name]()
    directory = ZipDirectory(io.BytesIO(data), entries=100_000)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert told(directory) == told(archive.infolist())
        for entry in list(directory)[-5:]:
            with directory.open(entry) as file:
                assert file.read() == archive.read(entry.orig_filename)


def test_entries_behind_four_gigabytes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate(FOUR_GIB)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.jpg", b"far away")
    with path.open("rb") as file:
        directory = ZipDirectory(file, entries=1)
        (entry,) = directory
        assert entry.header_offset == FOUR_GIB
        assert directory.open(entry).read() == b"far away"


def record_of(data: bytearray, number: int = 0) -> int:
    at = data.index(b"PK\1\2")
    for _ in range(number):
        at = data.index(b"PK\1\2", at + 4)
    return at


def test_an_entry_that_reaches_into_the_next_one_is_refused() -> None:
    data = bytearray(zip_of(FILES))
    at = record_of(data)
    size = int.from_bytes(data[at + 20 : at + 24], "little") + len("a.jpg") + 1
    data[at + 20 : at + 24] = size.to_bytes(4, "little")
    directory = ZipDirectory(io.BytesIO(data), entries=3)
    first, *others = directory
    with pytest.raises(zipfile.BadZipFile, match="overlap"):
        directory.open(first)
    assert [directory.open(each).read() for each in others] == [*FILES.values()][1:]


def test_entries_that_are_all_one_are_refused() -> None:
    data = zip_of({"a.jpg": b"A"})
    end = data.index(b"PK\x05\x06")
    record = data[record_of(bytearray(data)) : end]
    start = end - len(record)
    closing = bytearray(data[end:])
    closing[8:12] = struct.pack("<HH", 3, 3)
    closing[12:16] = struct.pack("<I", 3 * len(record))
    with pytest.raises(zipfile.BadZipFile, match="overlap"):
        ZipDirectory(io.BytesIO(data[:start] + 3 * record + closing), entries=3)


def test_the_last_entry_ends_before_the_directory() -> None:
    data = bytearray(zip_of({"a.jpg": b"A"}))
    data[record_of(data) + 20] += 200
    directory = ZipDirectory(io.BytesIO(data), entries=1)
    with pytest.raises(zipfile.BadZipFile, match="overlap"):
        directory.open(next(iter(directory)))


def broken(change: str) -> bytes:
    data = bytearray(zip_of(FILES))
    first, second, end = record_of(data), record_of(data, 1), data.index(b"PK\5\6")
    if change == "no record":
        data[second] = 0
    elif change == "cut name":
        data[first + 28 : first + 30] = b"\xff\xff"
    elif change == "cut field":
        data[first + 30 : first + 32] = data[first + 28 : first + 30]
        data[first + 28 : first + 30] = b"\0\0"
    elif change == "newer version":
        data[first + 6] = 64
    elif change == "offset":
        data[first + 42 : first + 46] = (len(data)).to_bytes(4, "little")
    elif change == "long number without a field":
        data[first + 24 : first + 28] = b"\xff" * 4
    elif change == "long directory":
        data[end + 12 : end + 16] = (end + 1).to_bytes(4, "little")
    else:
        del data[end:]
    return bytes(data)


@pytest.mark.parametrize(
    "change", ["no record", "cut name", "cut field", "newer version", "offset", "long directory", ""]
)
def test_a_damaged_directory_is_told(change: str) -> None:
    with pytest.raises(ArchiveUnreadable):
        open_zip(io.BytesIO(broken(change)), entries=10)


def test_a_comment_that_is_cut_off_is_passed_over() -> None:
    data = bytearray(zip_of({"a.jpg": b"A"}))
    data[record_of(data) + 32] = 200
    directory = ZipDirectory(io.BytesIO(data), entries=1)
    assert [directory.open(each).read() for each in directory] == [b"A"]


def test_a_long_number_needs_its_field() -> None:
    """Without the field it is a number like any other, as for the standard library."""
    entry = next(iter(ZipDirectory(io.BytesIO(broken("long number without a field")), entries=10)))
    assert entry.file_size == 0xFFFFFFFF
    short = bytearray(with_field(b"\1\0\4\0" + bytes(4)))
    at = record_of(short)
    short[at + 24 : at + 28] = b"\xff" * 4
    with pytest.raises(ArchiveUnreadable):
        open_zip(io.BytesIO(short), entries=10)


def with_field(extra: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("a.jpg")
        entry.extra = extra
        archive.writestr(entry, b"A")
    return buffer.getvalue()


def test_entries_are_counted_before_they_are_read() -> None:
    assert len(list(open_zip(io.BytesIO(zip_of(FILES)), entries=3))) == 3
    with pytest.raises(TooManyImages, match="at most 2 files"):
        open_zip(io.BytesIO(zip_of(FILES)), entries=2)


PEAK = """
import io, tracemalloc, zipfile
from jobs.submitting.zip_directory import ZipDirectory
buffer = io.BytesIO()
with zipfile.ZipFile(buffer, "w") as archive:
    for number in range(20_000):
        archive.writestr(f"camera/{number:06d}.jpg", b"")
tracemalloc.start()
directory = ZipDirectory(buffer, entries=20_000)
assert sum(directory.open(entry).read() == b"" for entry in directory) == 20_000
print(tracemalloc.get_traced_memory()[1])
"""


def test_the_directory_is_not_held() -> None:
    """In a process of its own: other tests leave threads behind whose memory would be counted too."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * 2**20  # it has 1.3 MiB; objects for all records would take 12


@pytest.mark.parametrize("piece", [47, 64, 100, 1000])
def test_records_that_lie_in_two_pieces_are_read(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_directory, "_PIECE_BYTES", piece)
    data = zip_of({f"{'x' * (number % 90)}{number}.jpg": bytes(number) for number in range(60)})
    directory = ZipDirectory(io.BytesIO(data), entries=60)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert told(directory) == told(archive.infolist())
        assert [directory.open(entry).read() for entry in directory] == [bytes(number) for number in range(60)]
    with pytest.raises(TooManyImages):
        ZipDirectory(io.BytesIO(data), entries=59)


def test_a_file_that_becomes_shorter_while_it_is_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_directory, "_PIECE_BYTES", 64)
    data = io.BytesIO(zip_of(FILES))
    directory = ZipDirectory(data, entries=3)
    data.truncate(len(data.getvalue()) - 100)
    with pytest.raises(zipfile.BadZipFile, match="shorter"):
        list(directory)


def test_an_entry_is_called_what_its_name_looks_like() -> None:
    """Here and in a ZIP of corrections, where names are what images are found by."""
    data = zip_of({"wxyz.png": b"A"}).replace(b"wxyz", "東京".encode("cp932"))
    assert [each.filename for each in ZipDirectory(io.BytesIO(data), entries=1)] == ["東京.png"]
