"""Frames of films: which are taken, how they look, and what is refused. In this process, where failures can be seen."""

from __future__ import annotations

import io
import json
import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from segmentation.picture_files.film import (
    END,
    FRAME,
    FilmLimits,
    _is_cut_off,
    _Steps,
    arguments,
    is_film,
    is_film_name,
    main,
)
from segmentation.picture_files.pictures import read_picture
from tests.films import damaged, film, sound


def run(data: bytes, every_s: float = 1.0, **limits: float) -> list[tuple[int, Image.Image]]:
    """Raises AssertionError with what was said."""
    out = io.BytesIO()
    told = arguments(every_s, FilmLimits(**limits))  # type: ignore[arg-type]
    assert main(told, io.BytesIO(data), out) == 0
    content = out.getvalue()
    assert content.endswith(END)
    frames: list[tuple[int, Image.Image]] = []
    at = 0
    while content[at:] != END:
        at_ms, size = FRAME.unpack_from(content, at)
        at += FRAME.size
        frames.append((at_ms, Image.open(io.BytesIO(content[at : at + size]))))
        at += size
    return frames


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska"])
def test_a_frame_is_taken_at_each_step_of_time(container: str) -> None:
    data = film(container=container)
    frames = run(data, 1.0)
    assert is_film(data[:64])
    assert [at for at, _ in frames] == [0, 1000, 2000]
    assert [round(picture.convert("L").getpixel((5, 5)) / 40) for _, picture in frames] == [0, 1, 2]  # type: ignore[operator]
    assert {picture.size for _, picture in frames} == {(64, 48)}


def test_steps_shorter_than_a_frame_take_every_frame_once() -> None:
    assert [at for at, _ in run(film(seconds=1.0), 0.01)] == [0, 250, 500, 750]


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        (film(), {"frames": 2}, "too_many_images"),
        (film(), {"longest_s": 1.5}, "too_large"),
        (film(), {"pixels": 1000}, "too_large"),
        (sound(), {}, "film_unreadable"),
        (sound(cover=True), {}, "film_unreadable"),
        (film()[:400], {}, "film_unreadable"),
        (b"\0\0\0\x18ftypisom" + bytes(64), {}, "film_unreadable"),
        (b"\x1a\x45\xdf\xa3" + bytes(64), {}, "film_unreadable"),
        (b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", {}, "film_unreadable"),
    ],
)
def test_what_is_too_much_or_no_film_is_refused_with_a_reason(data, limits, code, capsys) -> None:
    assert main(arguments(1.0, FilmLimits(**limits)), io.BytesIO(data), io.BytesIO()) == 1
    assert json.loads(capsys.readouterr().err)["code"] == code


def test_without_the_library_films_are_said_to_be_unsupported(monkeypatch, capsys) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(arguments(1.0, FilmLimits()), io.BytesIO(film()), io.BytesIO()) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "film_unsupported"


def test_films_are_known_by_their_names_too() -> None:
    assert is_film_name("a/B.MOV")
    assert not is_film_name("mp4")
    assert not is_film(b"\xff\xd8\xff" + bytes(20))


def unsized(matroska: bytes) -> bytes:
    """As it is written while it is recorded: nobody knows yet how long its segment will be."""
    at = matroska.index(b"\x18\x53\x80\x67") + 4
    return matroska[:at] + b"\x01" + b"\xff" * 7 + matroska[at + 8 :]


@pytest.mark.parametrize("container", ["mp4", "matroska", "webm"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_of_a_film_that_is_cut_off_no_part_is_taken_for_all(container: str, part: float, capsys) -> None:
    whole = film(container=container, codec={"webm": "libvpx"}.get(container, "mpeg4"))
    cut = whole[: round(part * len(whole))]
    assert main(arguments(1.0, FilmLimits()), io.BytesIO(cut), io.BytesIO()) == 1
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["code"] == "film_unreadable"


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ((8 + 20).to_bytes(4) + b"mdat", True),
        ((1).to_bytes(4) + b"mdat" + (16 + 20).to_bytes(8), True),
        ((0).to_bytes(4) + b"mdat", False),  # to the end of the file
        ((8 + 20).to_bytes(4) + b"free", False),
    ],
)
def test_a_box_of_frames_says_in_several_ways_how_long_it_is(box: bytes, says: bool) -> None:
    head = (16).to_bytes(4) + b"ftypisom" + bytes(4)
    whole = head + box + bytes(20)
    assert _is_cut_off(io.BytesIO(whole), head[:4]) is False
    assert _is_cut_off(io.BytesIO(whole[:-1]), head[:4]) is says


def test_what_a_camera_writes_behind_a_film_is_no_part_of_it() -> None:
    assert [at for at, _ in run(film() + b"\x7f\xff\xff\xffmeta", 1.0)] == [0, 1000, 2000]


def test_a_film_that_does_not_say_how_long_it_is_is_read_to_its_end() -> None:
    assert [at for at, _ in run(unsized(film(container="matroska")), 1.0)] == [0, 1000, 2000]


def test_a_film_that_promises_pictures_and_has_none_is_refused(capsys) -> None:
    whole = unsized(film(container="matroska"))
    head = whole[: whole.find(b"\x1fC\xb6u") + 4]  # up to the first cluster
    assert main(arguments(1.0, FilmLimits()), io.BytesIO(head), io.BytesIO()) == 1
    told = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (told["code"], told["detail"]) == ("film_unreadable", "has no frame that can be decoded")


@pytest.mark.parametrize(
    ("codec", "hashed"), [("mpeg4", False), ("libx264", False), ("libx265", False), ("libx265", True)]
)
def test_frames_where_a_film_is_damaged_say_so_until_the_next_that_stands_for_itself(codec: str, hashed: bool) -> None:
    sound, broken = damaged(codec, hashed=hashed)
    for data, expected in ((sound, [[], [], []]), (broken, [[], ["damaged_data"], []])):
        frames = [read_picture(_saved(picture), max_pixels=100_000) for _, picture in run(data, 2.0)]
        assert [[each.code for each in frame.notices] for frame in frames] == expected


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_what_the_library_only_warns_of_is_no_damage(codec: str) -> None:
    frames = run(film(container="mov", codec=codec, pixels="yuvj420p"), 0.5)
    assert [read_picture(_saved(frame), max_pixels=10_000).notices for _, frame in frames] == [()] * 6


@pytest.mark.parametrize(
    ("aspect", "shown"),
    [("16/11", (93, 48)), ("8/9", (64, 54)), ("201/200", (64, 48)), ("0/1", (64, 48))],  # wide PAL, NTSC, square
)
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_pixels_that_are_not_square_are_stretched(container: str, aspect: str, shown: tuple[int, int]) -> None:
    ((_, picture),) = run(film(seconds=0.25, container=container, aspect=aspect, corner=True), 1.0)
    assert picture.size == shown
    white = np.asarray(picture.convert("L")) > 128
    assert [round(float(white.any(axis).mean()), 1) for axis in (0, 1)] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("size", "aspect", "limits"), [((64, 48), "2/1", {"pixels": 6_000}), ((512, 320), "255/1", {})]
)
def test_a_film_that_is_shown_larger_than_an_image_may_be_is_refused(size, aspect: str, limits, capsys) -> None:
    data = film(seconds=0.25, size=size, aspect=aspect)
    assert main(arguments(1.0, FilmLimits(**limits)), io.BytesIO(data), io.BytesIO()) == 1
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["code"] == "too_large"


ORANGE = (220, 120, 40)


@pytest.mark.parametrize(
    ("size", "matrix", "told"),
    [
        ((64, 720), "ITU709", False),
        ((1280, 64), "ITU709", False),
        ((64, 576), "ITU601", False),
        ((64, 720), "ITU601", True),
    ],
)
def test_colours_are_read_as_a_film_says_else_by_its_size(size: tuple[int, int], matrix: str, told: bool) -> None:
    ((_, shown),) = run(film(seconds=0.25, size=size, colour=ORANGE, matrix=matrix, told=told, codec="libx264"), 1.0)
    assert np.abs(np.asarray(shown.convert("RGB"))[20, 20].astype(int) - ORANGE).max() <= 4


def _saved(frame: Image.Image) -> bytes:
    assert frame.fp is not None  # type: ignore[attr-defined]
    return frame.fp.getvalue()  # type: ignore[attr-defined,no-any-return]


TURNS = {  # how a telephone says that its film is to be shown: a, b, c, d of the matrix → where the bright corner is
    "as it is": ((1, 0, 0, 1), "upper left"),
    "to the right": ((0, 1, -1, 0), "upper right"),
    "upside down": ((-1, 0, 0, -1), "lower right"),
    "to the left": ((0, -1, 1, 0), "lower left"),
    "mirrored": ((-1, 0, 0, 1), "upper right"),
    "mirrored upside down": ((1, 0, 0, -1), "lower left"),
    "mirrored to the left": ((0, 1, 1, 0), "upper left"),
}


@pytest.mark.parametrize("name", TURNS)
def test_a_film_is_shown_as_it_says(name: str) -> None:
    (a, b, c, d), corner = TURNS[name]
    data = bytearray(film(seconds=0.5, corner=True))
    at = data.find(b"tkhd") + 4 + 40  # version and flags, times, ids, layer, volume
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    ((_, shown),) = run(bytes(data), 1.0)
    assert shown.size == ((64, 48) if a else (48, 64))
    right, down = shown.width - 4, shown.height - 4
    places = {"upper left": (4, 4), "upper right": (right, 4), "lower left": (4, down), "lower right": (right, down)}
    grey = shown.convert("L")
    assert {where for where, at in places.items() if grey.getpixel(at) > 200} == {corner}  # type: ignore[operator]


def taken(every_s: float, rate: Fraction, ticks: int) -> list[int]:
    """Frames of 900 at a constant rate, whose times are rounded to `ticks` a second."""
    steps = _Steps(every_s, rate)
    return [number for number in range(900) if steps.reach(Fraction(round(number / rate * ticks), ticks))]


NTSC = Fraction(30_000, 1001)


@pytest.mark.parametrize("ticks", [600, 1000, 90_000])
@pytest.mark.parametrize(
    ("every_s", "rate", "frames"),
    [
        (0.03333, Fraction(30), 1),
        (0.06667, Fraction(30), 2),
        (0.03337, NTSC, 1),
        (0.1001, NTSC, 3),
        (0.04171, Fraction(24_000, 1001), 1),
        (0.26667, Fraction(15, 2), 2),
        (1.0, Fraction(25), 25),
    ],
)
def test_a_step_of_whole_frames_takes_each_so_many_however_times_are_rounded(
    every_s: float, rate: Fraction, frames: int, ticks: int
) -> None:
    assert taken(every_s, rate, ticks) == list(range(0, 900, frames))


@pytest.mark.parametrize(("every_s", "rate"), [(0.0334, NTSC), (0.06674, NTSC), (0.334, NTSC), (0.017, Fraction(60))])
def test_rounded_times_choose_no_other_frames(every_s: float, rate: Fraction) -> None:
    """Of a step that is nearly so many frames, and of none."""
    assert taken(every_s, rate, 1000) == taken(every_s, rate, rate.numerator)


def test_a_film_of_a_thousand_frames_a_second_gives_none_too_early() -> None:
    assert taken(0.01, Fraction(1000), 1000) == list(range(0, 900, 10))
