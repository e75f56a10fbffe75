"""Films of a job's results: their frames in order, each as long as it was in the film that came in, none left out."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from jobs.films.film import frame_path, shown_at_s
from maskmill import Maskmill
from maskmill.cli.exits import DONE, REFUSED
from maskmill.errors import InvalidInput
from maskmill.films.filming import Missing
from maskmill.films.frames import Frame, chosen, films_of, read_rate, shown_at_ms
from maskmill.films.ours import COMMENT, is_ours
from maskmill.films.writer import CODECS, FilmWriter, codec_here, container, opened
from maskmill.inputs import sort_out
from tests.factories import encoded, mask
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem

Run = Callable[..., Result]
Colour = tuple[int, int, int]

RED, GREEN, BLUE, GREY, WHITE = (220, 20, 20), (20, 200, 20), (20, 20, 220), (128, 128, 128), (250, 250, 250)
LINKS = ("input", "overlay")
# What the stream says of its colours, and older versions of the library pass over.
AS_TAGGED = {"src_colorspace": "ITU709", "src_color_range": "MPEG", "dst_color_range": "JPEG"}
BROKEN = {"code": "timed_out", "message": "it took too long"}


def still(colour: Colour, size: tuple[int, int] = (33, 25)) -> bytes:
    """As wide and high as no film can be: both are odd."""
    return encoded(np.full((*size[::-1], 3), colour, np.uint8), "PNG")


def row(index: int, name: str, *artifacts: str) -> dict[str, Any]:
    links = {each: f"/jobs/job_1/images/{index}/{each}" for each in artifacts}
    failed = {} if set(artifacts) - {"input"} else {"error": BROKEN}
    return {"index": index, "name": name, "status": "failed" if failed else "succeeded", "artifacts": links, **failed}


@pytest.fixture
def serve(server: ToyServer, job_state) -> Callable[..., ToyServer]:
    """An ended job of these rows, two on a page, and what their artifacts are."""

    def begin(rows: Sequence[dict[str, Any]], contents: dict[str, bytes], *, every: float | None = 0.5) -> ToyServer:
        def page(request: Any) -> Answer:
            first = int(request.query.get("cursor", "0"))
            cursor = str(first + 2) if len(rows) > first + 2 else None
            return as_json({"items": rows[first : first + 2], "next_cursor": cursor})

        failed = sum(each["status"] == "failed" for each in rows)
        state = job_state("partial" if failed else "succeeded", total=len(rows), done=len(rows) - failed, failed=failed)
        server.on("GET", "/jobs/job_1", as_json({**state, "options": {} if every is None else {"every": every}}))
        server.on("GET", "/jobs/job_1/images", page)
        for path, content in contents.items():
            server.on("GET", f"/jobs/job_1/images/{path}", Answer(body=content))
        return server

    return begin


@pytest.fixture
def drive(serve: Callable[..., ToyServer]) -> ToyServer:
    """Four frames of drive.mp4, one each half second."""
    rows = [row(at, frame_path("drive.mp4", at * 500), *LINKS) for at in range(4)]
    colours = (RED, GREEN, BLUE, GREY)
    return serve(rows, {f"{at}/overlay": still(colour) for at, colour in enumerate(colours)})


@pytest.fixture
def client(server: ToyServer) -> Iterator[Maskmill]:
    with Maskmill(server.url, patience=0.0) as client:
        yield client


def seen(path: Path) -> tuple[list[float], list[Colour], Any]:
    """When each frame is shown, in seconds; the colour in its middle; and the stream."""
    av: Any = importlib.import_module("av")
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        times, colours = list[float](), list[Colour]()
        for frame in film.decode(stream):
            pixels = frame.reformat(format="rgb24", **AS_TAGGED).to_ndarray()
            times.append(float(frame.time))
            red, green, blue = map(int, pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])
            colours.append((red, green, blue))
        told = {
            "seconds": film.duration / 1e6,
            "size": (stream.width, stream.height),
            "kind": (stream.codec_context.codec.canonical_name, stream.codec_context.pix_fmt),
            "matrix": (stream.codec_context.colorspace, stream.codec_context.color_range),
        }
    return times, colours, told


def are_like(found: Sequence[Colour], wanted: Sequence[Colour]) -> bool:
    return len(found) == len(wanted) and bool(np.abs(np.subtract(found, wanted)).max() <= 8)


def test_a_film_shows_the_overlays_in_the_time_of_the_film_that_came_in(
    client: Maskmill, drive: ToyServer, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    out = tmp_path / "new" / "drive-overlay.mp4"
    (film,) = client.job("job_1").film(out, on_frame=lambda *numbers: told.append(numbers))
    times, colours, said = seen(out)
    assert times == [0.0, 0.5, 1.0, 1.5]
    assert are_like(colours, [RED, GREEN, BLUE, GREY])
    assert said["seconds"] == 2.0
    assert said["size"] == (film.width, film.height) == (32, 24)
    assert said["kind"] == ("h264", "yuv420p")
    assert said["matrix"] == (1, 1)  # BT.709, in the range of films
    assert (film.name, film.frames, film.seconds, film.codec, film.missing) == ("drive", 4, 2.0, "h264", [])
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [path.name for path in out.parent.iterdir()] == ["drive-overlay.mp4"]
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # played while it is fetched


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_film_of_results_in_a_folder_is_no_film_to_submit(
    client: Maskmill, drive: ToyServer, tmp_path: Path, suffix: str
) -> None:
    ours, theirs = tmp_path / f"drive-overlay{suffix}", tmp_path / "cut" / f"drive-overlay{suffix}"
    client.job("job_1").film(ours)
    theirs.parent.mkdir()
    theirs.write_bytes(ours.read_bytes().replace(COMMENT.encode(), b"x" * len(COMMENT)))
    inputs = sort_out(tmp_path)
    assert [file.path for file in inputs.files] == [theirs]
    assert inputs.results == (ours,)
    assert [file.path for file in sort_out(ours).files] == [ours]  # whoever names it means it


def test_a_long_film_of_results_is_known_by_the_end_of_its_description(tmp_path: Path) -> None:
    """Of which a frame takes some bytes, so that the head of the file may end within it."""

    def box(name: bytes, content: bytes, *, long: bool = False) -> bytes:
        length = (8 + 8 * long + len(content)).to_bytes(8 if long else 4, "big")
        return b"\0\0\0\1" + name + length + content if long else length + name + content

    path, told = tmp_path / "film.mp4", bytes(10**5) + COMMENT.encode() + bytes(8)
    for boxes, known in (
        ([box(b"ftyp", b"isom"), box(b"moov", told), box(b"mdat", b"frames")], True),
        ([box(b"ftyp", b"isom"), box(b"mdat", bytes(10**5), long=True), box(b"moov", told)], True),
        ([box(b"ftyp", b"isom"), box(b"moov", bytes(10**5)), box(b"mdat", told)], False),
        ([box(b"ftyp", b"isom"), b"\0\0\0\2free" + told], False),
        ([b"short"], False),
    ):
        path.write_bytes(b"".join(boxes))
        assert is_ours(path) == known
    assert not is_ours(tmp_path)


def test_a_frame_without_a_result_moves_no_other(
    client: Maskmill, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    kinds = [(), LINKS, ("input",), (), ("input",), LINKS, LINKS]  # what the last one links to is lost
    rows = [row(at, frame_path("drive.mp4", at * 500), *links) for at, links in enumerate(kinds)]
    contents = {"1/overlay": still(RED), "2/input": still(WHITE), "4/input": b"broken", "5/overlay": still(BLUE)}
    serve(rows, contents).on("GET", "/jobs/job_1/images/6/overlay", problem(404, "object_not_found"))
    (film,) = client.job("job_1").film(tmp_path)
    times, colours, told = seen(tmp_path / "drive-overlay.mp4")
    assert times == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert are_like(colours, [RED, RED, WHITE, WHITE, WHITE, BLUE, BLUE])
    assert told["seconds"] == 3.5
    assert film.missing == [
        Missing(0, 0, "drive/00-00-00.000.jpg", "neighbour"),
        Missing(2, 2, "drive/00-00-01.000.jpg", "picture"),
        Missing(3, 3, "drive/00-00-01.500.jpg", "neighbour"),
        Missing(4, 4, "drive/00-00-02.000.jpg", "neighbour"),
        Missing(6, 6, "drive/00-00-03.000.jpg", "neighbour"),
    ]
    serve(rows[-1:], {})
    with pytest.raises(InvalidInput, match="nothing of drive is to be had: the service has lost it"):
        client.job("job_1").film(tmp_path)


def test_frames_that_are_missing_are_told_by_their_numbers(
    run: Run, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    rows = [row(0, frame_path("drive.mp4", 0), *LINKS), row(1, frame_path("drive.mp4", 500), "input")]
    serve([*rows, row(2, "a.jpg", *LINKS)], {"0/overlay": still(RED), "1/input": still(RED)})
    ended = run("film", "job_1")
    assert ended.exit_code == DONE
    assert "drive-overlay.mp4 shows 2 frames in 1.0 s, 32 × 24\n" in ended.stdout
    assert "1 frame without a result, for which the plain picture is shown: 1 (drive/00-00-00.500.jpg)" in ended.stdout
    assert "1 image of the job is in no film; a film of such pictures needs --fps" in ended.stdout
    told = json.loads(run("film", "job_1", "--out", "b.mov", "--json").stdout)
    assert (told["job"], told["pictures_left_out"]) == ("job_1", 1)
    assert told["films"][0]["path"] == "b.mov"
    assert told["films"][0]["missing"] == [
        {"number": 1, "index": 1, "name": "drive/00-00-00.500.jpg", "shows": "picture"}
    ]


def test_pictures_of_a_folder_are_shown_in_their_natural_order(
    run: Run, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    names = ["cam/f10.jpg", "cam/f2.jpg", "cam/f1.jpg"]
    rows = [row(at, name, *LINKS) for at, name in enumerate(names)]
    contents = {f"{at}/overlay": still(colour) for at, colour in enumerate((RED, GREEN, BLUE))}
    serve(rows, contents, every=None)
    refused = run("film", "job_1")
    assert refused.exit_code == REFUSED
    assert "no film among its inputs" in refused.stderr
    assert "--fps" in refused.stderr
    assert run("film", "job_1", "--fps", "30", "--out", "cam.mp4").exit_code == DONE
    times, colours, told = seen(tmp_path / "cam.mp4")
    assert are_like(colours, [BLUE, GREEN, RED])
    assert times == pytest.approx([0, 1 / 30, 2 / 30], abs=1e-4)
    assert told["seconds"] == pytest.approx(0.1, abs=1e-3)


def test_each_film_of_a_job_makes_one_and_one_can_be_chosen(
    run: Run, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    rows = [row(0, frame_path("front/drive.mp4", 0), *LINKS), row(1, frame_path("rear.mkv", 0), *LINKS)]
    serve(rows, {"0/overlay": still(RED), "1/overlay": still(BLUE)})
    refused = run("film", "job_1", "--out", "both.mp4")
    assert refused.exit_code == REFUSED
    assert "makes 2 films (front/drive, rear); choose one (on the command line, --input)" in refused.stderr
    assert run("film", "job_1", "--out", "films").exit_code == DONE
    assert are_like(seen(tmp_path / "films/front/drive-overlay.mp4")[1], [RED])
    assert are_like(seen(tmp_path / "films/rear-overlay.mp4")[1], [BLUE])
    assert run("film", "job_1", "--out", "one.mp4", "--input", "drive.mp4").exit_code == DONE
    assert are_like(seen(tmp_path / "one.mp4")[1], [RED])
    assert (
        "no film is made of 'side.mp4'; there are front/drive, rear"
        in run("film", "job_1", "--input", "side.mp4").stderr
    )


def test_files_are_called_as_every_system_can_have_them(
    client: Maskmill, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    names = ["../up.mp4", "..\\up.mp4", "C:/a?.mp4", "c:/A*.mp4", f"{'é' * 200}.mp4"]
    rows = [row(at, frame_path(name, 0), *LINKS) for at, name in enumerate(names)]
    serve(rows, {f"{at}/overlay": still(RED) for at in range(len(names))})
    made = [film.path.relative_to(tmp_path / "out").as_posix() for film in client.job("job_1").film(tmp_path / "out")]
    assert made == [f"{each}-overlay.mp4" for each in ("_/up", "_up", "C_/a_", "c_/A_-2", "é" * 60)]
    assert all((tmp_path / "out" / each).is_file() for each in made)


def test_the_model_of_several_is_chosen_and_named(
    client: Maskmill, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    links = {"overlay": "/jobs/job_1/images/0/overlay"}
    of_two = {
        **row(0, frame_path("drive.mp4", 0), *LINKS),
        "results": {"a": {"artifacts": links}, "b/2": {"artifacts": links}},
    }
    server = serve([of_two], {"0/overlay": still(RED)})
    job = client.job("job_1")
    job.state = {**job.state, "results": {"a": {}, "b/2": {}}}
    (film,) = job.film(tmp_path, model="b/2")
    assert film.path == tmp_path / "drive-b-2-overlay.mp4"
    assert server.seen("GET", "/jobs/job_1/images/0/overlay")[0].query == {"model": "b/2"}
    with pytest.raises(InvalidInput, match=r"no results of 'c'; there are those of a, b/2"):
        job.film(tmp_path, model="c")


def test_masks_have_their_colours_and_other_sizes_black_beside_them(
    client: Maskmill, serve: Callable[..., ToyServer], tmp_path: Path
) -> None:
    rows = [row(at, f"{at}.jpg", "mask", "polygons") for at in range(2)]
    contents = {"0/mask": still(RED, (32, 24)), "1/mask": mask(np.full((24, 8), 128, np.uint8)), "0/polygons": b"{}"}
    serve(rows, contents, every=None)
    job = client.job("job_1")
    (film,) = job.film(tmp_path, artifact="mask", fps=2)
    assert film.path == tmp_path / "job_1-mask.mp4"
    times, colours, _ = seen(film.path)
    assert (times, are_like(colours, [RED, GREY])) == ([0.0, 0.5], True)
    with pytest.raises(InvalidInput, match=r"polygons of 0.jpg is no picture"):
        job.film(tmp_path, artifact="polygons", fps=2)
    with pytest.raises(InvalidInput, match=r"no image of job_\w+ has the artifact 'overlay'; there are mask, polygons"):
        job.film(tmp_path, fps=2)
    assert [path.name for path in tmp_path.iterdir()] == ["job_1-mask.mp4"]  # nothing is left of what was refused


def test_the_film_that_was_submitted_is_not_overwritten(run: Run, drive: ToyServer, tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"mine")
    (tmp_path / "drive-overlay.mp4").write_bytes(b"an older one")
    assert "may be the film that was submitted" in run("film", "job_1", "--out", "drive.mp4").stderr
    assert (tmp_path / "drive.mp4").read_bytes() == b"mine"
    assert run("film", "job_1").exit_code == DONE
    assert len(seen(tmp_path / "drive-overlay.mp4")[0]) == 4


def test_a_film_that_breaks_off_leaves_the_older_one(run: Run, drive: ToyServer, tmp_path: Path) -> None:
    (tmp_path / "drive-overlay.mp4").write_bytes(b"an older one")
    drive.on("GET", "/jobs/job_1/images/2/overlay", problem(404, "artifact_not_found", "it is gone"))
    ended = run("film", "job_1", "--json")
    assert ended.exit_code == REFUSED
    assert json.loads(ended.stdout)["error"]["code"] == "artifact_not_found"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"drive-overlay.mp4": b"an older one"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "drive.avi"), "films are written as .mp4, .m4v, .mov, .mkv; or name a folder"),
        (("--fps", "0"), "a film has 0.01 to 240 frames per second, not 0"),
        (("--fps", "nan"), "not nan"),
        (("--out", "a.jpg/b.mp4"), "can hold no results"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_asked(
    run: Run, server: ToyServer, picture: Path, words: tuple[str, ...], said: str
) -> None:
    ended = run("film", "job_1", *words)
    assert ended.exit_code == REFUSED
    assert said in ended.stderr
    assert not server.requests


def test_without_pyav_it_is_said_how_to_get_it(run: Run, server: ToyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    ended = run("film", "job_1")
    assert ended.exit_code == REFUSED
    assert "films are written with PyAV and Pillow:" in ended.stderr
    assert "install 'maskmill-server[video]'" in ended.stderr
    assert not server.requests


@pytest.mark.parametrize("codec", [CODECS[0], CODECS[-1]])
def test_a_film_is_as_long_whichever_codec_there_is(codec: str, tmp_path: Path) -> None:
    with container(tmp_path / "f", "mp4", title="t") as out:
        writer = FilmWriter(out, codec, size=(64, 48), rate=Fraction(2), time_base=Fraction(1, 1000))
        for at, lasts in ((0, 100), (100, 1400), (1500, 2500)):
            writer.add(opened(still(GREY, (64, 48))), at, lasts)
        writer.finish()
    times, colours, told = seen(tmp_path / "f")
    assert (times, told["seconds"]) == ([0.0, 0.1, 1.5], 4.0)
    assert are_like(colours, [GREY] * 3)


def test_the_next_best_codec_is_taken() -> None:
    assert codec_here(("no_such_codec", "mpeg4")) == "mpeg4"
    with pytest.raises(InvalidInput, match="writes none of no_such_codec"):
        codec_here(("no_such_codec",))


def frames(*names: str) -> list[Frame]:
    return [Frame(index, name, True, True) for index, name in enumerate(names)]


def test_times_are_read_from_the_names_that_the_service_gives() -> None:
    for at_ms in (0, 999, 62_500, 3_723_004, 400_000_000):
        name = frame_path("front/my.film.mkv", at_ms)
        assert shown_at_ms(name) == at_ms == round(1000 * (shown_at_s(name) or 0))
    assert shown_at_ms("f/00-00-01.000_000007.jpg") == 1000
    assert shown_at_ms("a.jpg") is shown_at_ms("00-00-01.000.png") is None


def test_two_films_of_one_name_are_two() -> None:
    names = ("d/00-00-00.000.jpg", "d/00-00-01.000.jpg", "d/00-00-00.000_000002.jpg", "d/00-00-00.900.jpg")
    one, other = films_of(frames(*names), every_s=1.0, rate=None)
    assert [(film.name, list(film.times)) for film in (one, other)] == [("d", [0, 1000, 2000]), ("d-2", [0, 900, 1800])]
    assert [frame.image for frame in other.frames] == [2, 3]
    with pytest.raises(InvalidInput, match="two frames of d are shown at the same time"):
        films_of(frames(*names), every_s=None, rate=None)  # who sent frames sent them in an order of their own
    assert len(films_of(frames(*names), every_s=None, rate=read_rate(5))[0].frames) == 4


def test_a_part_of_a_film_begins_with_its_first_frame() -> None:
    (film,) = films_of(frames("d/00-00-07.000.jpg"), every_s=0.25, rate=None)
    assert (list(film.times), film.seconds, film.rate) == ([0, 250], 0.25, Fraction(4))
    (film,) = films_of(frames("d/00-00-07.000.jpg", "d/00-00-09.000.jpg"), every_s=None, rate=None)
    assert (list(film.times), film.rate) == ([0, 2000, 4000], Fraction(1, 2))


def test_a_folder_that_is_called_like_a_film_has_a_film_of_its_own() -> None:
    made = films_of(frames("d/b.jpg", "d/00-00-00.000.jpg", "a.jpg"), every_s=1.0, rate=read_rate(10))
    assert [film.name for film in made] == ["d", "d-2", ""]
    assert [film.frames[0].name for film in made] == ["d/00-00-00.000.jpg", "d/b.jpg", "a.jpg"]
    assert chosen(made, ".") == [made[2]]
    assert chosen(made, "./d/") == chosen(made, "footage/d.mp4") == [made[0]]
    with pytest.raises(InvalidInput, match=r"no film is made of 'e'; there are d, d-2, \."):
        chosen(made, "e")


def test_a_rate_is_kept_as_it_is_written() -> None:
    assert (read_rate(29.97), read_rate(30000 / 1001), read_rate(0.5)) == (
        Fraction(2997, 100),
        Fraction(30000, 1001),
        Fraction(1, 2),
    )
