"""The counted service does what the real one promises."""

from __future__ import annotations

import pytest

from benchmarks.simulate.model import Arrival, Service, day_of, simulate

LARGE = 6400


def service(**more: float) -> Service:
    return Service(**{"workers": 1, "image_s": 0.1, "overhead_s": 0.0, **more})  # type: ignore[arg-type]


def test_a_lone_job_takes_as_long_as_its_images() -> None:
    found = simulate([Arrival(5.0, 1), Arrival(50.0, 10)], service())
    assert found.took_s == pytest.approx([0.1, 1.0])
    assert found.images == [1, 10]
    assert found.busy == pytest.approx(1.1 / 51)


def test_twice_as_many_workers_take_half_as_long_for_a_large_job() -> None:
    (one,), (two,) = (simulate([Arrival(0.0, LARGE)], service(workers=count)).took_s for count in (1, 2))
    assert two == pytest.approx(one / 2, rel=0.02)


def test_a_small_job_waits_for_the_slice_at_work_alone() -> None:
    large, small = simulate([Arrival(0.0, LARGE), Arrival(1.0, 1)], service()).took_s
    assert small < 4
    assert large == pytest.approx(LARGE * 0.1 + 0.1)


def test_each_slice_costs_something_of_its_own() -> None:
    (took,) = simulate([Arrival(0.0, 1)], service(overhead_s=0.5)).took_s
    assert took == pytest.approx(0.6)


def test_what_a_vanished_worker_had_is_done_again() -> None:
    calm, stormy = (simulate([Arrival(0.0, LARGE)], service(workers=4, lost_per_hour=rate)) for rate in (0, 60))
    assert (calm.lost, len(stormy.took_s)) == (0, 1)
    assert stormy.lost > 0
    assert stormy.took_s[0] > calm.took_s[0]


def test_the_busiest_hour_brings_its_share_of_the_day() -> None:
    arrivals = day_of(1_000_000, jobs=5_000, peak=3.0)
    assert len(arrivals) == pytest.approx(5_000 / 24 * 3, rel=0.1)
    assert all(0 < each.at_s < 3600 and each.images >= 1 for each in arrivals)


def test_a_day_without_jobs_ends_at_once() -> None:
    assert simulate([], service()).ended_s == 0.0
