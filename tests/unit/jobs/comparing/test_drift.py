"""How far an image's classes are from those of its job, and lists that begin with the farthest."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from jobs.comparing.drift import DriftOrders, class_drift, usual_shares
from jobs.job import ImageMetrics, ImageStatus
from jobs.listing.filters import ImageFilter
from jobs.ports import UnitOfWork
from tests.fakes import FakeClock
from tests.job_steps import Units, add, claimed, failed, finish, succeeded
from tests.memory_database import MemoryDatabase

FAILED = ImageFilter(status=ImageStatus.FAILED)


def memory_units() -> Units:
    clock = FakeClock()
    return Units(MemoryDatabase(clock).unit, clock)


@pytest.fixture
def open_unit() -> Units:
    """Four images: two roads, one sky, one failure; a fifth waits."""
    units = memory_units()
    add(units, 5)
    claimed(units, 0, 3)
    road, sky = ({name: 1.0} for name in ("road", "sky"))
    made = [succeeded(at, metrics=ImageMetrics(class_fractions=each)) for at, each in ((0, road), (2, sky), (3, road))]
    finish(units, *made, failed(1))
    return units


def test_drift_is_the_share_of_pixels_that_would_have_to_change() -> None:
    assert class_drift({"road": 0.75, "sky": 0.25}, {"road": 0.5, "tree": 0.5}) == 0.5
    assert class_drift({"road": 1.0}, {"sky": 1.0}) == 1
    assert class_drift({}, {}) == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 9])
def test_the_farthest_come_first_and_those_without_a_result_last(open_unit: Units, limit: int) -> None:
    found: list[int] = []
    after: str | None = None
    while not found or after:
        with open_unit() as unit:
            rows, after = DriftOrders().page(
                unit, unit.jobs.get("job_1"), where=ImageFilter(), limit=limit, after=after
            )
        found += [row.index for row in rows]
    assert found == [2, 0, 3, 1, 4]


def test_a_state_is_picked_out(open_unit: Units) -> None:
    with open_unit() as unit:
        rows, _ = DriftOrders().page(unit, unit.jobs.get("job_1"), where=FAILED, limit=9, after=None)
    assert [row.index for row in rows] == [1]


def shares_read(unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each look at the shares of all images."""
    looks: list[str] = []
    look = type(unit.images).class_shares

    def counted(images: object, job_id: str, *, where: ImageFilter) -> object:
        looks.append(job_id)
        return look(images, job_id, where=where)  # type: ignore[arg-type]

    monkeypatch.setattr(type(unit.images), "class_shares", counted)
    return looks


def test_only_the_first_page_of_a_job_that_stays_as_it_is_looks_at_all_images(
    open_unit: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = DriftOrders()
    with open_unit() as unit:
        looks = shares_read(unit, monkeypatch)
        job = unit.jobs.get("job_1")
        _, after = orders.page(unit, job, where=ImageFilter(), limit=2, after=None)
        rows, _ = orders.page(unit, job, where=ImageFilter(), limit=2, after=after)
        assert ([row.index for row in rows], len(looks)) == ([3, 1], 1)
        orders.page(unit, job, where=FAILED, limit=2, after=None)
        orders.page(unit, replace(job, version=job.version + 1), where=ImageFilter(), limit=2, after=None)
    assert len(looks) == 3


def test_few_orders_are_kept_and_the_longest_unused_goes_first(
    open_unit: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = DriftOrders()
    orders.KEPT = 2
    with open_unit() as unit:
        looks = shares_read(unit, monkeypatch)
        job = unit.jobs.get("job_1")
        for version in (1, 2, 1, 3, 1, 2):  # the third takes the place of the second
            orders.page(unit, replace(job, version=version), where=ImageFilter(), limit=2, after=None)
    assert len(looks) == 4


def test_a_job_without_any_result_has_no_usual_shares() -> None:
    units = memory_units()
    add(units, 1)
    with units() as unit:
        assert usual_shares(unit.jobs.get("job_1")) == [{}]


@pytest.mark.parametrize("cursor", ["", "ä", "A", "AAAA", "_w", *(b'["class_drift", 9]', b'["class_drift", true]')])
def test_a_foreign_cursor_is_a_value_error(open_unit: Units, cursor: str | bytes) -> None:
    given = cursor if isinstance(cursor, str) else base64.urlsafe_b64encode(cursor).decode()
    with pytest.raises(ValueError, match=r".*"), open_unit() as unit:
        DriftOrders().page(unit, unit.jobs.get("job_1"), where=ImageFilter(), limit=2, after=given)
