"""What images are called."""

from __future__ import annotations

import unicodedata

import pytest

from jobs.submitting.names import NAME_LENGTH, UniqueNames, base_name, relative_path, shortened


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("cam_a/0001.jpg", "cam_a/0001.jpg"),
        ("set\\one\\a.jpg", "set/one/a.jpg"),
        ("C:\\pictures\\a.jpg", "pictures/a.jpg"),
        ("c:a.jpg", "a.jpg"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a.jpg", "a.jpg"),
        ("./a//b/./c/../d.jpg", "a/b/c/d.jpg"),
        ("a\x00b\n\u202e.jpg", "ab.jpg"),
        ("Bildschirmfoto 3.04.05\u202fPM.png", "Bildschirmfoto 3.04.05\u202fPM.png"),
        (" a.jpg ", "a.jpg"),
        ("..", ""),
        ("", ""),
        ("\ud800.jpg", ".jpg"),
    ],
)
def test_a_name_is_a_relative_path_on_every_system(given: str, path: str) -> None:
    assert relative_path(given) == path


def test_letters_are_composed() -> None:
    name = "Ocaña_é/日本.jpg"
    assert relative_path(unicodedata.normalize("NFD", name)) == unicodedata.normalize("NFC", name)


def test_a_base_name_has_no_folders_of_any_system() -> None:
    assert base_name("C:\\pictures\\a.jpg") == base_name("/pictures/a.jpg") == "a.jpg"


def test_a_long_path_loses_folders_first_and_never_its_suffix() -> None:
    assert shortened("d" * 200 + "/e/" + "f" * 60 + ".jpg") == "e/" + "f" * 60 + ".jpg"
    assert shortened("d/" + "f" * 300 + ".jpg") == "f" * (NAME_LENGTH - 4) + ".jpg"
    assert shortened("f" * 300) == "f" * NAME_LENGTH
    assert shortened("a." + "f" * 300) == "a." + "f" * (NAME_LENGTH - 2)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["a/1.jpg", "b/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["a/1.jpg", "a/1.jpg"], ["a/1.jpg", "a/1_000001.jpg"]),
        (["1", "1"], ["1", "1_000001"]),
        (["a.b/.jpg", "a.b/.jpg"], ["a.b/.jpg", "a.b/.jpg_000001"]),
        (["a_000002.jpg", "a.jpg", "a.jpg", "a.jpg"], ["a_000002.jpg", "a.jpg", "a_000002_1.jpg", "a_000003.jpg"]),
        (["", "x"], ["image-000000", "x"]),
        (["x" * 255, "x" * 300], ["x" * 255, "x" * 248 + "_000001"]),
    ],
)
def test_two_images_of_one_path_are_numbered(given: list[str], names: list[str]) -> None:
    unique = UniqueNames()
    assert [unique.of(path, index) for index, path in enumerate(given)] == names
