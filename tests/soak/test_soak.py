"""What `make soak` makes of its samples. Its short form runs on the stack of `tests/fuzz`, which is there already."""

from __future__ import annotations

import math
import re

import pytest

from tests.soak.figure import figure
from tests.soak.samples import Sample, oldest_s, slopes


def samples(*values: float) -> list[Sample]:
    return [Sample(60.0 * number, {"memory (MiB)": {"api": value}}) for number, value in enumerate(values)]


def test_growth_is_told_per_hour_and_without_the_warm_up() -> None:
    assert slopes(samples(0, 100, 101, 102, 103))["memory (MiB)"]["api"] == pytest.approx(60)


def test_a_single_sample_has_no_slope() -> None:
    assert math.isnan(slopes(samples(5))["memory (MiB)"]["api"])


def test_every_quantity_has_its_chart_and_every_part_its_line() -> None:
    lines = re.findall(r'<polyline points="([^"]+)"', figure(samples(1, 2, 3)))
    assert [len(points.split()) for points in lines] == [3]


def test_the_age_of_the_queue_is_that_of_the_oldest_job() -> None:
    text = 'maskmill_queue_oldest_seconds{queue="bulk",tenant="a"} 3.5\nmaskmill_queue_oldest_seconds{queue="x"} 7\n'
    assert oldest_s(text) == 7
    assert oldest_s("") == 0
