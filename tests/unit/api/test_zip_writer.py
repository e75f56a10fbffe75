"""A ZIP file that is written while its files are made."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

from api.answers.zip_writer import Content, ZipWriter

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_python_reads_what_was_written() -> None:
    long = iter([b"a" * 100_000, b"", b"b"])
    short: list[tuple[str, Content]] = [("short/é.txt", b"stored"), ("empty", b"")]
    files = [*short, ("long.json", long), ("none", iter(()))]
    written = b"".join(ZipWriter(NOON).iterate(files))
    with zipfile.ZipFile(io.BytesIO(written)) as found:
        assert found.testzip() is None
        assert {name: len(found.read(name)) for name in found.namelist()} == {
            "short/é.txt": 6,
            "empty": 0,
            "long.json": 100_001,
            "none": 0,
        }
        assert found.getinfo("long.json").compress_size < 2000
        assert found.getinfo("empty").date_time == (2026, 11, 21, 12, 0, 0)
    assert len(written) < 3000


def test_nothing_is_an_empty_file() -> None:
    assert zipfile.ZipFile(io.BytesIO(b"".join(ZipWriter(NOON).iterate([])))).namelist() == []


def test_memory_stays_flat_over_a_hundred_thousand_files() -> None:
    def files() -> Iterator[tuple[str, bytes]]:
        for number in range(100_000):
            yield f"SegmentationClass/some/folder/picture_{number:06d}.png", b"\x89PNG"

    tracemalloc.start()
    size = sum(map(len, ZipWriter(NOON).iterate(files())))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 20_000_000
    assert most < 8_000_000
