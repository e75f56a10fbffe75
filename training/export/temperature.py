"""Temperature scaling: logits divided by one number, so that a confidence of 0.8 is right in eight of ten pixels.

It changes no class. Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from segmentation.label_space import LabelSpace
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import LabelledPictures
from training.evaluate.predictors import Predict
from training.export.samples import sampled_logits

CANDIDATES = np.geomspace(0.25, 8, 141)  # 2.5 % apart
PICTURES = 48  # at most, spread over the set
EVERY = 5  # rows and columns: neighbours say the same


class Tempered(nn.Module):
    """A model whose logits are divided by `temperature`, in every file that is made from it."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits * (1 / self.temperature)


def fitted_temperature(
    predict: Predict, pictures: LabelledPictures, *, preprocessing: Preprocessing, space: LabelSpace
) -> float | None:
    """The one with the lowest mean cross-entropy on pictures with masks in ids of `space`; None with nothing labelled.

    It should not have been learnt from these pictures: on those every model is as sure as it is right.
    """
    logits, truth = sampled_logits(
        predict, pictures, preprocessing=preprocessing, space=space, count=PICTURES, every=EVERY
    )
    return best_temperature(logits, truth) if len(truth) else None


def best_temperature(logits: Tensor, truth: Tensor) -> float:
    """That of CANDIDATES with the lowest mean cross-entropy, to three decimals.

    logits: (P, C), truth: (P,) channels, of at least one pixel. The cross-entropy is convex in 1 / temperature, so that
    halving finds what trying all of them would.
    """

    def loss(index: int) -> float:
        return float(functional.cross_entropy(logits / float(CANDIDATES[index]), truth))

    lowest, highest = 0, len(CANDIDATES) - 1
    while lowest < highest:
        middle = (lowest + highest) // 2
        if loss(middle) <= loss(middle + 1):
            highest = middle
        else:
            lowest = middle + 1
    return round(float(CANDIDATES[lowest]), 3)
