"""A temperature makes confidence mean what it says, and changes no class."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from training.export.temperature import CANDIDATES, Tempered, best_temperature, fitted_temperature

SPACE = get_label_space("camvid-11")
PREPROCESSING = Preprocessing(long_side=64)


class Pictures:
    """Masks that are right in seven of ten pixels where a model says class 0 everywhere."""

    def __init__(self, masks):
        self.masks = masks

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, index):
        return np.zeros((64, 64, 3), dtype=np.uint8), self.masks[index]


def masks(count=3, *, right=0.7):
    rng = np.random.default_rng(4)
    ids = np.array(SPACE.class_ids, dtype=np.uint8)
    return [np.where(rng.random((64, 64)) < right, ids[0], ids[1]).astype(np.uint8) for _ in range(count)]


def sure_of_the_first(margin):
    """Logits of two classes that matter."""

    def predict(image):
        logits = torch.full((11, 16, 16), -50.0)
        logits[0], logits[1] = margin, 0.0
        return logits

    return predict


def fitted(margin, pictures):
    return fitted_temperature(sure_of_the_first(margin), pictures, preprocessing=PREPROCESSING, space=SPACE)


@pytest.mark.parametrize("margin", [0.5, 4.0])
def test_confidence_becomes_the_share_of_right_pixels(margin):
    found = fitted(margin, Pictures(masks()))
    assert torch.sigmoid(torch.tensor(margin / found)).item() == pytest.approx(0.7, abs=0.04)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0, 100.0])
def test_halving_finds_what_trying_all_would(scale):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(400, 5, generator=generator) * 2
    truth = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    losses = [float(functional.cross_entropy(logits * scale / each, truth)) for each in CANDIDATES.tolist()]
    assert best_temperature(logits * scale, truth) == round(float(CANDIDATES[np.argmin(losses)]), 3)


def test_of_pictures_without_labels_no_temperature_is_claimed():
    assert fitted(4.0, Pictures([np.full((64, 64), SPACE.void_id, dtype=np.uint8)])) is None
    assert fitted(4.0, Pictures([])) is None


def test_pixels_of_a_void_class_fit_nothing():
    """They count in no score, although the network has a channel for them."""
    space = replace(SPACE, classes=tuple(replace(each, group="void") for each in SPACE.classes[:1]) + SPACE.classes[1:])
    known, void = np.uint8(SPACE.class_ids[1]), np.uint8(SPACE.class_ids[0])

    def fitted_in(space, mask):
        predict = sure_of_the_first(-4.0)
        return fitted_temperature(predict, Pictures([mask]), preprocessing=PREPROCESSING, space=space)

    assert fitted_in(space, np.full((64, 64), void)) is None
    half = np.where(np.arange(64) < 32, known, void)[None].repeat(64, axis=0)
    assert fitted_in(space, half) == fitted_in(SPACE, np.full((64, 64), known))


def test_a_tempered_model_gives_the_same_classes():
    model = nn.Conv2d(3, 4, 1)
    image = torch.randn(1, 3, 8, 8)
    assert torch.allclose(Tempered(model, 2.5)(image), model(image) / 2.5)
