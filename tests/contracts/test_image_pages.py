"""What `jobs.ports.ImageRepository` promises to readers of long lists, on every database."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from jobs.errors import JobNotFound
from jobs.job import ImageMetrics, ImageStatus, ImageWarning, NewImage, Source, SourceKind
from jobs.listing.filters import ImageFilter
from jobs.ports import Outcome
from tests.factories import make_job
from tests.job_steps import (
    FAILURE,
    Units,
    add,
    claimed,
    ended_job,
    every_image,
    failed,
    finish,
    succeeded,
)


class TestPaging:
    def test_pages_follow_one_another_in_input_order(self, open_unit: Units):
        add(open_unit, 5)
        assert pages(open_unit, limit=2) == [[0, 1], [2, 3], [4]]

    def test_a_full_last_page_has_no_successor(self, open_unit: Units):
        add(open_unit, 4)
        assert pages(open_unit, limit=2) == [[0, 1], [2, 3]]

    @pytest.mark.parametrize("sort", ["confidence", "miou"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
    def test_a_sorted_list_is_ascending_with_the_unknown_last(self, open_unit: Units, sort: str, limit: int):
        values = [0.5, None, 0.25, 0.5, 0.1, None, 0.25]
        add(open_unit, len(values) + 1)
        claimed(open_unit, 0, len(values) - 1)
        finish(open_unit, *(measured(index, value) for index, value in enumerate(values)))
        expected = [4, 2, 6, 0, 3, 1, 5, 7]
        found = pages(open_unit, sort=sort, limit=limit)
        assert [index for page in found for index in page] == expected
        assert all(len(page) == limit for page in found[:-1])

    @pytest.mark.parametrize("sort", ["index", "confidence"])
    def test_a_status_is_picked_out(self, open_unit: Units, sort: str):
        add(open_unit, 6)
        claimed(open_unit, 0, 4)
        finish(open_unit, measured(0, 0.9), failed(1), measured(2, 0.8), failed(3))
        assert pages(open_unit, status=ImageStatus.FAILED, sort=sort, limit=1) == [[1], [3]]
        assert sorted(pages(open_unit, status=ImageStatus.SUCCEEDED, sort=sort, limit=1)) == [[0], [2]]
        assert pages(open_unit, status=ImageStatus.RUNNING, sort=sort) == [[4]]
        assert pages(open_unit, status=ImageStatus.QUEUED, sort=sort) == [[5]]
        assert pages(open_unit, status=ImageStatus.CANCELED, sort=sort) == [[]]

    @pytest.mark.parametrize("sort", ["index", "confidence"])
    def test_images_are_picked_out_by_what_they_are_called_and_say(self, open_unit: Units, sort: str):
        names = ["cam_a/0.jpg", "cam_a/1.jpg", "camXa/2.jpg", "CAM_A/3.jpg", "%/4.jpg"]
        images = [NewImage(Source(SourceKind.URL, "u"), name, f"r{at}") for at, name in enumerate(names)]
        with open_unit() as unit:
            unit.jobs.add(make_job(5), images)
            unit.commit()
        claimed(open_unit, 0, 3)
        mismatch, tail = ImageWarning("mask_mismatch", "of 2"), ImageWarning("truncated_tail", '"code":"mask_mismatch"')
        finish(
            open_unit,
            *(replace(succeeded(0), warnings=(tail, mismatch)), replace(succeeded(1), warnings=(tail,))),
            *(failed(2), Outcome(index=3, attempt=1, failure=FAILURE, retry_in_s=9)),
        )

        def found(**where: str) -> list[int]:
            return sorted(at for page in pages(open_unit, sort=sort, limit=1, **where) for at in page)

        assert found(ref="r2") == [2]
        assert found(ref="r") == []
        assert found(name="cam_a/") == [0, 1]
        assert found(name="%") == [4]
        assert found(warning="mask_mismatch") == [0]
        assert found(warning="truncated_tail", name="cam_a/1") == [1]
        assert found(warning="mask") == []
        assert found(error=FAILURE.code) == [2, 3]
        assert found(error="timed_out") == []

    @pytest.mark.parametrize("cursor", ["nonsense", "", "AAAA", "ä", "bm90LWpzb24"])
    def test_a_foreign_cursor_is_a_value_error(self, open_unit: Units, cursor: str):
        add(open_unit)
        with pytest.raises(ValueError, match=r".*"), open_unit() as unit:
            unit.images.page("job_1", sort="index", limit=2, after=cursor)

    def test_a_cursor_with_a_number_beyond_reason_harms_nobody(self, open_unit: Units):
        add(open_unit)
        forged = base64.urlsafe_b64encode(b'["miou", %d, 0]' % 10**60).decode()
        with suppress(ValueError), open_unit() as unit:
            unit.images.page("job_1", sort="miou", limit=2, after=forged)

    def test_every_image_is_walked_through_in_order(self, open_unit: Units):
        add(open_unit, 2500)
        with open_unit() as unit:
            assert [each.index for each in every_image(unit, "job_1")] == list(range(2500))

    def test_shares_of_classes_are_told_of_those_that_have_a_result(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit, 0, 1)
        odd = {'my "own"': 0.25, "sky's": 0.75}
        finish(open_unit, succeeded(0, metrics=ImageMetrics(class_fractions=odd, mean_confidence=None)), failed(1))
        with open_unit() as unit:
            assert dict(unit.images.class_shares("job_1", where=ImageFilter())) == {0: odd, 1: None, 2: None}
            assert dict(unit.images.class_shares("job_1", where=ImageFilter(status=ImageStatus.FAILED))) == {1: None}

    def test_chosen_images_come_in_the_order_asked_for(self, open_unit: Units):
        add(open_unit, 4)
        with open_unit() as unit:
            assert [each.index for each in unit.images.chosen("job_1", [3, 0, 9, 2])] == [3, 0, 2]

    def test_a_job_that_is_not_there_has_neither(self, open_unit: Units):
        for read in (
            lambda images: images.class_shares("job_9", where=ImageFilter()),
            lambda images: images.chosen("job_9", [0]),
        ):
            with pytest.raises(JobNotFound), open_unit() as unit:
                read(unit.images)


def measured(index: int, value: float | None) -> Outcome:
    metrics = ImageMetrics(class_fractions={}, mean_confidence=value, miou=value)
    return succeeded(index, metrics=metrics)


def pages(open_unit: Units, *, sort: str = "index", limit: int = 50, **where: Any) -> list[list[int]]:
    """The indices of all pages, each read in a transaction of its own."""
    found: list[list[int]] = []
    after: str | None = None
    while not found or after is not None:
        with open_unit() as unit:
            rows, after = unit.images.page("job_1", where=ImageFilter(**where), sort=sort, limit=limit, after=after)
        found.append([row.index for row in rows])
    return found


@pytest.mark.parametrize(("sort", "field"), [("clarity", "mean_entropy"), ("surety", "low_confidence")])
def test_the_most_doubtful_come_first_page_by_page(open_unit: Units, sort: str, field: str) -> None:
    doubts = [0.25, None, 0.75, 0.5]
    values: list[dict[str, Any]] = [{field: each} for each in doubts]
    metrics = [ImageMetrics(class_fractions={}, **each) for each in values]
    ended_job(open_unit, *(succeeded(index, metrics=each) for index, each in enumerate(metrics)))
    seen: list[int] = []
    after = None
    with open_unit() as unit:
        for _ in doubts:
            (row,), after = unit.images.page("job_1", sort=sort, limit=1, after=after)
            seen.append(row.index)
    assert (seen, after) == ([2, 3, 0, 1], None)
