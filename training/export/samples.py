"""Logits at single pixels of labelled pictures: what a model's last numbers are fitted to."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from segmentation.label_space import LabelSpace
from segmentation.measures.counting import look_up
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import NO_CHANNEL, LabelledPictures, channel_table
from training.evaluate.predictors import Predict


def sampled_logits(
    predict: Predict,
    pictures: LabelledPictures,
    *,
    preprocessing: Preprocessing,
    space: LabelSpace,
    count: int,
    every: int,
) -> tuple[Tensor, Tensor]:
    """(P, C) logits and (P,) channels of the labelled pixels on a grid. The masks are in ids of `space`.

    Void classes have a channel and no score, so their pixels are none of these.
    count: pictures at most, spread over the set. every: rows and columns; neighbours say the same.
    """
    found = list(
        sampled_pictures(predict, pictures, preprocessing=preprocessing, space=space, count=count, every=every)
    )
    if not found:
        return torch.empty(0, len(space.class_ids)), torch.empty(0, dtype=torch.int64)
    return torch.cat([rows for rows, _ in found]), torch.cat([truth for _, truth in found])


def sampled_pictures(
    predict: Predict,
    pictures: LabelledPictures,
    *,
    preprocessing: Preprocessing,
    space: LabelSpace,
    count: int,
    every: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The same of each picture apart, in order; of one without a label they are empty."""
    table = channel_table(space)
    table[list(space.void_ids)] = NO_CHANNEL
    for index in spread(len(pictures), count):
        picture, mask = pictures[index]
        logits = predict(preprocessing.apply(picture))[None]
        rows = functional.interpolate(logits, mask.shape, mode="bilinear", align_corners=False)[0, :, ::every, ::every]
        truth = torch.from_numpy(look_up(mask, table)[::every, ::every].astype(np.int64))
        known = truth != NO_CHANNEL
        yield rows.permute(1, 2, 0)[known], truth[known]


def spread(length: int, count: int) -> Sequence[int]:
    """At most `count` indices of so many things, from the first to the last."""
    chosen: list[int] = np.linspace(0, length - 1, min(length, count)).astype(int).tolist()
    return chosen
