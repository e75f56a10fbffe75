"""Films among the inputs of a job: their frames are images, named by time, and nothing hostile outlives its bounds."""

from __future__ import annotations

import csv
import io
import sys
import tempfile
import zipfile
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from jobs.errors import FilmUnreadable, FilmUnsupported, InvalidOptions, TooManyBytes, TooManyImages
from jobs.films.film import frame_path, frames_of_film, read_every, shown_at_s
from jobs.options import JobOptions, parse_option_fields, parse_options
from jobs.reporting.archive import Archives
from segmentation.picture_files.film import FilmLimits
from tests.factories import mask, picture
from tests.films import damaged, film


@pytest.fixture(scope="module")
def short() -> bytes:
    return film(seconds=2.0)


def submit(service, *files: tuple[str, bytes], **options):
    with service.submitting.open_draft() as draft:
        for name, data in files:
            draft.add_file(name, io.BytesIO(data), media_type=None)
        return service.submitting.submit(draft, parse_options(options))


def rows_of(service, job):
    return service.reading.images(job.id, limit=100, after=None)[0]


def test_frames_become_images_behind_the_others_and_are_named_by_their_time(service, short) -> None:
    job = submit(service, ("drive/film.mp4", short), ("a.jpg", picture()), every="500ms")
    assert [row.name for row in rows_of(service, job)] == [
        "a.jpg",
        *(f"drive/film/00-00-{at}.jpg" for at in ("00.000", "00.500", "01.000", "01.500")),
    ]
    assert job.options.every == 0.5
    assert len(service.objects.contents) == 5  # the film itself is not kept


def test_a_frame_never_takes_the_place_of_a_picture_behind_a_mask_that_is_passed_over(service, short) -> None:
    files = [("a.jpg", picture(seed=1)), ("a_mask.png", mask(np.zeros((24, 32), np.uint8))), ("b.jpg", picture(seed=2))]
    job = submit(service, *files, ("film.mp4", short))
    rows = rows_of(service, job)
    assert [row.name for row in rows][:2] == ["a.jpg", "b.jpg"]
    assert len({row.source.location for row in rows}) == len(rows) == 4
    for row in rows:
        assert sha256(service.objects.get(row.source.location)).hexdigest() == row.input_sha256


def test_frames_of_a_damaged_film_tell_that_they_are(service) -> None:
    job = submit(service, ("film.mp4", damaged("libx264")[1]), every=2)
    service.work()
    told = {row.name: [each.code for each in row.warnings] for row in rows_of(service, job)}
    assert told == {
        "film/00-00-00.000.jpg": [],
        "film/00-00-02.000.jpg": ["damaged_data"],
        "film/00-00-04.000.jpg": [],
    }


def test_a_film_that_was_sent_ahead_becomes_images_with_the_callers_id(service, short) -> None:
    with service.submitting.open_draft() as draft:
        draft.add_packed("film.mkv", io.BytesIO(short), ref="drive-7")
        job = service.submitting.submit(draft, parse_options({}))
    assert [(row.name, row.ref) for row in rows_of(service, job)] == [
        ("film/00-00-00.000.jpg", "drive-7"),
        ("film/00-00-01.000.jpg", "drive-7"),
    ]


def test_who_does_not_say_how_often_gets_a_frame_each_second(service, short) -> None:
    job = submit(service, ("film.mov", short))
    assert job.options.every == 1.0
    assert job.counts.total == 2


def test_a_job_without_a_film_takes_no_frames_and_says_so_where_they_were_asked_for(service) -> None:
    job = submit(service, ("a.jpg", picture()))
    assert "every" not in job.options.to_dict()
    with pytest.raises(InvalidOptions, match="every: is of films; the request holds none that is read here"):
        submit(service, ("a.jpg", picture()), every=2)


def test_the_table_of_metrics_has_the_time_of_each_frame(service, short) -> None:
    job = submit(service, ("film.mp4", short), ("a.jpg", picture()), every="0.5")
    service.work()
    archive = Archives(service.database.unit, service.inputs, service.catalog, "maskmill test").open(job.id)
    entry = next(each for each in archive.entries if each.name == "metrics.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(archive.read(entry)).decode())))
    assert [row["time_s"] for row in rows] == ["", "0.000", "0.500", "1.000", "1.500"]
    assert all(float(row["fraction:sky"]) >= 0 for row in rows)


def test_a_film_that_breaks_a_limit_leaves_nothing_behind(service, short) -> None:
    service.rules = replace(service.rules, max_images=1)
    with pytest.raises(TooManyImages, match="more frames than the 1"):
        submit(service, ("film.mp4", short))
    assert service.objects.contents == {}


@pytest.mark.parametrize("name", ["film.mp4", "film"])
def test_a_damaged_film_is_refused_by_name(service, short, name) -> None:
    with pytest.raises(FilmUnreadable, match=f"'{name}' is damaged"):
        submit(service, (name, short[:500]))
    with pytest.raises(FilmUnreadable):
        submit(service, ("film.mp4", b"nonsense"))


@pytest.mark.parametrize("limits", [FilmLimits(memory_bytes=50 * 2**20), FilmLimits(cpu_s=0)])
def test_a_film_that_takes_more_than_it_may_ends_its_own_process_alone(service, short, limits) -> None:
    service.rules = replace(service.rules, films=limits)
    with pytest.raises(FilmUnreadable, match="more time or memory"):
        submit(service, ("film.mp4", short))


def test_frames_that_are_too_large_are_refused(service, short) -> None:
    service.rules = replace(service.rules, films=FilmLimits(pixels=100))
    with pytest.raises(TooManyBytes, match="frames of 64 × 48"):
        submit(service, ("film.mp4", short))


def test_where_nothing_reads_films_that_is_said(service, short, monkeypatch) -> None:
    monkeypatch.setattr("sys.path", [path for path in sys.path if "site-packages" not in path])
    monkeypatch.setattr("jobs.films.film._PYTHON", (sys.executable, "-S"))
    with pytest.raises(FilmUnsupported, match=r"maskmill-server\[video\]"):
        submit(service, ("film.mp4", short))


def test_who_stops_taking_frames_ends_the_decoder(short) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(short)
        frames = frames_of_film(file, "film.mp4", every_s=0.25, limits=FilmLimits())
        assert next(frames).path == "film/00-00-00.000.jpg"
        frames.close()  # returns when the process has ended
        assert list(frames) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("500ms", 0.5), ("2min", 120), ("0.25", 0.25), (" 3 S ", 3), ("soon", None)]
)
def test_how_often_is_said_with_or_without_a_unit(text, seconds) -> None:
    assert read_every(text) == seconds


@pytest.mark.parametrize("value", ["soon", "", 0, -1, True, [1], "2000min"])
def test_an_impossible_step_names_the_possible_ones(value) -> None:
    with pytest.raises(InvalidOptions, match=r"every: must be 0\.001 to 86400 seconds"):
        parse_options({"every": value})


def test_the_step_survives_a_round_trip_and_comes_as_text_in_a_form() -> None:
    options = parse_option_fields({"every": "500ms"}, options=None)
    assert options == JobOptions(every=0.5) == parse_options(options.to_dict())


def test_the_time_of_a_frame_is_in_its_name() -> None:
    assert frame_path("drive/my.film.mkv", 3_723_004) == "drive/my.film/01-02-03.004.jpg"
    assert shown_at_s("drive/my.film/01-02-03.004.jpg") == 3723.004
    assert shown_at_s("f/00-00-01.000_000007.jpg") == 1.0
    assert shown_at_s("a.jpg") is None


def zipped(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return data.getvalue()


def test_films_in_archives_become_images_too(service, short) -> None:
    packed = zipped(drive__film_dot_mp4=short, a_dot_jpg=picture(), notes_dot_txt=b"x")
    job = submit(service, ("all.zip", packed))
    assert [row.name for row in rows_of(service, job)] == [
        "a.jpg",
        "drive/film/00-00-00.000.jpg",
        "drive/film/00-00-01.000.jpg",
    ]
    assert job.skipped.count == 1
    with service.submitting.open_draft() as draft:
        draft.add_packed("all.zip", io.BytesIO(packed), ref="drive-7")
        job = service.submitting.submit(draft, parse_options({}))
    assert {row.ref for row in rows_of(service, job)} == {"drive-7"}


def test_films_in_archives_take_no_more_room_than_a_request_may(service, short) -> None:
    service.rules = replace(service.rules, max_request_bytes=2 * len(short) - 1)
    with pytest.raises(TooManyBytes, match="larger than a film may be"):
        submit(service, ("all.zip", zipped(one_dot_mp4=short, two_dot_mp4=short)))


def test_a_damaged_film_in_an_archive_is_named(service, short) -> None:
    with pytest.raises(FilmUnreadable, match="half"):
        submit(service, ("all.zip", zipped(half_dot_mp4=short[: len(short) // 2])))


def test_films_among_masks_are_passed_over(service, short) -> None:
    with service.submitting.open_draft() as draft:
        draft.add_file("a.jpg", io.BytesIO(picture()), media_type=None)
        draft.add_mask("masks.zip", io.BytesIO(zipped(film_dot_mp4=short)))
        job = service.submitting.submit(draft, parse_options({}))
    assert (job.counts.total, job.skipped.count) == (1, 1)
