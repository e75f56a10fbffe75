"""What `CorrectionRepository`, and scoring an image anew, promise on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.corrections.correction import Correction, CorrectionFile
from jobs.errors import ImageNotFinished, ImageNotFound, JobNotFound
from jobs.job import ImageMetrics
from jobs.ports import Standing
from jobs.watching.hints import Hint
from tests.factories import NOON
from tests.job_steps import Units, add, claimed, ended_job, finish, get, image, succeeded

FILE = CorrectionFile(key="default/jobs/job_1/corrections/000000.A", size=2**33, crc32=2**32 - 1, sha256="ab" * 32)
LATER = NOON + timedelta(seconds=10)


def correct(open_unit: Units, index: int = 0, *, job_id: str = "job_1", key: str = FILE.key) -> Correction:
    with open_unit("default") as unit:
        correction = unit.corrections.add(job_id, index, replace(FILE, key=key), made_by="key_1")
        unit.commit()
    return correction


def test_versions_count_from_one_and_all_are_kept(open_unit: Units):
    add(open_unit)
    first = correct(open_unit)
    open_unit.clock.now = LATER
    second = correct(open_unit, key="second")
    assert (first.version, first.made_at, first.made_by, first.file) == (1, NOON, "key_1", FILE)
    assert (second.version, second.made_at) == (2, LATER)
    with open_unit("default") as unit:
        assert list(unit.corrections.versions("job_1", 0)) == [second, first]
        assert list(unit.corrections.versions("job_1", 1)) == []


def test_the_newest_of_each_image_come_in_input_order(open_unit: Units):
    add(open_unit)
    add(open_unit, job_id="job_2")
    correct(open_unit, 2, key="a")
    correct(open_unit, 0, key="b")
    correct(open_unit, 2, key="c")
    correct(open_unit, 1, job_id="job_2")
    with open_unit("default") as unit:
        assert [(each.index, each.file.key) for each in unit.corrections.newest("job_1")] == [(0, "b"), (2, "c")]
        assert [each.index for each in unit.corrections.newest("job_1", limit=1)] == [0]
        assert [each.index for each in unit.corrections.newest("job_1", after=0)] == [2]


def test_jobs_that_were_corrected_lately_are_found(open_unit: Units):
    for job_id in ("job_1", "job_2"):
        add(open_unit, job_id=job_id)
        correct(open_unit, job_id=job_id)
    open_unit.clock.now = LATER
    for index in (0, 1):
        correct(open_unit, index, job_id="job_2")
    with open_unit() as unit:
        assert unit.corrections.jobs_since(NOON) == {"job_1", "job_2"}
        assert unit.corrections.jobs_since(LATER) == {"job_2"}
        assert unit.corrections.jobs_since(LATER + timedelta(seconds=1)) == frozenset()
    with open_unit("else") as unit:
        assert unit.corrections.jobs_since(NOON) == frozenset()


def test_a_job_that_ended_before_and_was_corrected_lately_stands_with_what_ended(open_unit: Units):
    for number in (1, 2):
        ended_job(open_unit, succeeded(0), job_id=f"job_{number}")
    open_unit.clock.now = NOON + timedelta(hours=1)
    correct(open_unit, job_id="job_2")
    correct(open_unit, job_id="job_2")
    with open_unit() as unit:
        (found,) = unit.jobs.standing(since=NOON + timedelta(minutes=59))
        assert found == Standing("job_2", "default", unit.jobs.get("job_2").version, unit.jobs.get("job_2").finished_at)
        assert list(unit.jobs.standing()) == []


def test_corrections_are_their_jobs_tenants(open_unit: Units):
    add(open_unit)
    correct(open_unit)
    with open_unit("else") as unit:
        assert list(unit.corrections.versions("job_1", 0)) == []
        assert list(unit.corrections.newest("job_1")) == []
        with pytest.raises(JobNotFound):
            unit.corrections.add("job_1", 0, FILE, made_by=None)


def test_corrections_go_with_their_job(open_unit: Units):
    add(open_unit, 1)
    add(open_unit, 1, job_id="job_2")
    for job_id in ("job_1", "job_2"):
        correct(open_unit, job_id=job_id)
    with open_unit() as unit:
        unit.jobs.purge("job_1")
        unit.commit()
    with open_unit() as unit:
        assert list(unit.corrections.newest("job_1")) == []
        assert len(unit.corrections.newest("job_2")) == 1


def test_scoring_anew_changes_the_image_and_the_sums_of_its_job(open_unit: Units, told: list[Hint]):
    add(open_unit, 2)
    claimed(open_unit)
    truth = ImageMetrics(class_fractions={"sky": 1.0}, confusion=((3, 1), (0, 0)), miou=0.75)
    finish(open_unit, succeeded(0, metrics=truth), succeeded(1))
    before = get(open_unit)
    told.clear()
    for index, confusion in ((0, ((4, 0), (0, 0))), (1, ((0, 0), (2, 2)))):
        with open_unit("default") as unit:
            result = unit.images.rescore("job_1", index, [{"confusion": confusion, "miou": 1.0 - index}])
            unit.commit()
        assert image(open_unit, index).result == result
        assert result.metrics.corrected
    after = get(open_unit)
    assert [hint.jobs for hint in told] == [frozenset({"job_1"})] * 2
    assert after.version == before.version + 2
    assert after.totals[0].confusion == ((4, 0), (2, 2))
    assert (after.totals[0].truth_images, after.totals[0].corrected_images) == (2, 2)
    assert replace(after, version=before.version, totals=before.totals) == before
    with open_unit() as unit:
        worst, _ = unit.images.page("job_1", sort="miou", limit=9, after=None)
    assert [each.index for each in worst] == [1, 0]


def test_what_cannot_be_scored_takes_its_job_one_version_further(open_unit: Units, told: list[Hint]):
    add(open_unit, 1)
    claimed(open_unit)
    finish(open_unit, succeeded(0))
    before, unscored = get(open_unit), image(open_unit, 0)
    told.clear()
    with open_unit("default") as unit:
        unit.images.rescore("job_1", 0, None)
        unit.commit()
    assert get(open_unit) == replace(before, version=before.version + 1)
    assert image(open_unit, 0) == unscored
    assert [hint.jobs for hint in told] == [frozenset({"job_1"})]


def test_only_what_succeeded_is_scored_anew(open_unit: Units):
    add(open_unit, 1)
    with open_unit() as unit:
        with pytest.raises(ImageNotFinished):
            unit.images.rescore("job_1", 0, [{}])
        with pytest.raises(ImageNotFound):
            unit.images.rescore("job_1", 1, [{}])
        with pytest.raises(JobNotFound):
            unit.images.rescore("job_2", 0, [{}])


def test_a_part_that_was_forgotten_is_not_kept_again(open_unit: Units):
    add(open_unit)
    with open_unit() as unit:
        unit.parts.keep("job_1", 0, b"kept")
        for first in (0, 500):
            unit.parts.forget("job_1", first)
        unit.parts.keep("job_1", 500, b"surveyed before")
        unit.parts.forget("job_2", 0)
        unit.commit()
    with open_unit() as unit:
        assert (unit.parts.of("job_1"), unit.parts.of("job_2")) == ({0: None, 500: None}, {})
