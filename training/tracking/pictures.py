"""Thumbnails of predictions for people: picture, truth and prediction side by side."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.label_space import LabelSpace
from segmentation.palette import palette

Ids = NDArray[np.uint8]


def side_by_side(
    picture: NDArray[np.uint8], truth: Ids, predicted: Ids, space: LabelSpace, *, width: int = 320
) -> NDArray[np.uint8]:
    """picture (H, W, 3), truth and predicted (H, W) in ids of `space` → (h, 3 · width, 3).

    Each of the three is `width` pixels wide; smaller pictures keep their size.
    """
    width = min(width, picture.shape[1])
    size = (width, max(1, round(width * picture.shape[0] / picture.shape[1])))
    colours = palette(space)
    panels = [Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)]
    panels += [Image.fromarray(colours[ids]).resize(size, Image.Resampling.NEAREST) for ids in (truth, predicted)]
    return np.concatenate([np.asarray(panel) for panel in panels], axis=1)
