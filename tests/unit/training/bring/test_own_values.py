"""What comes out of a file of one's own: logits, probabilities, or what only looks like either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import get_label_space
from tests.tiny_models import CLASSES, STRIDE, tiny_bundle
from training.bring.check import CheckReport, LabelledPicture, Pixels, Run, WrongValues, check


def logits(batch: Pixels) -> Pixels:
    """(B, CLASSES, H / STRIDE, W / STRIDE), of each picture alone."""
    weights = np.random.default_rng(1).normal(size=(CLASSES, 3)).astype(np.float32)
    return np.asarray(np.einsum("kc,bchw->bkhw", weights, batch[:, :, ::STRIDE, ::STRIDE]), np.float32)


def softmax(batch: Pixels, axis: int = 1) -> Pixels:
    powers = np.exp(logits(batch))
    return np.asarray(powers / powers.sum(axis, keepdims=True), np.float32)


def sigmoid(batch: Pixels) -> Pixels:
    return np.asarray(1 / (1 + np.exp(-logits(batch))), np.float32)


def decided(batch: Pixels) -> Pixels:
    """As a one-hot arg max gives it."""
    return np.asarray(logits(batch) == logits(batch).max(1, keepdims=True), np.float32)


def checked(tmp_path: Path, run: Run) -> CheckReport:
    card = tiny_bundle(tmp_path).card
    noise = np.random.default_rng(0).integers(0, 256, (48, 96, 3), np.uint8)
    space = get_label_space(card.label_space)
    return check(run, card, [LabelledPicture(noise, None)], space=space, engine="numpy")


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (lambda batch: 255 * softmax(batch), "add up to 255: probabilities in another unit"),
        (lambda batch: (100 * softmax(batch)).round(), "add up to 100: probabilities in another unit"),
        (lambda batch: softmax(batch, 3), "over the columns, not over the classes"),
        (lambda batch: softmax(batch, 2), "over the rows, not over the classes"),
    ],
)
def test_values_that_tell_no_confidence_are_refused(tmp_path: Path, run: Run, said: str) -> None:
    """The classes are right, or nearly so; served, each of their confidences would be wrong."""
    with pytest.raises(WrongValues, match=said):
        checked(tmp_path, run)


def test_logits_and_probabilities_are_told_apart(tmp_path: Path) -> None:
    runs = (logits, softmax, sigmoid)
    assert [checked(tmp_path, run).activation for run in runs] == ["", "softmax", "sigmoid"]
    assert checked(tmp_path, lambda batch: np.maximum(logits(batch), 0)).activation == "", "of a ReLU at the end"


def test_decisions_are_noted(tmp_path: Path) -> None:
    notes = checked(tmp_path, decided).notes
    assert "each class is 0 or 1, a decision: every confidence is 1 and says nothing" in notes[0]


def test_void_where_something_is_counts_as_wrong_on_the_samples_too(tmp_path: Path) -> None:
    """As in every other score: a network that says void wherever it errs would look perfect."""
    space = LabelSpace(
        "own",
        (
            *(LabelClass(n, f"c{n}", (n, 1, 1), "thing") for n in range(CLASSES - 1)),
            LabelClass(99, "bonnet", (9, 9, 9), "void"),
        ),
    )
    said = np.full((48, 96), 0, np.uint8)

    def void_on_the_right(batch: Pixels) -> Pixels:
        values = np.zeros((len(batch), CLASSES, batch.shape[2] // STRIDE, batch.shape[3] // STRIDE), np.float32)
        values[:, 0], values[:, -1, :, values.shape[3] // 2 :] = 1, 2
        return values

    pictures = [LabelledPicture(np.zeros((48, 96, 3), np.uint8), said)]
    found = check(void_on_the_right, tiny_bundle(tmp_path).card, pictures, space=space, engine="numpy")
    assert found.miou == pytest.approx(0.5, abs=0.02)
