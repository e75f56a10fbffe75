"""Reading bundles of inputs without trusting them."""

import gzip
import hashlib
import io
import random
import subprocess
import sys
import tarfile
import zipfile

import pytest

from jobs.errors import ArchiveUnreadable, JobsError, TooManyBytes, TooManyImages
from jobs.submitting.packed import PackedLimits, is_packed, read_packed
from jobs.submitting.zip_directory import DIRECTORY_BYTES
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


def read_all(data, *, name="x.zip", largest_entry=1000, entries=100, passed_over=None):
    limits = PackedLimits(entries=entries, entry_bytes=largest_entry)
    tell = [].append if passed_over is None else passed_over.append
    return {
        entry.path: entry.data.read()
        for entry in read_packed(io.BytesIO(data), name=name, limits=limits, pass_over=tell)
    }


@pytest.mark.parametrize("data", [zip_of(FILES), tar_of(FILES), tar_of(FILES, mode="w")], ids=["zip", "tar.gz", "tar"])
def test_pictures_are_read_by_their_relative_paths_and_the_rest_is_told(data):
    passed_over: list[str] = []
    assert read_all(data, passed_over=passed_over) == {
        "street/a.jpg": b"A" * 10,
        "street/b.PNG": b"B" * 20,
        "escape.jpg": b"E",
    }
    assert passed_over == ["notes.txt"]


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


def test_damage_behind_the_first_bytes_of_an_entry_is_told():
    data = bytearray(zip_of({"a.jpg": b"A" * 5000}))
    data[data.index(b"A" * 5000) + 4000] = 0
    with pytest.raises(ArchiveUnreadable, match=r"'a\.jpg' is damaged inside its archive: a checksum is wrong"):
        read_all(bytes(data), largest_entry=10_000)


def test_an_encrypted_archive_is_told():
    data = bytearray(zip_of({"a.jpg": b"A"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveUnreadable, match="encrypted"):
        read_all(bytes(data))


def test_a_header_that_announces_gigabytes_is_not_read_whole():
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**30
    data = gzip.compress(header.tobuf() + bytes(2 * DIRECTORY_BYTES), 1)
    with pytest.raises(ArchiveUnreadable, match="directory"):
        read_all(data, name="x.tar.gz")


def test_a_zip_with_a_directory_beyond_reason_is_refused():
    data = zip_of({"a.jpg": b"A"})
    start = data.index(b"PK\x01\x02")
    entry, end = data[start : data.index(b"PK\x05\x06")], bytearray(data[data.index(b"PK\x05\x06") :])
    count = DIRECTORY_BYTES // len(entry) + 1
    end[12:16] = (count * len(entry)).to_bytes(4, "little")
    with pytest.raises(ArchiveUnreadable, match="directory"):
        read_all(data[:start] + entry * count + bytes(end), entries=count)


PEAK_OF_MANY_MEMBERS = """
import gzip, io, tarfile, tracemalloc
from jobs.submitting.packed import PackedLimits, read_packed
data = gzip.compress(tarfile.TarInfo("a.txt").tobuf() * 20_000 + bytes(1024), 1)
limits = PackedLimits(entries=20_000, entry_bytes=1000)
tracemalloc.start()
assert not list(read_packed(io.BytesIO(data), name="x.tar.gz", limits=limits, pass_over=lambda path: None))
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
    limits = PackedLimits(entries=1, entry_bytes=2000)
    data = bytes(range(256)) * 4
    entries = read_packed(io.BytesIO(zip_of({"a.jpg": data})), name="x.zip", limits=limits, pass_over=print)
    entry = next(entries)
    pieces = list(iter(lambda: entry.data.read(500), b""))
    assert [len(piece) for piece in pieces] == [500, 500, 24]
    assert b"".join(pieces) == data
    assert entry.data.sha256 == hashlib.sha256(data).hexdigest()


def tar_gz_of_nothing(size: int) -> bytes:
    """One member of zeros that is no picture, and a picture."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=9) as archive:
        for name, length in (("zeros.bin", size), ("a.jpg", 3)):
            entry = tarfile.TarInfo(name)
            entry.size = length
            archive.addfile(entry, io.BytesIO(bytes(length)))
    return buffer.getvalue()


def test_what_is_no_picture_is_unpacked_only_so_far(monkeypatch):
    monkeypatch.setattr("jobs.submitting.packed._PASSED_BYTES", 2**20)
    passed_over: list[str] = []
    assert read_all(tar_gz_of_nothing(2**19), passed_over=passed_over) == {"a.jpg": bytes(3)}
    assert passed_over == ["zeros.bin"]
    with pytest.raises(ArchiveUnreadable, match="besides pictures"):
        read_all(tar_gz_of_nothing(2**22))


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_entries_are_counted_whatever_they_are(pack):
    files = {f"{number}.txt": b"" for number in range(11)}
    assert read_all(pack(files), entries=11) == {}
    with pytest.raises(TooManyImages, match="at most 10 files"):
        read_all(pack(files), entries=10)


PEAK_OF_A_LARGE_DIRECTORY = """
import io, tracemalloc
from jobs.errors import TooManyImages
from jobs.submitting.packed import PackedLimits, read_packed
from tests.factories import zip_of
data = zip_of({"a": b""})
start = data.index(b"PK\\x01\\x02")
entry, end = data[start : data.index(b"PK\\x05\\x06")], bytearray(data[data.index(b"PK\\x05\\x06") :])
count = 31 * 2**20 // len(entry)
end[12:16] = (count * len(entry)).to_bytes(4, "little")
file = io.BytesIO(data[:start] + entry * count + bytes(end))
tracemalloc.start()
try:
    list(read_packed(file, name="x.zip", limits=PackedLimits(entries=201_000, entry_bytes=1000), pass_over=print))
except TooManyImages:
    print(tracemalloc.get_traced_memory()[1])
"""


def test_a_zip_with_more_entries_than_allowed_costs_no_more_than_its_directory():
    command = [sys.executable, "-c", PEAK_OF_A_LARGE_DIRECTORY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 80 * 2**20  # 235 MiB when every entry became an object


def cut(data: bytes, at: int) -> bytes:
    return data[:at]


def cut_behind(data: bytes, at: int) -> bytes:
    return data[: at + 100]


def spoilt(data: bytes, at: int) -> bytes:
    """With another letter there."""
    return data[:at] + b"?" + data[at + 1 :]


def test_the_checksum_of_a_compressed_tar_is_checked():
    data = bytearray(tar_of(FILES))
    data[-6] ^= 1
    with pytest.raises(ArchiveUnreadable, match="checksum"):
        read_all(bytes(data), name="x.tar.gz")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("harm", [cut, cut_behind, spoilt])
def test_no_part_of_a_tar_is_taken_for_all_of_it(pack, harm):
    """The standard library stops at the head of an entry that is missing or damaged, as if it were the end."""
    data = tar_of({f"{name}.jpg": bytes(700) for name in "abc"}, mode="w")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        heads = [entry.offset for entry in archive]
    assert len(read_all(pack(data), name="x.tar")) == len(heads) == 3
    for at in heads[1:]:
        with pytest.raises(ArchiveUnreadable):
            read_all(pack(harm(data, at)), name="x.tar")


def test_what_is_wrong_is_said_in_words_of_ours():
    damaged = bytearray(zip_of({"a.jpg": b"A" * 1000}))
    damaged[damaged.index(b"PK\x01\x02") + 42 : damaged.index(b"PK\x01\x02") + 46] = b"\xff\xff\xff\x7f"
    encrypted = bytearray(zip_of({"a.jpg": b"A"}))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    unknown = bytearray(zip_of({"a.jpg": b"A"}))
    unknown[8] = unknown[unknown.index(b"PK\x01\x02") + 10] = 99
    for data, words in ((damaged, "damaged"), (encrypted, "it is encrypted"), (unknown, "packed in a way that is not")):
        with pytest.raises(ArchiveUnreadable, match=words) as caught:
            read_all(bytes(data))
        assert not any(word in str(caught.value) for word in ("Errno", "ZipInfo", "<"))


def test_an_entry_that_cannot_be_looked_at_and_is_named_like_no_picture_is_passed_over():
    data = bytearray(zip_of({"notes.txt": b"A" * 10, "a.jpg": b"A"}))
    data[data.index(b"A" * 10)] = 0
    passed_over: list[str] = []
    assert read_all(bytes(data), passed_over=passed_over) == {"a.jpg": b"A"}
    assert passed_over == ["notes.txt"]


def test_a_tar_is_known_by_its_content_where_its_name_has_no_suffix():
    for data in (zip_of(FILES), tar_of(FILES), tar_of(FILES, mode="w")):
        head = data[:512]
        assert is_packed("upload", head)
        assert not is_packed("report.docx", head)
        assert is_packed("x.ZIP", head)
    assert not is_packed("upload", b"text")
    assert is_packed("x.TGZ", b"text")
