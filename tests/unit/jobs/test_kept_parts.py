"""Parts of archives that are kept while a job grows: the archive is the same with them and without."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest

from jobs.errors import DatabaseUnavailable
from jobs.job import Job
from jobs.ports import Claim
from jobs.reporting.archive import Archive
from jobs.reporting.keeping import UNFINISHED, keep_parts, keep_ripe
from jobs.reporting.pieces import Piece
from tests.unit.jobs.test_archive import Mill
from worker.fair_executor import FairExecutor

NAMES = [f"cam_{number % 2}/{number}.jpg" for number in range(5)]


@pytest.fixture
def mill(monkeypatch: pytest.MonkeyPatch) -> Mill:
    """Parts of two images, from three images on."""
    for module in ("archive", "keeping"):
        monkeypatch.setattr(f"jobs.reporting.{module}.PART", 2)
    monkeypatch.setattr("jobs.reporting.keeping.LEAST_IMAGES", 3)
    return Mill()


def keep(mill: Mill, watched: set[str] | None = None) -> int:
    return keep_parts(mill.database.unit, set() if watched is None else watched)


def kept(mill: Mill, job: Job) -> dict[int, bool]:
    """By a part's first image, whether its contents are there."""
    with mill.database.unit() as unit:
        return {first: content is not None for first, content in unit.parts.of(job.id).items()}


def told(archive: Archive) -> list[tuple[str, int, int, bytes]]:
    return [(each.name, each.size, each.crc32, b"".join(archive.read(each))) for each in archive.entries]


def work_some(mill: Mill, slices: int) -> None:
    """The first so many slices; the others wait."""
    pieces = mill.dispatcher.take()
    mill.dispatcher.dispatch(pieces[:slices])
    mill.work()
    mill.dispatcher.dispatch(pieces[slices:])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("broken", [(), (NAMES[3],)])
def test_an_archive_from_kept_parts_is_the_one_without_them(mill: Mill, masked: bool, broken: tuple[str, ...]):
    watched: set[str] = set()
    job = mill.submit(*NAMES, artifacts=("mask", "coco", "overlay"), masked=masked, broken=broken)
    keep(mill, watched)
    mill.work()
    fresh = mill.archives.open(job.id)
    before = told(fresh)
    assert keep(mill, watched) == 3
    assert kept(mill, job) == {0: True, 2: not broken, 4: True}
    again = mill.archives.open(job.id)
    assert told(again) == before
    assert (again.fingerprint, len(again.entries)) == (fresh.fingerprint, len(before))


def test_parts_are_kept_while_the_job_runs(mill: Mill):
    watched: set[str] = set()
    job = mill.submit(*NAMES)
    work_some(mill, 3)
    assert (keep(mill, watched), kept(mill, job), watched) == (1, {0: True}, {job.id})
    mill.work()
    assert (keep(mill, watched), kept(mill, job), watched) == (2, {0: True, 2: True, 4: True}, set())


def test_images_of_a_part_that_is_not_ripe_are_not_read(mill: Mill, monkeypatch: pytest.MonkeyPatch):
    mill.submit(*NAMES)

    def run(*_: object, **__: object) -> None:
        raise AssertionError("none of them has ended")

    monkeypatch.setattr("tests.memory_database._Images.run", run)
    assert keep(mill) == 0


def test_what_is_kept_is_not_read_from_the_images_again(mill: Mill, monkeypatch: pytest.MonkeyPatch):
    watched: set[str] = set()
    job = mill.submit(*NAMES)
    keep(mill, watched)
    mill.work()
    keep(mill, watched)

    def surveyed(*_: object) -> None:
        raise AssertionError("it was kept")

    monkeypatch.setattr("jobs.reporting.archive.survey", surveyed)
    assert len(mill.archives.open(job.id).entries) == 3 + 2 * len(NAMES)


def test_a_part_with_a_failed_image_is_surveyed_after_a_retry(mill: Mill):
    watched: set[str] = set()
    job = mill.submit(*NAMES, broken=[NAMES[0]])
    keep(mill, watched)
    mill.work()
    keep(mill, watched)
    first = mill.archives.open(job.id)
    assert "errors.csv" in [each.name for each in first.entries]
    with mill.database.unit() as unit:
        unit.jobs.requeue_failed(job.id)
        unit.commit()
    with mill.database.unit() as unit:
        unit.jobs.request_cancel(job.id)
        unit.commit()
    after = mill.archives.open(job.id)
    assert "canceled" in {name: data for name, _, _, data in told(after)}["metrics.csv"].decode()
    assert after.fingerprint != first.fingerprint


def test_lines_that_were_kept_before_the_first_truth_was_seen_are_not_used(mill: Mill):
    job = mill.submit(*NAMES, masked=True)
    mill.work()
    before = told(mill.archives.open(job.id))
    with mill.database.unit() as unit:
        unit.parts.keep(job.id, 0, Piece("index,name", metrics="old").packed())
        unit.commit()
    assert told(mill.archives.open(job.id)) == before


def test_small_jobs_and_deleted_ones_are_left_alone(mill: Mill):
    watched = {"job_gone"}
    job = mill.submit(*NAMES[:2])
    mill.work()
    assert (keep(mill, watched), kept(mill, job), watched) == (0, {}, set())


def test_a_round_keeps_no_more_than_it_may(mill: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.reporting.keeping.MOST_PARTS", 2)
    watched: set[str] = set()
    mill.submit(*NAMES)
    keep(mill, watched)
    mill.work()
    assert [keep(mill, watched) for _ in range(3)] == [2, 1, 0]


def test_beyond_some_parts_that_have_not_ended_nothing_is_looked_at(mill: Mill, monkeypatch: pytest.MonkeyPatch):
    looked: list[int] = []
    mill.submit(*[f"{number}.jpg" for number in range(2 * UNFINISHED + 4)])

    def look(_unit: object, _job_id: str, first: int) -> bool:
        looked.append(first)
        return False

    monkeypatch.setattr("jobs.reporting.keeping._keep_one", look)
    assert keep(mill) == 0
    assert looked == [2 * number for number in range(UNFINISHED)]


def turns(mill: Mill) -> list[Claim]:
    """Of all that was sent, an image each; keeps nothing."""
    with FairExecutor(1, name="picture") as threads:
        work = mill.processing(threads)
        return [claim for piece in mill.dispatcher.take() if (claim := work.run(piece)) is not None]


@pytest.mark.parametrize("broken", [(), (NAMES[3],)])
def test_a_part_is_kept_as_soon_as_its_last_image_ends(mill: Mill, broken: tuple[str, ...]):
    job = mill.submit(*NAMES, artifacts=("mask", "coco"), broken=broken)
    first, *others = mill.dispatcher.take()
    mill.dispatcher.dispatch([first])
    for claim in turns(mill):
        keep_ripe(mill.database.unit, claim)
    assert kept(mill, job) == {}
    mill.dispatcher.dispatch(others)
    claims = turns(mill)
    before = told(mill.archives.open(job.id))
    for claim in claims:
        keep_ripe(mill.database.unit, claim)
    assert kept(mill, job) == {0: True, 2: not broken, 4: True}
    assert told(mill.archives.open(job.id)) == before


def test_of_a_small_job_nothing_is_kept_when_its_images_end(mill: Mill):
    job = mill.submit(*NAMES[:2])
    for claim in turns(mill):
        keep_ripe(mill.database.unit, claim)
    assert kept(mill, job) == {}


def test_of_a_deleted_job_nothing_is_kept(mill: Mill):
    job = mill.submit(*NAMES)
    claim = turns(mill)[-1]
    gone = replace(claim, job=replace(claim.job, id="job_gone"))
    keep_ripe(mill.database.unit, gone)
    assert kept(mill, job) == {}


def test_what_cannot_be_kept_when_images_end_is_kept_by_upkeep(mill: Mill):
    job = mill.submit(*NAMES)
    claim = turns(mill)[-1]

    def away(tenant: str | None = None) -> NoReturn:
        raise DatabaseUnavailable("the database does not answer")

    keep_ripe(away, claim)
    assert kept(mill, job) == {}
    assert keep(mill, {job.id}) == 3
