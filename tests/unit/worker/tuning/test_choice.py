"""The decision, from figures alone: clear gains win, noise does not."""

import random

import pytest

from storage.registry.tunings import Way
from worker.tuning.choice import fastest, is_faster, median_ms, stream_choices


def way(precision: str, streams: int = 2) -> Way:
    return Way(engine="openvino", precision=precision, streams=streams, threads=1)


BF16, INT8, FP32 = way("bf16"), way("int8"), way("fp32")
ORDER = [BF16, INT8, FP32]


def test_the_fastest_is_taken():
    assert fastest(ORDER, {BF16: [9.3] * 5, INT8: [7.1] * 5, FP32: [16.3] * 5}) == INT8
    assert fastest(ORDER, {BF16: [6.0] * 5, INT8: [7.1] * 5, FP32: [16.3] * 5}) == BF16


def test_of_two_that_are_about_as_fast_the_preferred_one_is_taken():
    assert fastest(ORDER, {BF16: [10.0] * 5, INT8: [9.6] * 5}) == BF16
    assert fastest([INT8, BF16], {BF16: [9.6] * 5, INT8: [10.0] * 5}) == INT8


def test_bursts_of_other_work_hit_both_of_a_pair_and_change_nothing():
    bursts = [1, 1, 8, 1, 5, 1, 1]
    took = {BF16: [9.3 * each for each in bursts], INT8: [7.1 * each for each in bursts]}
    assert fastest(ORDER, took) == INT8


@pytest.mark.parametrize("seed", range(50))
def test_noise_alone_never_turns_the_order(seed: int):
    noise = random.Random(seed)
    took = {each: [10 * noise.lognormvariate(0, 0.02) for _ in range(12)] for each in ORDER}
    assert fastest(ORDER, took) == BF16


def test_a_gain_in_the_median_alone_is_not_clear():
    assert not is_faster([5, 5, 5, 20, 20], [10] * 5)
    assert is_faster([5, 5, 5, 5, 20], [10] * 5)


def test_who_gave_up_earlier_is_compared_over_the_rounds_that_both_had():
    assert fastest(ORDER, {BF16: [9.0] * 12, INT8: [16.0] * 3, FP32: [7.0] * 12}) == FP32


def test_what_was_not_measured_is_not_taken_unless_nothing_was():
    assert fastest(ORDER, {INT8: [7.0] * 3, BF16: []}) == INT8
    assert fastest(ORDER, {}) == BF16


def test_figures_for_people_have_three_digits():
    assert median_ms([1.23456, 7.0, 0.5]) == 1.23


@pytest.mark.parametrize(
    ("default", "cpus", "expected"),
    [(2, 2, [2, 1]), (1, 1, [1]), (2, 8, [2, 1, 4, 8]), (16, 64, [16, 1, 2, 32, 64]), (4, 2, [4, 1, 2])],
)
def test_streams_that_are_worth_a_try(default: int, cpus: int, expected: list[int]):
    assert stream_choices(default, cpus=cpus) == expected
