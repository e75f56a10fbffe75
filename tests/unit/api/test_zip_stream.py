"""ZIP files laid out before they are written."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.answers.zip_stream import EntryChanged, ZipStream

NOON = datetime(2026, 3, 4, 12, 30, 42, tzinfo=UTC)


@dataclass(frozen=True)
class Item:
    name: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def crc32(self) -> int:
        return zlib.crc32(self.data)


def read(item: Item, start: int) -> Iterator[bytes]:
    for offset in range(start, item.size, 7):
        yield item.data[offset : offset + 7]


ITEMS = [
    Item("manifest.json", b"{}"),
    Item("mask/zürich_001.png", bytes(range(256)) * 3),
    Item("empty.csv", b""),
    Item("overlay/道路.jpg", b"x" * 1000),
]


def stream(items: list[Item]) -> ZipStream[Item]:
    return ZipStream(items, read, NOON)


def whole(items: list[Item]) -> bytes:
    return b"".join(stream(items).iterate())


def test_the_length_is_known_before_a_byte_is_read() -> None:
    assert stream(ITEMS).length == len(whole(ITEMS))


def test_python_reads_every_entry_back() -> None:
    with zipfile.ZipFile(io.BytesIO(whole(ITEMS))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {item.name: item.data for item in ITEMS}
        assert archive.infolist()[0].date_time == (2026, 3, 4, 12, 30, 42)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="Info-ZIP's unzip is not installed")
def test_info_zip_finds_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(whole(ITEMS))
    done = subprocess.run(["unzip", "-t", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout


def test_an_archive_without_entries_is_readable() -> None:
    with zipfile.ZipFile(io.BytesIO(whole([]))) as archive:
        assert archive.namelist() == []


@pytest.mark.parametrize("step", [1, 13, 512])
def test_ranges_put_together_are_the_whole(step: int) -> None:
    made = stream(ITEMS)
    parts = [b"".join(made.iterate(start, start + step)) for start in range(0, made.length, step)]
    assert b"".join(parts) == whole(ITEMS)
    assert all(len(part) == step for part in parts[:-1])


def test_entries_outside_the_range_are_not_read() -> None:
    seen: list[str] = []

    def noting(item: Item, start: int) -> Iterator[bytes]:
        seen.append(item.name)
        return read(item, start)

    made = ZipStream(ITEMS, noting, NOON)
    first = 30 + len("manifest.json") + 2
    b"".join(made.iterate(first + 100, first + 200))
    assert seen == [ITEMS[1].name]


def test_more_than_65535_entries_need_zip64() -> None:
    items = [Item(f"{index}", b"") for index in range(65_536)]
    data = whole(items)
    assert len(data) == stream(items).length
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == 65_536


@dataclass(frozen=True)
class Huge:
    """Zeros that nobody stores."""

    name: str
    size: int
    crc32: int = 0


class LargeFile(io.RawIOBase):
    """A seekable view of a ZIP stream, so that zipfile reads only what it needs."""

    def __init__(self, made: ZipStream[Huge]) -> None:
        self.made, self.position = made, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, self.made.length)[whence]
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int = -1) -> bytes:
        end = None if size < 0 else self.position + size
        data = b"".join(self.made.iterate(self.position, end))
        self.position += len(data)
        return data


def zeros(item: Huge, start: int) -> Iterator[bytes]:
    left = item.size - start
    while left > 0:
        piece = bytes(min(left, 1 << 16))
        yield piece
        left -= len(piece)


def test_entries_and_offsets_beyond_4_gib_are_laid_out_with_zip64() -> None:
    items = [Huge("a", 5 * 2**30), Huge("b", 10, zlib.crc32(bytes(10))), Huge("c", 2**32 - 1), Huge("d", 3)]
    made = ZipStream(items, zeros, NOON)
    with zipfile.ZipFile(LargeFile(made)) as archive:
        assert [(entry.filename, entry.file_size) for entry in archive.infolist()] == [(i.name, i.size) for i in items]
        assert archive.infolist()[1].header_offset > 5 * 2**30
        with archive.open("b") as entry:
            assert entry.read(4) == bytes(4)


@pytest.mark.parametrize("sizes", [[3, 0, 70_000], [2**31, 2**31 - 200], [2**31, 2**31, 5]])
def test_what_is_known_of_all_entries_saves_a_walk_and_changes_nothing(sizes: list[int]) -> None:
    items = [Huge(f"{place}/é", size) for place, size in enumerate(sizes)]
    sums = sum(len(each.name.encode()) for each in items), sum(sizes)
    summed, walked = ZipStream(items, zeros, NOON, sums), ZipStream(items, zeros, NOON)
    assert summed.length == walked.length
    assert list(summed.iterate(summed.length - 300)) == list(walked.iterate(walked.length - 300))


def test_the_last_bytes_of_a_huge_archive_cost_nothing() -> None:
    made = ZipStream([Huge("a", 2**40)], zeros, NOON)
    assert len(b"".join(made.iterate(made.length - 22))) == 22


@pytest.mark.parametrize("given", [b"too short", b"far too long for what was said"])
def test_an_entry_of_another_size_than_it_said_breaks_the_stream(given: bytes) -> None:
    made = ZipStream([Huge("a", 12)], lambda item, start: iter([given[start:]]), NOON)
    with pytest.raises(EntryChanged) as caught:
        b"".join(made.iterate())
    assert caught.value.code == "content_changed"


def test_a_time_before_1980_becomes_1980() -> None:
    made = ZipStream([Item("a", b"")], read, datetime(1970, 1, 1, tzinfo=UTC))
    with zipfile.ZipFile(io.BytesIO(b"".join(made.iterate()))) as archive:
        assert archive.infolist()[0].date_time[0] == 1980
