"""Flags of three colours with their truth, and subjects that tell the colours more or less well apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import About, PairDataset
from training.evaluate.predictors import Predict
from training.evaluate.subjects import Subject

HEIGHT, WIDTH = 32, 64
COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)], dtype=np.uint8)  # sky, building, pole of camvid-11
SPACE = get_label_space("camvid-11")
PLAIN = Preprocessing(long_side=64, mean=(0, 0, 0), std=(1, 1, 1))

HISTORY = [{"epoch": n, "train_loss": 2 / n, "val_loss": 2.2 / n, "miou": 0.1 * n, "lr": 0.01 / n} for n in (1, 2, 3)]


def flags(folder: Path, count: int) -> PairDataset:
    """Pictures of three upright stripes; the lowest two rows are not labelled."""
    pairs = []
    for number in range(count):
        ends = np.sort(np.random.default_rng(number).choice(np.arange(8, 56), size=2, replace=False))
        truth = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        truth[:, ends[0] :] = 1
        truth[:, ends[1] :] = 2
        photo = COLOURS[truth]
        truth[-2:] = 11
        pairs.append((folder / f"{number}.png", folder / f"{number}_mask.png"))
        folder.mkdir(parents=True, exist_ok=True)
        for path, pixels in zip(pairs[-1], (photo, truth), strict=True):
            Image.fromarray(pixels).save(path)
    return PairDataset(pairs, space=SPACE, about=About(title="flags", licence="none needed"))


def subject(name: str, predict: Predict, **changes: Any) -> Subject:
    values: dict[str, Any] = {
        "architecture": "three colours",
        "preprocessing": PLAIN,
        "space": SPACE,
        "parameters": 33,
        "size_bytes": 132,
        "history": HISTORY,
    }
    return Subject(name=name, predict=predict, **{**values, **changes})


def right(image: NDArray[np.float32]) -> Tensor:
    return _logits(image, (0, 1, 2))


def blind(image: NDArray[np.float32]) -> Tensor:
    """Takes every pole for a building."""
    return _logits(image, (0, 1, 1))


def swapped(image: NDArray[np.float32]) -> Tensor:
    """Takes every building for a pole, and the other way round."""
    return _logits(image, (0, 2, 1))


def part_of(model: Predict, *class_ids: int, name: str) -> dict[str, Any]:
    """What `subject` takes: the same model, of a space with these classes alone. It has no word for the others."""
    classes = tuple(each for each in SPACE.classes if each.id in class_ids)
    space = replace(SPACE, name=name, classes=classes, mappings={SPACE.name: {each: each for each in class_ids}})
    return {"predict": lambda image: model(image)[list(class_ids)], "space": space}


def _logits(image: NDArray[np.float32], said: Sequence[int]) -> Tensor:
    logits = torch.full((11, *image.shape[1:]), -4.0)
    logits[:3] = 0
    for colour, class_id in enumerate(said):
        logits[class_id] += 4 * torch.from_numpy(image[colour])
    return logits
