"""How far an image's classes are from those of its job, and lists that begin with the farthest."""

from __future__ import annotations

import base64

import pytest

from jobs.comparing.drift import class_drift, drifted_page, usual_shares
from jobs.job import ImageMetrics, ImageStatus
from tests.fakes import FakeClock
from tests.job_steps import Units, add, claimed, failed, finish, succeeded
from tests.memory_database import MemoryDatabase


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
            rows, after = drifted_page(unit, unit.jobs.get("job_1"), status=None, limit=limit, after=after)
        found += [row.index for row in rows]
    assert found == [2, 0, 3, 1, 4]


def test_a_state_is_picked_out(open_unit: Units) -> None:
    with open_unit() as unit:
        rows, _ = drifted_page(unit, unit.jobs.get("job_1"), status=ImageStatus.FAILED, limit=9, after=None)
    assert [row.index for row in rows] == [1]


def test_a_job_without_any_result_has_no_usual_shares() -> None:
    units = memory_units()
    add(units, 1)
    with units() as unit:
        assert usual_shares(unit.jobs.get("job_1")) == [{}]


@pytest.mark.parametrize("cursor", ["", "ä", "A", "AAAA", "_w", *(b"class_drift 9", b"class_drift x", b"miou 0")])
def test_a_foreign_cursor_is_a_value_error(open_unit: Units, cursor: str | bytes) -> None:
    given = cursor if isinstance(cursor, str) else base64.urlsafe_b64encode(cursor).decode()
    with pytest.raises(ValueError, match=r".*"), open_unit() as unit:
        drifted_page(unit, unit.jobs.get("job_1"), status=None, limit=2, after=given)
