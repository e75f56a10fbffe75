"""What `PartRepository` promises, and what keeping parts asks of jobs and images, on every database."""

from __future__ import annotations

import pytest

from jobs.errors import JobNotFound
from tests.job_steps import Units, add, cancel, claimed, failed, finish, succeeded


def keep(open_unit: Units, first: int, content: bytes | None, *, job_id: str = "job_1") -> None:
    with open_unit() as unit:
        unit.parts.keep(job_id, first, content)
        unit.commit()


def test_what_is_kept_is_given_back_by_the_index_of_its_first_image(open_unit: Units):
    add(open_unit)
    keep(open_unit, 0, b"\x00\xff")
    keep(open_unit, 500, None)
    with open_unit("default") as unit:
        assert unit.parts.of("job_1") == {0: b"\x00\xff", 500: None}
        assert unit.parts.firsts("job_1") == {0, 500}
        assert unit.parts.of("job_2") == {}


def test_the_first_who_keeps_a_part_counts(open_unit: Units):
    add(open_unit)
    keep(open_unit, 0, b"first")
    keep(open_unit, 0, b"second")
    with open_unit() as unit:
        assert unit.parts.of("job_1") == {0: b"first"}


def test_parts_are_their_jobs_tenants(open_unit: Units):
    add(open_unit)
    keep(open_unit, 0, b"mine")
    with open_unit("else") as unit:
        assert unit.parts.of("job_1") == {}
        assert unit.parts.firsts("job_1") == frozenset()


def test_parts_go_with_their_job_and_do_not_come_after_it(open_unit: Units):
    add(open_unit, 1)
    add(open_unit, 1, job_id="job_2")
    for job_id in ("job_1", "job_2"):
        keep(open_unit, 0, b"kept", job_id=job_id)
    with open_unit() as unit:
        unit.jobs.purge("job_1")
        unit.commit()
    keep(open_unit, 500, b"late")
    with open_unit() as unit:
        assert (unit.parts.of("job_1"), unit.parts.of("job_2")) == ({}, {0: b"kept"})


def test_neighbouring_images_are_read_in_input_order(open_unit: Units):
    add(open_unit, 6)
    with open_unit("default") as unit:
        assert [image.index for image in unit.images.run("job_1", first=2, last=4)] == [2, 3, 4]
        assert [image.index for image in unit.images.run("job_1", first=5, last=9)] == [5]
    with open_unit("else") as unit, pytest.raises(JobNotFound):
        unit.images.run("job_1", first=0, last=1)


def test_a_part_is_ripe_when_all_its_images_have_ended(open_unit: Units):
    add(open_unit, 4)
    claimed(open_unit, 0, 1)
    finish(open_unit, succeeded(0), failed(1))
    claimed(open_unit, 2, 2)
    with open_unit() as unit:
        assert [unit.parts.is_ripe("job_1", *part) for part in ((0, 1), (1, 2), (3, 3))] == [True, False, False]


def test_large_jobs_are_those_of_so_many_images_that_have_not_ended(open_unit: Units):
    for job_id, images in (("job_1", 2), ("job_2", 3), ("job_3", 4), ("job_4", 3)):
        add(open_unit, images, job_id=job_id)
    claimed(open_unit, 0, 2, job_id="job_2")
    finish(open_unit, succeeded(0), failed(1), job_id="job_2")
    cancel(open_unit, job_id="job_4")
    with open_unit() as unit:
        assert sorted(unit.jobs.large(images=3)) == ["job_2", "job_3"]
