"""ROC and precision-recall from scores, against the definitions counted pixel by pixel."""

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.label_spaces import get_label_space
from segmentation.measures.score_curves import BINS, ScoreHistograms, score_bins, thresholds

PETS = get_label_space("oxford-pets-3")
PET, BACKGROUND, BORDER = range(3)


def random_scores(seed: int, *, shape: tuple[int, ...] = (40, 30)) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Probabilities (3, …) that lean towards the truth, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([PET, BACKGROUND], shape, p=[0.2, 0.8]).astype(np.uint8)
    logits = rng.normal(0, 2, (3, *shape)) + 1.5 * (truth == np.arange(3).reshape(3, *[1] * len(shape)))
    shares = np.exp(logits)
    return (shares / shares.sum(axis=0)).astype(np.float32), truth


def test_the_area_under_roc_is_the_chance_to_rank_a_pair_right() -> None:
    shares, truth = random_scores(seed=1)
    bins = score_bins(shares[PET])
    positive, negative = bins[truth == PET], bins[truth != PET]
    higher = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    curve = ScoreHistograms.of(shares, truth, space=PETS).roc(PET)
    assert curve.area == pytest.approx(higher, abs=1e-12)


def test_bins_hardly_change_the_area_under_roc() -> None:
    shares, truth = random_scores(seed=2)
    positive, negative = shares[PET][truth == PET], shares[PET][truth != PET]
    exact = (positive[:, None] > negative).mean()
    assert ScoreHistograms.of(shares, truth, space=PETS).roc(PET).area == pytest.approx(exact, abs=2e-4)


@pytest.mark.parametrize("place", [1, 100, 256, 300, BINS])
def test_a_point_of_a_curve_is_what_its_threshold_gives(place: int) -> None:
    shares, truth = random_scores(seed=3)
    called = score_bins(shares[PET]) >= BINS - place
    hits = (called & (truth == PET)).sum()
    histograms = ScoreHistograms.of(shares, truth, space=PETS)
    roc, pr = histograms.roc(PET), histograms.pr(PET)
    assert roc.y[place] == pr.x[place] == hits / (truth == PET).sum()
    assert roc.x[place] == (called & (truth != PET)).sum() / (truth != PET).sum()
    assert pr.y[place] == (hits / called.sum() if called.any() else 1)


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    shares = np.zeros((3, 4), dtype=np.float32)
    shares[PET] = [0.9, 0.7, 0.5, 0.1]
    shares[BACKGROUND] = 1 - shares[PET]
    truth = np.array([PET, BACKGROUND, PET, BACKGROUND], dtype=np.uint8)
    assert ScoreHistograms.of(shares, truth, space=PETS).pr(PET).area == pytest.approx((1 + 2 / 3) / 2)


def test_a_perfect_model_has_areas_of_one() -> None:
    truth = np.array([[PET, BACKGROUND]], dtype=np.uint8)
    shares = (truth == np.arange(3).reshape(3, 1, 1)).astype(np.float32)
    histograms = ScoreHistograms.of(shares, truth, space=PETS)
    assert histograms.roc(PET).area == histograms.pr(PET).area == 1


def test_a_class_that_is_nowhere_has_no_area() -> None:
    histograms = ScoreHistograms.of(*random_scores(seed=4), space=PETS)
    assert math.isnan(histograms.roc(BORDER).area)
    assert math.isnan(histograms.pr(BORDER).area)


def test_a_class_that_is_everywhere_has_no_roc() -> None:
    shares, truth = random_scores(seed=5)
    histograms = ScoreHistograms.of(shares, np.full_like(truth, PET), space=PETS)
    assert math.isnan(histograms.roc(PET).area)
    assert histograms.pr(PET).area == 1


def test_void_truth_counts_nowhere_and_void_classes_have_no_curve() -> None:
    space = get_label_space("cityscapes-34")
    truth = np.array([[0, 3, 7, 23]], dtype=np.uint8)
    shares = np.full((len(space.class_ids), 1, 4), 1 / len(space.class_ids), dtype=np.float32)
    histograms = ScoreHistograms.of(shares, truth, space=space)
    totals = (histograms.positives + histograms.negatives).sum(axis=1)
    assert {totals[each] for each in space.class_ids if each not in space.void_ids} == {2}
    assert not totals[list(range(7))].any()


def test_counts_of_pictures_add_up() -> None:
    shares, truth = random_scores(seed=6)
    whole = ScoreHistograms.of(shares, truth, space=PETS)
    halves = [ScoreHistograms.of(shares[:, part], truth[part], space=PETS) for part in (slice(0, 9), slice(9, None))]
    total = ScoreHistograms.nothing(PETS) + halves[0] + halves[1]
    assert total.to_dict() == whole.to_dict()


def test_bins_keep_the_order_of_scores_and_hold_certainty() -> None:
    scores = np.array([0, 1e-9, 1e-6, 0.1, 0.5, 0.9, 1 - 1e-6, 1], dtype=np.float32)
    bins = score_bins(scores)
    assert (np.diff(bins) >= 0).all()
    assert 0 <= bins[0] < bins[2] < bins[3] < bins[4] < bins[5] < bins[6] <= BINS - 1


def test_thresholds_fall_from_one_to_none() -> None:
    falling = thresholds()
    assert (falling[0], falling[-1], len(falling)) == (1, 0, BINS + 1)
    assert (np.diff(falling) < 0).all()


def test_histograms_survive_json() -> None:
    histograms = ScoreHistograms.of(*random_scores(seed=7), space=PETS)
    again = ScoreHistograms.from_dict(json.loads(json.dumps(histograms.to_dict())))
    assert again.to_dict() == histograms.to_dict()
    assert again.pr(PET).area == histograms.pr(PET).area
