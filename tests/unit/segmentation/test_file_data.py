"""Large files lie on disk, and are read there as if they were bytes."""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segmentation.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from segmentation.picture_files import pictures
from segmentation.picture_files.file_data import FileBytes, FileData, collected, in_memory, opened, sha256_of
from segmentation.picture_files.picture_headers import count_scans, survey_png
from segmentation.picture_files.picture_rows import open_rows
from segmentation.picture_files.pictures import decode_mask, probe, read_picture

RANDOM = np.random.default_rng(5)
RGB = RANDOM.integers(0, 256, (40, 30, 3), np.uint8)
TEXT = bytes(range(256)) * 20


def on_disk(data: bytes, folder: Path | None = None) -> FileBytes:
    found = collected([data[:7], data[7:]], folder, held=3)
    assert isinstance(found, FileBytes)
    return found


def saved(form: str, pixels: np.ndarray = RGB, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def test_what_is_small_is_bytes_and_what_is_large_a_file(tmp_path: Path):
    assert collected([], None) == b""
    assert collected([b"one"], None) == b"one"
    assert collected([b"one", b"two"], None, held=6) == b"onetwo"
    large = on_disk(TEXT, tmp_path)
    assert (len(large), large[:], large[5:9], large[-3:], large[9:5]) == (len(TEXT), TEXT, TEXT[5:9], TEXT[-3:], b"")
    assert (in_memory(large), in_memory(TEXT), in_memory(None)) == (0, len(TEXT), 0)
    assert sha256_of(large) == sha256_of(TEXT)


def test_a_large_file_has_no_name_that_a_kill_could_leave_behind(tmp_path: Path):
    large = on_disk(TEXT, tmp_path)
    assert list(tmp_path.iterdir()) == []
    descriptor = large.fileno()
    del large
    gc.collect()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)


def test_nothing_is_left_of_a_file_that_is_not_all_there(tmp_path: Path):
    def broken() -> Iterator[bytes]:
        yield TEXT
        raise ConnectionError

    with pytest.raises(ConnectionError):
        collected(broken(), tmp_path, held=3)
    assert list(tmp_path.iterdir()) == []


def test_it_is_a_file_to_those_who_want_one():
    with opened(on_disk(TEXT)) as file, opened(TEXT) as same:
        for each in (file, same):
            assert each.read(3) == TEXT[:3]
            assert each.seek(-2, os.SEEK_END) == len(TEXT) - 2
            assert each.read() == TEXT[-2:]
            assert each.seek(4) == each.tell() == 4
            assert each.seek(2, os.SEEK_CUR) == 6
        assert os.fstat(file.fileno()).st_size == len(TEXT)


PICTURES = {
    "png": saved("PNG"),
    "tiff": saved("TIFF"),
    "packed tiff": saved("TIFF", compression="tiff_adobe_deflate"),
    "jpeg": saved("JPEG"),
    "progressive": saved("JPEG", progressive=True),
    "webp": saved("WEBP", lossless=True),
    "bmp": saved("BMP"),
    "deep": saved("PNG", RANDOM.integers(0, 4096, (40, 30), np.uint16)),
}


@pytest.mark.parametrize("data", PICTURES.values(), ids=PICTURES)
def test_a_picture_on_disk_is_the_picture_in_memory(data: bytes):
    large = on_disk(data)
    assert probe(large) == probe(data)
    here, there = (read_picture(each, max_pixels=10**6) for each in (data, large))
    assert here.notices == there.notices
    np.testing.assert_array_equal(here.pixels, there.pixels)


@pytest.mark.parametrize("name", ["png", "tiff", "packed tiff", "jpeg"])
def test_its_rows_are_read_from_the_disk(name: str):
    data = PICTURES[name]
    here, there = (open_rows(each, bit_depth=None) for each in (data, on_disk(data)))
    np.testing.assert_array_equal(here.read(40), there.read(40))


def test_a_mask_on_disk_keeps_its_ids():
    ids = RANDOM.integers(0, 4, (9, 8), np.uint8)
    for data in (saved("PNG", ids), saved("PNG", ids, bits=2)):
        np.testing.assert_array_equal(decode_mask(on_disk(data), max_pixels=100), decode_mask(data, max_pixels=100))


def test_scans_are_counted_across_the_pieces_that_are_looked_at(monkeypatch):
    data = PICTURES["progressive"]
    for window in (2, 3, 64, 2**20):
        monkeypatch.setattr("segmentation.picture_files.picture_headers._WINDOW", window)
        assert count_scans(on_disk(data)) == count_scans(data) > 5
    assert count_scans(on_disk(data[:-2])) == count_scans(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_one_that_ends_too_early_is_damaged_or_says_so(form: str):
    cut = saved(form)[:-300]
    with pytest.raises(UnreadableImage):
        read_picture(on_disk(cut), max_pixels=10**6)
    assert [each.code for each in read_picture(on_disk(saved("PNG")[:-12]), max_pixels=10**6).notices] == [
        "truncated_tail"
    ]


@pytest.mark.parametrize("cut", [PICTURES["jpeg"][:-300], PICTURES["progressive"][:-300]])
def test_a_jpeg_that_lacks_pixels_before_its_end_mark_is_damaged(cut: bytes):
    with pytest.raises(UnreadableImage, match="the JPEG is damaged"):
        read_picture(on_disk(cut + b"\xff\xd9"), max_pixels=10**6)


def test_a_text_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr("segmentation.picture_files.picture_headers._ALL_TEXT_BYTES", 1000)
    info = PngInfo()
    info.add_text("long", "x" * 5000)
    large = on_disk(saved("PNG", pnginfo=info))
    assert survey_png(large).data is large


def test_a_kind_whose_reader_holds_all_of_the_file_has_a_limit(monkeypatch):
    monkeypatch.setattr(pictures, "HELD_WHOLE", 100)
    data: FileData
    for data in (PICTURES["webp"], on_disk(PICTURES["webp"])):
        with pytest.raises(ImageTooLarge, match="would have to be held"):
            read_picture(data, max_pixels=10**6)
    assert read_picture(on_disk(PICTURES["png"]), max_pixels=10**6).pixels.shape == (40, 30, 3)


def test_a_film_in_place_of_a_picture_is_told_how_it_is_sent():
    with pytest.raises(UnsupportedImage, match="sent as a file, an upload or in an archive"):
        probe(b"\x00\x00\x00\x18ftypmp42" + bytes(64))
