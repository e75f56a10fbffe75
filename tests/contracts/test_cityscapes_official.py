"""Scores equal those of the official evaluation (cityscapesscripts), on generated scenes in the layout of Cityscapes.

The official script runs in a process of its own: it prints, imports a plotting library, and knows no warnings.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from scenes.__main__ import main as render
from segmentation.label_spaces import get_label_space
from segmentation.measures.metrics import confusion_matrix, iou_per_class, mean_iou
from segmentation.preprocessing import Preprocessing
from training.datasets import DATASETS
from training.datasets.pairs import InSpace
from training.evaluate.evaluation import Evaluation
from training.evaluate.scoring import Scorer, evaluations

OFFICIAL = """
import json, sys
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
official.args.evalInstLevelScore = False
official.args.JSONOutput = False
official.args.quiet = True
truth, predictions = json.load(sys.stdin)
found = official.evaluateImgLists(predictions, truth, official.args)
json.dump({name: found[name] for name in ("classScores", "averageScoreClasses", "categoryScores",
    "averageScoreCategories")}, sys.stdout)
"""
CITY_34, CITY_19 = get_label_space("cityscapes-34"), get_label_space("cityscapes-19")


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    root = tmp_path_factory.mktemp("city")
    render(["--count", "2", "--seed", "41", "--size", "192x96", "--out", str(root), "--layout", "cityscapes"])
    return DATASETS["cityscapes"](root, "train")


class HalfRight:
    """A model of all 34 ids, void ones too, that knows the truth and errs in stripes and at random."""

    def __init__(self, pictures):
        self.truths = iter([pictures[index][1] for index in range(len(pictures))])

    def predict(self, image):
        truth = next(self.truths)
        rng = np.random.default_rng(int(truth.sum()))
        wanted = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 34, truth.shape))
        wanted[:, ::5] = np.roll(truth, 9, axis=1)[:, ::5]
        chosen = wanted[None] == np.asarray(CITY_34.class_ids)[:, None, None]
        return torch.from_numpy(chosen.astype(np.float32) * 4)


@pytest.fixture(scope="module")
def predictions(city, tmp_path_factory):
    """Label ids as PNG files, in the order of the pictures, and as arrays."""
    folder = tmp_path_factory.mktemp("predictions")
    model, found = HalfRight(city), []
    for index, (picture, _) in enumerate(city.pairs):
        ids = Scorer(CITY_34, CITY_34).ids(model.predict(None), city[index][1].shape)
        path = folder / picture.name.replace("leftImg8bit", "pred_labelIds")
        Image.fromarray(ids).save(path)
        found.append((path, ids))
    return found


@pytest.fixture(scope="module")
def official(city, predictions):
    lists = [[str(mask) for _, mask in city.pairs], [str(path) for path, _ in predictions]]
    ran = subprocess.run(
        [sys.executable, "-c", OFFICIAL], input=json.dumps(lists), capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


def test_class_scores_equal_the_official_ones(city, official):
    counted = evaluations(
        HalfRight(city).predict,
        InSpace(city, CITY_19),
        preprocessing=Preprocessing(long_side=64),
        scorer=Scorer(CITY_34, CITY_19),
    )
    scores = sum(counted, Evaluation.nothing(CITY_19)).scores()
    occurring = 0
    for name in [CITY_19.name_of(each) for each in CITY_19.class_ids]:
        assert scores[f"iou/{name}"] == pytest.approx(official["classScores"][name], abs=1e-6, nan_ok=True)
        occurring += not np.isnan(scores[f"iou/{name}"])
    assert occurring >= 10
    assert 0 < scores["miou"] < 1
    assert scores["miou"] == pytest.approx(official["averageScoreClasses"], abs=1e-6)


def test_category_scores_equal_the_official_ones(city, predictions, official):
    """The official categories leave out the classes that the benchmark ignores: train ids first, then categories."""
    space = get_label_space("cityscapes-8")
    table = CITY_19.remapping_to(space)[CITY_34.remapping_to(CITY_19)]
    confusion = np.zeros((space.class_count, space.class_count + 1), dtype=np.int64)
    for index, (_, ids) in enumerate(predictions):
        confusion += confusion_matrix(table[city[index][1]], table[ids], space=space, with_missed=True)
    for class_id, iou in enumerate(iou_per_class(confusion)):
        assert iou == pytest.approx(official["categoryScores"][space.name_of(class_id)], abs=1e-6, nan_ok=True)
    assert mean_iou(confusion) == pytest.approx(official["averageScoreCategories"], abs=1e-6)
