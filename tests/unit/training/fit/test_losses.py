"""The losses against values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from training.fit.losses import (
    SegmentationLoss,
    cross_entropy,
    dice_loss,
    focal_loss,
    median_frequency_weights,
    soft_label_loss,
)

IGNORED = 255


def logits_of(*probabilities: tuple[float, ...]) -> torch.Tensor:
    """(1, C, 1, N): the logits of N pixels with these class probabilities."""
    return torch.tensor(probabilities).log().T[None, :, None, :]


def truth_of(*channels: int) -> torch.Tensor:
    return torch.tensor(channels)[None, None, :]


def test_cross_entropy_is_the_mean_of_minus_log_probability():
    loss = cross_entropy(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), ignore_id=IGNORED)
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)


def test_cross_entropy_weighs_pixels_by_their_class():
    weights = torch.tensor([3.0, 1.0])
    loss = cross_entropy(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), ignore_id=IGNORED, class_weights=weights)
    assert loss.item() == pytest.approx(-(3 * math.log(0.5) + math.log(0.8)) / 4)


def test_ignored_pixels_change_no_loss():
    logits, truth = logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1)
    more_logits, more_truth = logits_of((0.5, 0.5), (0.2, 0.8), (0.9, 0.1)), truth_of(0, 1, IGNORED)
    for loss in (cross_entropy, dice_loss, focal_loss):
        alone = loss(logits, truth, ignore_id=IGNORED)
        assert loss(more_logits, more_truth, ignore_id=IGNORED).item() == pytest.approx(alone.item())


@pytest.mark.parametrize("loss_of", [cross_entropy, dice_loss, focal_loss])
def test_a_batch_of_ignored_pixels_alone_gives_zero_and_a_gradient(loss_of):
    logits = logits_of((0.5, 0.5)).requires_grad_()
    loss = loss_of(logits, truth_of(IGNORED), ignore_id=IGNORED)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_dice_is_twice_the_overlap_over_the_sum():
    # class 0: overlap 0.6, sums 0.6 + 0.3 predicted, 1 true; class 1: overlap 0.7, sums 1.1 and 1
    loss = dice_loss(logits_of((0.6, 0.4), (0.3, 0.7)), truth_of(0, 1), ignore_id=IGNORED, smooth=0)
    assert loss.item() == pytest.approx(1 - (1.2 / 1.9 + 1.4 / 2.1) / 2)


def test_dice_leaves_out_classes_that_the_truth_does_not_hold():
    loss = dice_loss(logits_of((0.6, 0.3, 0.1)), truth_of(0), ignore_id=IGNORED, smooth=0)
    assert loss.item() == pytest.approx(1 - 1.2 / 1.6)


def test_focal_loss_counts_what_is_hard():
    loss = focal_loss(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), ignore_id=IGNORED, gamma=2)
    assert loss.item() == pytest.approx(-(0.5**2 * math.log(0.5) + 0.2**2 * math.log(0.8)) / 2)


def test_focal_loss_without_focus_is_weighted_cross_entropy():
    logits, truth, weights = logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), torch.tensor([3.0, 1.0])
    plain = focal_loss(logits, truth, ignore_id=IGNORED, gamma=0, class_weights=weights)
    assert plain.item() == pytest.approx(cross_entropy(logits, truth, ignore_id=IGNORED, class_weights=weights).item())


@pytest.mark.parametrize(("name", "alone"), [("dice", dice_loss), ("focal", focal_loss)])
def test_a_loss_is_chosen_by_its_name(name, alone):
    logits, truth = logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1)
    chosen = SegmentationLoss(ignore_id=IGNORED, name=name)(logits, truth)
    assert chosen.item() == pytest.approx(alone(logits, truth, ignore_id=IGNORED).item())


def test_the_combined_loss_adds_dice_by_its_share():
    logits, truth = logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1)
    combined = SegmentationLoss(ignore_id=IGNORED, dice_share=0.5)(logits, truth)
    parts = cross_entropy(logits, truth, ignore_id=IGNORED) + 0.5 * dice_loss(logits, truth, ignore_id=IGNORED)
    assert combined.item() == pytest.approx(parts.item())


def test_coarse_logits_are_enlarged_to_the_truth():
    logits = torch.zeros(1, 3, 2, 2)
    truth = torch.zeros(1, 8, 8, dtype=torch.long)
    assert SegmentationLoss(ignore_id=IGNORED)(logits, truth).item() == pytest.approx(math.log(3))


def test_median_frequency_weights_raise_rare_classes_and_stop_at_the_highest():
    counts = np.array([800, 160, 40, 0], dtype=np.int64)
    plain = median_frequency_weights(counts, power=1.0, highest=3.0)
    assert plain == pytest.approx([160 / 800, 1, 3.0, 1])
    soft = median_frequency_weights(counts, power=0.5, highest=10.0)
    assert soft == pytest.approx([math.sqrt(0.2), 1, 2, 1])


def test_soft_labels_are_compared_at_a_temperature_on_every_pixel():
    # at a temperature of 2 the teacher's 0.8 and 0.2 are 2/3 and 1/3; of the second pixel both say the same
    student, teacher = logits_of((0.5, 0.5), (0.1, 0.9)), logits_of((0.8, 0.2), (0.1, 0.9))
    divergence = 2 / 3 * math.log(2 / 3 / 0.5) + 1 / 3 * math.log(1 / 3 / 0.5)
    loss = soft_label_loss(student, teacher, temperature=2.0)
    assert loss.item() == pytest.approx(4 * divergence / 2)


def test_soft_labels_pull_as_hard_as_the_truth_where_the_temperature_is_high():
    student, teacher = logits_of((0.5, 0.5)).requires_grad_(), logits_of((0.6, 0.4))
    gradients = []
    for temperature in (50.0, 100.0):
        (gradient,) = torch.autograd.grad(soft_label_loss(student, teacher, temperature=temperature), student)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, rtol=1e-2, atol=0)
