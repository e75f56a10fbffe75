"""Scoring pictures: one formula, any label space, counts that add up."""

import math

import numpy as np
import pytest
import torch

from segmentation.errors import NoRemapping
from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from training.evaluate.evaluation import Evaluation, Latency, NoScoresKept
from training.evaluate.scoring import Scorer, UnusableLogits, class_ids, evaluate, evaluations
from training.spaces import common_space

CAMVID = get_label_space("camvid-11")
CITY = get_label_space("cityscapes-34")
CITY_19 = get_label_space("cityscapes-19")
CITY_8 = get_label_space("cityscapes-8")
PETS = get_label_space("oxford-pets-3")
SKY, BUILDING, ROAD, PAVEMENT, UNLABELLED = 0, 1, 3, 4, 11
SIZE = (8, 12)  # height, width


def logits_of(ids, space, *, sure=6.0):
    """(C, H, W) logits that choose these ids."""
    chosen = np.asarray(ids)[None] == np.asarray(space.class_ids)[:, None, None]
    return torch.from_numpy((chosen * sure).astype(np.float32))


def random_case(seed, space):
    """Truth with some void, and logits that agree with it half of the time."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([*space.class_ids, space.void_id], SIZE).astype(np.uint8)
    logits = rng.normal(0, 2, (len(space.class_ids), *SIZE)).astype(np.float32)
    return torch.from_numpy(logits) + logits_of(truth, space, sure=3.0), truth


def test_a_perfect_prediction_scores_one_everywhere_but_in_calibration():
    truth = np.full(SIZE, ROAD, dtype=np.uint8)
    truth[:4] = SKY
    scores = Scorer(CAMVID, CAMVID).score(logits_of(truth, CAMVID), truth).scores()
    assert scores["miou"] == scores["mean_dice"] == scores["pixel_accuracy"] == scores["mean_auc"] == 1
    assert scores["ece"] == pytest.approx(1 - math.exp(6) / (math.exp(6) + 10), abs=1e-4)
    assert math.isnan(scores["iou/car"])


def test_ignored_pixels_count_nowhere():
    truth = np.full(SIZE, UNLABELLED, dtype=np.uint8)
    truth[0, :3] = (SKY, ROAD, ROAD)
    evaluation = Scorer(CAMVID, CAMVID).score(logits_of(np.full(SIZE, ROAD), CAMVID), truth)
    assert evaluation.confusion.sum() == 3
    assert evaluation.calibration is not None
    assert evaluation.score_histograms is not None
    assert evaluation.calibration.counts.sum() == 3
    assert (evaluation.score_histograms.positives + evaluation.score_histograms.negatives).sum() == 3 * 11
    assert evaluation.scores()["iou/road"] == pytest.approx(2 / 3)


def test_counts_of_pictures_add_up_to_those_of_one_large_picture():
    cases = [random_case(seed, CAMVID) for seed in range(3)]
    scorer = Scorer(CAMVID, CAMVID)
    total = sum((scorer.score(*case) for case in cases), Evaluation.nothing(CAMVID))
    beside = scorer.score(torch.cat([case[0] for case in cases], 2), np.hstack([case[1] for case in cases]))
    assert total.picture_count == 3
    for name, value in beside.scores().items():
        assert total.scores()[name] == pytest.approx(value, abs=1e-9, nan_ok=True)


def test_probabilities_are_counted_in_pieces_with_the_same_result(monkeypatch):
    logits, truth = random_case(7, CAMVID)
    whole = Scorer(CAMVID, CAMVID).score(logits, truth)
    monkeypatch.setattr("training.evaluate.scoring._PIXELS_AT_ONCE", 7)
    pieces = Scorer(CAMVID, CAMVID).score(logits, truth)
    assert pieces.score_histograms is not None
    assert whole.score_histograms is not None
    assert pieces.score_histograms.to_dict() == whole.score_histograms.to_dict()
    assert pieces.scores()["ece"] == pytest.approx(whole.scores()["ece"])


def test_evaluations_in_different_spaces_cannot_be_added():
    with pytest.raises(ValueError, match="camvid-11 and in oxford-pets-3"):
        Evaluation.nothing(CAMVID) + Evaluation.nothing(PETS)


def test_classes_that_become_one_add_their_probabilities_up():
    truth = np.full(SIZE, CITY_8.by_id[1].id, dtype=np.uint8)  # flat
    logits = torch.full((11, *SIZE), -9.0)
    logits[[ROAD, PAVEMENT]] = 1.0  # half road, half pavement: certainly flat
    scores = Scorer(CAMVID, CITY_8).score(logits, truth).scores()
    assert scores["iou/flat"] == 1
    assert scores["ece"] == pytest.approx(0, abs=1e-3)


def test_what_has_no_counterpart_is_an_error_not_an_ignored_pixel():
    truth = np.full(SIZE, ROAD, dtype=np.uint8)
    predicted = np.full(SIZE, 7)
    predicted[:2] = 4  # static: void in CamVid
    evaluation = Scorer(CITY, CAMVID).score(logits_of(predicted, CITY), truth)
    assert evaluation.scores()["pixel_accuracy"] == pytest.approx(6 / 8)
    assert evaluation.calibration is not None
    assert evaluation.calibration.hits.sum() == 6 * SIZE[1]


def test_a_space_that_no_table_leads_to_is_refused_at_once():
    with pytest.raises(NoRemapping, match="from camvid-11 to oxford-pets-3"):
        Scorer(CAMVID, PETS)


def test_ids_are_those_of_the_highest_logit_at_the_masks_size():
    ids = class_ids(logits_of([[SKY, ROAD]], CAMVID), SIZE, CAMVID)
    assert ids.shape == SIZE
    assert (ids[:, 0] == SKY).all()
    assert (ids[:, -1] == ROAD).all()


@pytest.mark.parametrize("bad", [torch.full((11, 2, 3), float("nan")), torch.full((11, 2, 3), float("inf"))])
def test_logits_that_are_no_numbers_are_refused(bad):
    with pytest.raises(UnusableLogits, match="no numbers"):
        Scorer(CAMVID, CAMVID).score(bad, np.zeros(SIZE, dtype=np.uint8))


def test_a_model_with_other_classes_than_its_space_is_refused():
    with pytest.raises(UnusableLogits, match="gave 3 channels, camvid-11 has 11"):
        Scorer(CAMVID, CAMVID).score(torch.zeros(3, 2, 3), np.zeros(SIZE, dtype=np.uint8))


def test_pictures_go_through_preprocessing_and_are_compared_at_their_own_size():
    sizes = []

    def predict(image):
        sizes.append(image.shape)
        return logits_of(np.full((2, 2), ROAD), CAMVID)

    pictures = [(np.zeros((*SIZE, 3), dtype=np.uint8), np.full(SIZE, ROAD, dtype=np.uint8))] * 2
    preprocessing = Preprocessing(long_side=64)
    evaluation = evaluate(predict, pictures, preprocessing=preprocessing, space=CAMVID, with_scores=False)
    assert sizes == [(3, 32, 64)] * 2
    assert (evaluation.picture_count, evaluation.confusion.sum()) == (2, 2 * SIZE[0] * SIZE[1])
    scorer = Scorer(CAMVID, CAMVID)
    one_by_one = evaluations(predict, pictures, preprocessing=preprocessing, scorer=scorer)
    assert [each.picture_count for each in one_by_one] == [1, 1]


def test_without_scores_there_are_no_curves():
    logits, truth = random_case(1, CAMVID)
    scorer = Scorer(CAMVID, CAMVID, with_scores=False)
    total = Evaluation.nothing(CAMVID) + scorer.score(logits, truth)
    assert "ece" not in total.scores()
    with pytest.raises(NoScoresKept):
        total.roc("road")
    assert Evaluation.from_json(total.to_json()).scores()["miou"] == total.scores()["miou"]


def test_an_evaluation_survives_json():
    evaluation = Scorer(CAMVID, CAMVID).score(*random_case(2, CAMVID))
    again = Evaluation.from_json(evaluation.to_json())
    assert again.to_json() == evaluation.to_json()
    assert again.scores() == pytest.approx(evaluation.scores(), nan_ok=True)
    assert again.pr("road").area == evaluation.pr("road").area


def test_classes_of_the_void_group_have_no_score():
    evaluation = Evaluation.nothing(CITY)
    assert evaluation.class_names[0] == "road"
    assert all(math.isnan(value) for value in evaluation.scores().values())
    with pytest.raises(KeyError):
        evaluation.roc("ego vehicle")


def test_a_latency_survives_json():
    latency = Latency(median_ms=9.5, p90_ms=12.0, images_per_s=100.0, engine="torch", size=(32, 64), threads=2)
    assert Latency.from_dict({**latency.to_dict(), "size": [32, 64]}) == latency


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [
        ((CAMVID, CAMVID), "camvid-11"),
        ((CITY_19, CAMVID), "camvid-11"),
        ((CAMVID, CITY), "camvid-11"),
        ((CITY, CITY_19), "cityscapes-19"),
        ((CITY_8, CAMVID), "cityscapes-8"),
        ((CITY_19, CITY, CAMVID, CITY_8), "cityscapes-8"),
    ],
)
def test_models_are_compared_in_the_space_with_the_fewest_classes_that_all_lead_to(spaces, expected):
    assert common_space(spaces).name == expected


def test_spaces_that_share_no_classes_are_told():
    with pytest.raises(NoRemapping, match="from all of camvid-11, oxford-pets-3"):
        common_space([CAMVID, PETS])
