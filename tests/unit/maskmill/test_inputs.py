"""What may be submitted, and how it is sorted."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.archives import ARCHIVE_SUFFIXES as ARCHIVES_OF_THE_SERVER
from jobs.archives import IMAGE_SUFFIXES as IMAGES_OF_THE_SERVER
from maskmill.errors import InvalidInput
from maskmill.inputs import ARCHIVE_SUFFIXES, IMAGE_SUFFIXES, sort_out, sort_out_masks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("b.JPG", "a.png", "a_mask.png", "notes.txt", ".hidden.png", "__MACOSX/x.jpg", "deep/c.tar.gz")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_client_and_server_know_the_same_kinds_of_files() -> None:
    assert (IMAGE_SUFFIXES, ARCHIVE_SUFFIXES) == (IMAGES_OF_THE_SERVER, ARCHIVES_OF_THE_SERVER)


def test_a_folder_gives_its_images_and_archives_and_leaves_masks_out(folder: Path) -> None:
    inputs = sort_out(folder)
    assert _names(inputs.files) == ["a.png", "b.JPG", "c.tar.gz"]
    assert _names(inputs.passed_over) == ["a_mask.png"]


def test_a_file_that_is_named_is_taken_whatever_its_name(folder: Path) -> None:
    assert _names(sort_out([folder / "a_mask.png", folder / "notes.txt"]).files) == ["a_mask.png", "notes.txt"]


def test_a_file_given_twice_is_sent_once(folder: Path) -> None:
    assert len(sort_out([folder / "a.png", folder / "a.png", f"{folder}/*.png"]).files) == 2


def test_a_pattern_reaches_into_folders(folder: Path) -> None:
    assert "c.tar.gz" in _names(sort_out(f"{folder}/**/*.gz").files)


def test_of_a_folder_of_masks_the_named_ones_count(folder: Path) -> None:
    assert _names(sort_out_masks(folder)) == ["a_mask.png"]


def test_a_folder_of_masks_beside_one_of_images_is_known(tmp_path: Path) -> None:
    for name in ("images/a.jpg", "masks/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    inputs = sort_out(tmp_path)
    assert (_names(inputs.files), _names(inputs.passed_over)) == (["a.jpg"], ["a.png"])
    assert _names(sort_out_masks(tmp_path)) == ["a.png"]
    assert _names(sort_out(tmp_path / "masks").files) == ["a.png"]


def test_of_a_folder_without_named_masks_every_png_counts(folder: Path) -> None:
    (folder / "a_mask.png").unlink()
    assert _names(sort_out_masks(folder)) == ["a.png"]


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
