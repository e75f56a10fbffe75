"""The first picture of a new model, before anybody else's: a broken one is found out, a slow start is over."""

from __future__ import annotations

import numpy as np

from jobs.errors import ModelFailed
from segmentation.label_spaces import get_label_space
from worker.pipeline.model_cache import LoadedModel

USUAL_PICTURE = (480, 640)  # height, width


def try_out(model: LoadedModel) -> None:
    """Run one blank picture. Raises ModelFailed, OutOfMemory, TimedOut, UnknownLabelSpace."""
    card = model.card
    space = get_label_space(card.label_space)
    height, width = card.preprocessing.input_size(*USUAL_PICTURE)
    logits = model.batcher.infer(np.zeros((3, height, width), np.float32)).logits
    expected = (len(space.class_ids), height // card.output_stride, width // card.output_stride)
    if logits.shape != expected:
        raise ModelFailed(f"{card.name} {card.version} gave logits {logits.shape} where its card promises {expected}")
    if not np.isfinite(logits).all():
        raise ModelFailed(f"{card.name} {card.version} gave values that are no numbers")
