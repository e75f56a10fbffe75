"""Scores and loss of a model in training on pictures that it does not learn from, at the size that will be served."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segmentation.label_space import LabelSpace
from segmentation.measures.counting import look_up
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import NO_CHANNEL, LabelledPictures, channel_table, unmarked_in
from training.evaluate.evaluation import Evaluation
from training.evaluate.scoring import Scorer
from training.fit.losses import LossFunction
from training.models.parts.protocols import HasOwnLoss
from training.tracking.pictures import side_by_side

THUMBNAILS = 3

SHORT_NAMES = {"pixel_accuracy": "pixel_acc", "mean_dice": "dice"}  # as run trackers show them


@dataclass(frozen=True, slots=True)
class Validation:
    """numbers: `val_loss`, `miou`, `pixel_acc`, `dice`, `iou/<class>`, …; thumbnails: of the first pictures."""

    numbers: dict[str, float]
    thumbnails: list[NDArray[np.uint8]]


def validate(
    model: nn.Module,
    pictures: LabelledPictures,
    *,
    loss_of: LossFunction | None,
    space: LabelSpace,
    preprocessing: Preprocessing,
    on_picture: Callable[[], None] = lambda: None,
) -> Validation:
    """pictures: masks in ids of `space`. loss_of: as an Objective takes it. The model is left in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    scorer, channels = Scorer(space, space, with_scores=False), channel_table(space)
    total, losses, thumbnails = Evaluation.nothing(space, unmarked_in(pictures)), [], []
    for index in range(len(pictures)):
        picture, truth = pictures[index]
        image = torch.from_numpy(preprocessing.apply(picture))[None].to(device, memory_format=torch.channels_last)
        target = look_up(truth, channels)
        with torch.inference_mode():
            logits = model(image)
            losses.append(_loss(model, loss_of, image, logits, target))
        found = logits[0].float().cpu()
        total = total + scorer.score(found, truth)
        if index < THUMBNAILS:
            thumbnails.append(side_by_side(picture, truth, scorer.ids(found, truth.shape), space))
        on_picture()
    numbers = {SHORT_NAMES.get(name, name): value for name, value in total.scores().items()}
    seen = [loss for loss in losses if math.isfinite(loss)]
    return Validation({"val_loss": float(np.mean(seen)) if seen else math.nan, **numbers}, thumbnails)


def _loss(
    model: nn.Module, loss_of: LossFunction | None, image: Tensor, logits: Tensor, target: NDArray[np.uint8]
) -> float:
    """target: (H, W) channels at the picture's own size. A model's own loss wants them at the size of its input.

    NaN where no pixel counts: a loss of 0 would make the mean over pictures better than it is.
    """
    if (target == NO_CHANNEL).all():
        return math.nan
    if loss_of is not None:
        return float(loss_of(logits, torch.from_numpy(target.astype(np.int64))[None].to(image.device)))
    assert isinstance(model, HasOwnLoss)
    height, width = image.shape[-2:]
    resized = cv2.resize(target, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return float(model.own_loss(image, torch.from_numpy(np.asarray(resized, dtype=np.int64))[None].to(image.device)))
