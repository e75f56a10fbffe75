"""The first picture of a new model, before anybody else's: a broken one is found out, a slow start is over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.errors import ModelFailed
from worker.pipeline.model_cache import LoadedModel

USUAL_PICTURE = (480, 640)  # height, width


def try_out(model: LoadedModel, sizes: Sequence[tuple[int, int]]) -> None:
    """Run a blank picture of each size, in one thread. Raises ModelFailed, OutOfMemory, TimedOut."""
    for size in {model.card.preprocessing.input_size(*size) for size in sizes or [USUAL_PICTURE]}:
        _run_blank(model, *size)


def _run_blank(model: LoadedModel, height: int, width: int) -> None:
    card = model.card
    classes = len(model.space.class_ids)
    logits = model.batcher.infer(np.zeros((3, height, width), np.float32)).logits
    if len(logits) != classes:
        raise ModelFailed(f"{card.name} {card.version} gave {len(logits)} classes, its label space has {classes}")
    if not np.isfinite(logits).all():
        raise ModelFailed(f"{card.name} {card.version} gave values that are no numbers")
