"""Reading archives without trusting them; matching masks to images."""

import gzip
import io
import random
import subprocess
import sys
import tarfile
import zipfile

import pytest

from jobs.archives import HEADER_BYTES, base_name, is_archive_name, is_image_name, read_archive
from jobs.errors import ArchiveUnreadable, InvalidOptions, JobsError, TooManyBytes
from jobs.matching import match_masks
from tests.factories import tar_of, zip_of

FILES = {
    "street/a.jpg": b"A" * 10,
    "street/b.PNG": b"B" * 20,
    "notes.txt": b"no image",
    "__MACOSX/._a.jpg": b"fork",
    ".hidden.jpg": b"hidden",
    "../../escape.jpg": b"E",
}


def packed(method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("ä.jpg", b"A" * 300)
        archive.writestr("b.png", b"B" * 20)
    return buffer.getvalue()


def read_all(data, *, name="x.zip", largest_entry=1000):
    entries = read_archive(io.BytesIO(data), name=name, largest_entry=largest_entry)
    return {entry: handle.read() for entry, handle in entries}


@pytest.mark.parametrize("data", [zip_of(FILES), tar_of(FILES), tar_of(FILES, mode="w")], ids=["zip", "tar.gz", "tar"])
def test_images_are_read_by_their_base_name_and_the_rest_is_passed_over(data):
    assert read_all(data) == {"a.jpg": b"A" * 10, "b.PNG": b"B" * 20, "escape.jpg": b"E"}


def test_folders_of_an_archive_are_no_images():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("folder.jpg")
    assert read_all(buffer.getvalue()) == {}


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04 nothing", b"\x1f\x8b broken", tar_of(FILES)[:60], b"x" * 2000],
    ids=["empty", "zip", "gzip", "cut off", "text"],
)
def test_what_is_no_archive_is_told(data):
    with pytest.raises(ArchiveUnreadable, match=r"x\.zip"):
        read_all(data)


def test_an_entry_with_a_wrong_checksum_is_told():
    data = bytearray(zip_of({"a.jpg": b"A" * 100}))
    data[data.index(b"A" * 100)] = 0
    with pytest.raises(ArchiveUnreadable, match=r"a\.jpg"):
        read_all(bytes(data))


def test_an_encrypted_archive_is_told():
    data = bytearray(zip_of({"a.jpg": b"A"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveUnreadable, match="encrypted"):
        read_all(bytes(data))


def test_a_header_that_announces_gigabytes_is_not_read_whole():
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**30
    data = gzip.compress(header.tobuf() + bytes(2 * HEADER_BYTES), 1)
    with pytest.raises(ArchiveUnreadable, match="directory"):
        read_all(data, name="x.tar.gz")


def test_a_zip_with_a_directory_beyond_reason_is_refused():
    data = zip_of({"a.jpg": b"A"})
    start = data.index(b"PK\x01\x02")
    entry, end = data[start : data.index(b"PK\x05\x06")], bytearray(data[data.index(b"PK\x05\x06") :])
    count = HEADER_BYTES // len(entry) + 1
    end[12:16] = (count * len(entry)).to_bytes(4, "little")
    with pytest.raises(ArchiveUnreadable, match="directory"):
        read_all(data[:start] + entry * count + bytes(end))


PEAK_OF_MANY_MEMBERS = """
import gzip, io, tarfile, tracemalloc
from jobs.archives import read_archive
data = gzip.compress(tarfile.TarInfo("a.txt").tobuf() * 20_000 + bytes(1024), 1)
tracemalloc.start()
assert not list(read_archive(io.BytesIO(data), name="x.tar.gz", largest_entry=1000))
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_members_of_an_archive():
    """In a process of its own: other tests leave threads behind whose memory would be counted too."""
    done = subprocess.run([sys.executable, "-c", PEAK_OF_MANY_MEMBERS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 * 2**20  # kept headers would take eight


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, None])
def test_damage_anywhere_is_an_error_of_ours(method):
    sound = bytearray(tar_of(FILES) if method is None else packed(method))
    chance = random.Random(7)
    for _ in range(400):
        data = bytearray(sound)
        for _ in range(chance.choice((1, 2, 4))):
            data[chance.randrange(len(data))] = chance.choice((0, 255, chance.randrange(256)))
        try:
            read_all(bytes(data))
        except JobsError:
            continue


def test_an_entry_larger_than_allowed_stops_the_reading():
    with pytest.raises(TooManyBytes, match=r"b\.PNG"):
        read_all(zip_of(FILES), largest_entry=15)


def test_reading_in_pieces_gives_the_same_bytes():
    entries = read_archive(io.BytesIO(zip_of({"a.jpg": b"0123456789"})), name="x.zip", largest_entry=10)
    _, handle = next(entries)
    assert [handle.read(4), handle.read(4), handle.read(4), handle.read(4)] == [b"0123", b"4567", b"89", b""]


@pytest.mark.parametrize(
    ("name", "image", "archive"),
    [("a.JPG", True, False), ("a.tar.gz", False, True), ("a.TGZ", False, True), ("a.txt", False, False)],
)
def test_kinds_are_told_by_name(name, image, archive):
    assert (is_image_name(name), is_archive_name(name)) == (image, archive)


def test_a_base_name_has_no_folders_of_any_system():
    assert base_name("C:\\pictures\\a.jpg") == base_name("/pictures/a.jpg") == "a.jpg"


@pytest.mark.parametrize(
    "mask", ["zurich_001.png", "zurich_001_mask.png", "zurich_001_gtFine_labelIds.png", "Zurich_001_label.png"]
)
def test_masks_find_their_image_by_stem(mask):
    assert match_masks(["bern.jpg", "zurich_001.jpg"], [mask]) == {1: 0}


def test_cityscapes_names_match():
    assert match_masks(["ulm_1_leftImg8bit.png"], ["ulm_1_gtFine_labelIds.png"]) == {0: 0}


def test_as_many_masks_as_images_of_one_stem_match_in_order():
    assert match_masks(["a.jpg", "b.jpg", "a.png"], ["a.png", "a_mask.png"]) == {0: 0, 2: 1}


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (["a.jpg"], ["b.png"], "b.png matches no image"),
        (["a.jpg", "a.png"], ["a_mask.png"], "1 masks for 2 images"),
        (["_mask.jpg"], ["mask.png"], "matches no image"),
    ],
)
def test_a_mask_without_a_clear_image_is_a_fault(images, masks, message):
    with pytest.raises(InvalidOptions, match=message):
        match_masks(images, masks)
