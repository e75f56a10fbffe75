"""What `KnownRepository` promises, and what finishing, deleting and purging ask of it, on every database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from jobs.job import JobTotals
from jobs.options import JobOptions
from jobs.ports import Outcome
from jobs.reuse.known import Known, is_reused
from jobs.reuse.recipe import kinds_of
from segmentation.formats.outlines import Outlines
from tests.factories import make_result
from tests.job_steps import Units, add, claimed, ended_job, failed, finish, succeeded

A, B = b"\x00" * 32, b"\xff" * 32
ONE, TWO = "1" * 64, "2" * 64


def by(index: int, sha256: str | None = ONE, *, recipes: tuple[bytes, ...] = (A,)) -> Outcome:
    return replace(succeeded(index), input_sha256=sha256, recipes=recipes)


def find(
    open_unit: Units, *inputs: str, recipes: Collection[bytes] = (A,), tenant: str = "default"
) -> dict[tuple[str, str], Known]:
    """By the picture and the kinds."""
    with open_unit() as unit:
        found = unit.known.find(tenant, recipes, inputs or (ONE, TWO))
    return {(each.input_sha256, ",".join(sorted(each.kinds))): each for each in found}


def is_any(open_unit: Units, *recipes: bytes, tenant: str = "default") -> bool:
    with open_unit() as unit:
        return unit.known.is_any(tenant, recipes)


def test_a_result_is_found_by_its_picture_and_its_recipe(open_unit: Units):
    ended_job(open_unit, by(0), by(1, TWO))
    (found,) = find(open_unit, TWO).values()
    assert (found.recipe, found.input_sha256, found.image.job_id, found.image.index) == (A, TWO, "job_1", 1)
    assert found.result == make_result()
    assert found.kinds == {"mask/False/place", "overlay/0.5/jpeg/False"}
    assert find(open_unit, ONE, recipes=[B]) == {}
    assert (is_any(open_unit, A, B), is_any(open_unit, B)) == (True, False)


def test_what_did_not_succeed_or_was_never_read_is_not_known(open_unit: Units):
    ended_job(open_unit, failed(0), by(1, None), replace(by(2), attempt=7))
    assert find(open_unit) == {}
    assert not is_any(open_unit, A)


def test_the_newest_job_answers_and_its_deletion_leaves_the_older_one(open_unit: Units):
    for job_id in ("job_2", "job_1"):
        ended_job(open_unit, by(0), job_id=job_id)
    (found,) = find(open_unit).values()
    assert found.image.job_id == "job_2"
    with open_unit() as unit:
        unit.jobs.mark_deleted("job_2")
        unit.commit()
    (found,) = find(open_unit).values()
    assert found.image.job_id == "job_1"
    with open_unit() as unit:
        unit.jobs.purge("job_2")
        unit.jobs.purge("job_1")
        unit.commit()
    assert not is_any(open_unit, A)


def test_results_with_other_artifacts_are_known_beside_one_another(open_unit: Units):
    ended_job(open_unit, by(0))
    options = JobOptions(model="tiny", label_space="camvid-11", artifacts=("mask",))
    ended_job(open_unit, by(0), job_id="job_2", options=options)
    assert {kinds: each.image.job_id for (_, kinds), each in find(open_unit).items()} == {
        "mask/False/place,overlay/0.5/jpeg/False": "job_1",
        "mask/False/place": "job_2",
    }


def test_kinds_of_artifacts_that_were_chosen_otherwise_are_read_as_they_were_written(open_unit: Units):
    options = JobOptions(
        model="tiny",
        label_space="camvid-11",
        artifacts=("overlay", "polygons"),
        classes=("sky", "car"),
        polygons=Outlines(1.5, 20),
    )
    ended_job(open_unit, by(0), options=options)
    (found,) = find(open_unit).values()
    assert found.kinds == set(kinds_of(options).values())
    assert kinds_of(replace(options, classes=("car", "sky"))) == kinds_of(options)


def test_nothing_is_known_of_other_tenants(open_unit: Units):
    ended_job(open_unit, by(0), tenant="acme")
    assert (find(open_unit), is_any(open_unit, A)) == ({}, False)
    assert len(find(open_unit, tenant="acme")) == 1
    with open_unit("default") as unit:
        assert unit.known.find("acme", [A], [ONE]) == []
        assert not unit.known.is_any("acme", [A])


def test_a_picture_that_a_job_has_twice_is_known_once(open_unit: Units):
    ended_job(open_unit, by(0), by(1))
    assert len(find(open_unit)) == 1


def test_each_model_of_a_job_has_its_own(open_unit: Units):
    add(open_unit, 1, models=("tiny", "other"), totals=(JobTotals(), JobTotals()))
    claimed(open_unit)
    results = (make_result(width=1), make_result(width=2))
    finish(open_unit, replace(by(0, recipes=(A, B)), results=results))
    (found,) = find(open_unit, recipes=[B]).values()
    assert (found.model, found.result.width) == (1, 2)


def test_a_job_counts_the_images_for_which_no_model_ran(open_unit: Units):
    reused = replace(succeeded(0), results=(make_result(reused=True),))
    job = ended_job(open_unit, reused, succeeded(1), failed(2))
    assert job.reused == 1
    with open_unit() as unit:
        assert [is_reused(unit.images.get(job.id, at).results) for at in range(3)] == [True, False, False]
