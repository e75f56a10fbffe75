"""What may be submitted, and how it is sorted."""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.submitting.packed import PACKED_SUFFIXES, PackedLimits, read_packed
from maskmill.download import mark
from maskmill.errors import InvalidInput
from maskmill.inputs import ARCHIVE_SUFFIXES, IMAGE_SUFFIXES, LocalFile, is_picture, sort_out, sort_out_masks
from maskmill.uploads.multipart import FilePart
from segmentation.picture_files.picture_kinds import PICTURE_KINDS
from tests.factories import picture, zip_of
from tests.users import as_nobody


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("b.JPG", "a.png", "a_mask.png", "notes.txt", ".hidden.png", "__MACOSX/x.jpg", "deep/c.tar.gz")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _names(files: tuple[LocalFile, ...]) -> list[str]:
    return [file.name for file in files]


JOB = "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"


def test_results_of_an_earlier_job_are_no_pictures_of_the_next(tmp_path: Path) -> None:
    """In a folder that is submitted again, its overlays and masks would be segmented."""
    for name in (
        "a.jpg",
        "results/overlay/a.jpg",
        "results/mask/a.png",
        "old/out/images/a.jpg",
        "old/b.jpg",
        f"{JOB}_cvat.zip",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "results/manifest.json").write_text('{"job": "job_1"}')
    (tmp_path / "old/manifest.json").write_text('{"version": 3}')
    mark(tmp_path / "old/out", "job_2")
    inputs = sort_out(tmp_path)
    assert _names(inputs.files) == ["a.jpg", "old/b.jpg"]
    assert sorted(inputs.results) == [tmp_path / f"{JOB}_cvat.zip", tmp_path / "old/out", tmp_path / "results"]
    assert _names(sort_out(tmp_path / "results/overlay").files) == ["a.jpg"]  # whoever names it means it


@pytest.mark.parametrize("look", [sort_out, sort_out_masks])
def test_where_there_are_results_alone_they_are_named(tmp_path: Path, look: Callable[[Path], object]) -> None:
    (tmp_path / "results/mask").mkdir(parents=True)
    (tmp_path / "results/mask/a.png").touch()
    mark(tmp_path / "results", "job_1")
    with pytest.raises(InvalidInput, match=r"no image or archive .* but the results of a job \(.*/results\)"):
        look(tmp_path)


def test_client_and_server_know_the_same_kinds_of_files(tmp_path: Path) -> None:
    assert ARCHIVE_SUFFIXES == PACKED_SUFFIXES
    assert {suffix for kind in PICTURE_KINDS.values() for suffix in kind.suffixes} == IMAGE_SUFFIXES
    heads = [picture(form=kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF", "JPEG2000")]
    heads += [b"\0\0\0\x18ftypheic" + bytes(16), b"8BPS" + bytes(16)]
    for head in heads:
        (tmp_path / "file").write_bytes(head)
        assert is_picture(tmp_path / "file"), head[:16]


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("cam/a.jpg", True),
        ("cam.1/a.b.jpg", True),
        ("MACOSX/a.jpg", True),
        (".DS_Store", False),
        ("cam/._a.jpg", False),
        (".hidden/a.jpg", False),
        ("cam/.hidden/deep/a.jpg", False),
        ("__MACOSX/a.jpg", False),
        ("cam/__MACOSX/a.jpg", False),
    ],
)
def test_client_and_server_pass_over_the_same_hidden_files(tmp_path: Path, name: str, is_taken: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture())
    (tmp_path / "other.jpg").write_bytes(picture())
    assert (name in _names(sort_out(tmp_path).files)) == is_taken
    limits = PackedLimits(entries=9, entry_bytes=9999)
    packed = io.BytesIO(zip_of({name: picture()}))
    assert [each.path for each in read_packed(packed, name="x.zip", limits=limits, pass_over=pytest.fail)] == (
        [name] if is_taken else []
    )


def test_a_folder_gives_its_images_and_archives_by_their_relative_paths(folder: Path) -> None:
    inputs = sort_out(folder)
    assert _names(inputs.files) == ["a.png", "a_mask.png", "b.JPG", "deep/c.tar.gz"]
    assert inputs.passed_over == (folder / "notes.txt",)


def test_pictures_are_known_by_their_content_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.JPE", "c.HEIC"):
        (tmp_path / name).touch()
    (tmp_path / "d").write_bytes(picture())
    (tmp_path / "e.txt").write_bytes(b"text")
    assert _names(sort_out(tmp_path).files) == ["a.jfif", "b.JPE", "c.HEIC", "d"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["cams/a", "cams/b"], ["a/1.jpg", "b/1.jpg"]),
        (["x/cam", "y/cam"], ["x/cam/1.jpg", "y/cam/1.jpg"]),
        (["cams/a"], ["1.jpg"]),
        (["cams"], ["a/1.jpg", "b/1.jpg"]),
        (["cams/a/1.jpg", "cams/b/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["cams/*/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["cams/*"], ["a/1.jpg", "b/1.jpg"]),
        (["cams/a", "z.jpg"], ["1.jpg", "z.jpg"]),
    ],
)
def test_files_of_one_name_are_told_apart_by_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], names: list[str]
) -> None:
    for path in ("cams/a/1.jpg", "cams/b/1.jpg", "x/cam/1.jpg", "y/cam/1.jpg", "z.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.chdir(tmp_path)
    assert _names(sort_out(given).files) == names


def test_names_are_composed(tmp_path: Path) -> None:
    name = "Ocaña_é.jpg"
    (tmp_path / unicodedata.normalize("NFD", name)).touch()
    assert _names(sort_out(tmp_path).files) == [name]


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        is_picture(tmp_path / ("x" * 300))


def test_links_are_followed_and_each_folder_is_read_once(tmp_path: Path) -> None:
    for name in ("disk/day/1.jpg", "disk/2.jpg", "photos/cam/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    photos = tmp_path / "photos"
    for link, target in (("a", photos), ("b", photos / "cam"), ("c", tmp_path / "disk"), ("cam/d", tmp_path / "disk")):
        (photos / link).symlink_to(target)
    (photos / "4.jpg").symlink_to(tmp_path / "disk" / "2.jpg")
    assert _names(sort_out(photos).files) == ["4.jpg", "c/2.jpg", "c/day/1.jpg", "cam/3.jpg"]
    assert _names(sort_out([photos / "4.jpg", photos / "c"]).files) == ["4.jpg", "2.jpg", "day/1.jpg"]
    assert _names(sort_out([photos / "c", tmp_path / "disk"]).files)[:2] == ["c/2.jpg", "c/day/1.jpg"]


def test_a_link_that_leads_nowhere_leaves_out_no_picture_in_silence(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").symlink_to("gone/1.jpg")
    (tmp_path / "notes").symlink_to("gone/notes")
    inputs = sort_out(tmp_path)
    assert (_names(inputs.files), inputs.passed_over) == (["1.jpg"], (tmp_path / "notes",))
    with pytest.raises(InvalidInput, match=r"1.jpg: No such file or directory \(it is a link to gone/1.jpg\)"):
        FilePart.of("files", inputs.files[0].path)


def test_a_folder_that_may_not_be_read_leaves_out_nothing_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "1.jpg").touch()
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with as_nobody(), pytest.raises(InvalidInput, match="closed: Permission denied"):
        sort_out(".")


def test_a_name_that_is_no_unicode_is_told_as_far_as_it_is(tmp_path: Path) -> None:
    for name in (b"\xe9t\xe9.jpg", b"x.jpg"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).touch()
    assert sorted(_names(sort_out(tmp_path).files)) == ["?t?.jpg", "x.jpg"]
    (odd,) = tmp_path.glob("*t*.jpg")
    assert FilePart.of("file", odd).name == "?t?.jpg"


def test_a_file_that_is_named_is_taken_whatever_its_name(folder: Path) -> None:
    assert _names(sort_out([folder / "a_mask.png", folder / "notes.txt"]).files) == ["a_mask.png", "notes.txt"]


def test_a_file_given_twice_is_sent_once(folder: Path) -> None:
    assert len(sort_out([folder / "a.png", folder / "a.png", f"{folder}/*.png"]).files) == 2


def test_a_pattern_reaches_into_folders(folder: Path) -> None:
    assert "c.tar.gz" in _names(sort_out(f"{folder}/**/*.gz").files)


def test_of_a_folder_of_masks_every_lossless_picture_counts(folder: Path) -> None:
    assert _names(sort_out_masks(folder)) == ["a.png", "a_mask.png"]


def test_a_folder_of_jpegs_holds_no_masks(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InvalidInput, match="no masks in this folder"):
        sort_out_masks(tmp_path)
    assert _names(sort_out_masks(tmp_path / "a.jpg")) == ["a.jpg"]  # the server says why it is none


def test_archives_in_a_folder_of_masks_are_masks_too(tmp_path: Path) -> None:
    (tmp_path / "masks.zip").touch()
    assert _names(sort_out_masks(tmp_path)) == ["masks.zip"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("no/such/file.jpg", "no such file"),
        ("no/such/*.jpg", "nothing matches"),
        ([], "nothing to submit"),
        (["https://example.org/a.jpg", __file__], "one job"),
    ],
)
def test_what_cannot_be_sent_is_said_so(given: str | list[str], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        sort_out(given)


def test_an_empty_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no image"):
        sort_out(tmp_path)


def test_masks_are_no_addresses() -> None:
    with pytest.raises(InvalidInput, match="masks are files"):
        sort_out_masks("https://example.org/a.png")


@pytest.mark.parametrize("address", ["ftp://host/a.jpg", "s3://bucket/a.jpg", "file:///a.jpg"])
def test_an_address_that_nobody_fetches_is_no_missing_file(address: str) -> None:
    with pytest.raises(InvalidInput, match="is not fetched; addresses begin with http:// or https://"):
        sort_out(address)


def test_a_pipe_is_no_file_that_could_be_sent_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        sort_out(tmp_path / "pipe")


def test_control_characters_are_left_out_of_a_name(tmp_path: Path) -> None:
    """Uploads that go ahead of their job are refused with them, and one's own terminal would obey them."""
    (tmp_path / "new\nline \x1b[31m.jpg").write_bytes(b"jpeg")
    (file,) = sort_out(tmp_path).files
    assert file.name == "newline [31m.jpg"
