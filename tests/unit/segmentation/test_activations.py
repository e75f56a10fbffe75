"""Outputs that are no logits any more become logits again, so that classes and confidences are right."""

import numpy as np
import pytest

from segmentation.activations import as_logits

LOGITS = np.random.default_rng(2).normal(size=(4, 5, 6)).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(0))
    return np.asarray(weights / weights.sum(0), np.float32)


def test_logits_stay_as_they_are() -> None:
    assert as_logits(LOGITS, "") is LOGITS


def test_probabilities_are_the_softmax_of_what_they_become() -> None:
    probabilities = softmax(LOGITS)
    assert np.allclose(softmax(as_logits(probabilities, "softmax")), probabilities, atol=1e-6)


def test_classes_told_one_by_one_become_what_they_were_made_from() -> None:
    assert np.allclose(as_logits((1 / (1 + np.exp(-LOGITS))).astype(np.float32), "sigmoid"), LOGITS, atol=1e-4)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_certainty_is_finite(activation: str) -> None:
    certain = np.array([1, 0, 0.5], np.float32).reshape(3, 1, 1)
    found = as_logits(certain, activation)
    assert np.isfinite(found).all()
    assert found.argmax() == 0
