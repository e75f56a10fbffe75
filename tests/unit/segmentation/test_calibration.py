"""Does the confidence mean what it says?"""

import json
import math

import numpy as np
import pytest

from segmentation.measures.calibration import BINS, Calibration


def counted(confidences: list[float], right: list[bool]) -> Calibration:
    return Calibration.of(np.array(confidences, dtype=np.float32), np.array(right))


def test_the_expected_error_is_the_gap_between_confidence_and_accuracy() -> None:
    # Two bins, four pixels each: sure of 0.9 and half right; sure of 0.5 and half right.
    calibration = counted([0.9] * 4 + [0.5] * 4, [True, True, False, False] * 2)
    assert calibration.expected_error == pytest.approx(0.5 * 0.4 + 0.5 * 0.0, abs=1e-6)


def test_each_bin_tells_its_accuracy_and_mean_confidence() -> None:
    calibration = counted([0.99, 0.97, 0.1], [True, False, False])
    assert calibration.accuracy[BINS - 1] == 0.5
    assert calibration.confidence[BINS - 1] == pytest.approx(0.98)
    assert calibration.accuracy[1] == 0


def test_a_bin_without_pixels_is_no_number() -> None:
    calibration = counted([1.0], [True])
    assert np.isnan(calibration.accuracy[:-1]).all()
    assert np.isnan(calibration.confidence[:-1]).all()
    assert calibration.accuracy[-1] == 1


def test_the_ends_of_the_scale_have_their_bins() -> None:
    assert counted([0.0, 1.0], [False, True]).counts[[0, -1]].tolist() == [1, 1]


def test_without_any_pixel_there_is_no_error_to_expect() -> None:
    assert math.isnan(Calibration.nothing().expected_error)


def test_counts_of_pictures_add_up() -> None:
    rng = np.random.default_rng(1)
    confidence, right = rng.random((6, 7)).astype(np.float32), rng.random((6, 7)) < 0.5
    whole = Calibration.of(confidence, right)
    parts = (
        Calibration.nothing() + Calibration.of(confidence[:2], right[:2]) + Calibration.of(confidence[2:], right[2:])
    )
    assert parts.counts.tolist() == whole.counts.tolist()
    assert parts.hits.tolist() == whole.hits.tolist()
    assert parts.expected_error == pytest.approx(whole.expected_error)


def test_a_calibration_survives_json() -> None:
    calibration = counted([0.9, 0.3], [True, False])
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again.to_dict() == calibration.to_dict()
    assert again.expected_error == calibration.expected_error
