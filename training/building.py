"""From a recipe's words to networks and data sets. Reads recipes' parts, trains nothing."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from segmentation.label_space import LabelSpace
from training.datasets import DATASETS
from training.datasets.pairs import PairDataset
from training.models import MODELS
from training.recipe import DataChoice, ModelChoice, RecipeError
from training.recipe_file import chosen

DATASETS_FOLDER = Path("runs", "datasets")  # where a data set lies of which nothing else is said


def build_model(choice: ModelChoice, space: LabelSpace) -> nn.Module:
    """On the CPU. Raises RecipeError for an unknown architecture or option."""
    return chosen(MODELS, choice.architecture, choice.options, "model.architecture")(len(space.class_ids))


def open_dataset(choice: DataChoice, roots: Mapping[str, Path], *, seed: int) -> PairDataset:
    """Raises RecipeError for an unknown data set or option, DatasetError for files that are not as they should be."""
    build = chosen(DATASETS, choice.dataset, choice.options, "dataset")
    pictures = build(roots.get(choice.dataset, DATASETS_FOLDER / choice.dataset), choice.split)
    return pictures.reduced(choice.count, seed=seed) if choice.count else pictures


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def parse_roots(texts: list[str]) -> dict[str, Path]:
    """`["camvid=some/folder"]` → {"camvid": Path("some/folder")}. Raises RecipeError for what is no DATASET=FOLDER."""
    roots = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not folder or name not in DATASETS:
            raise RecipeError(f"--root {text}: expected DATASET=FOLDER; data sets: {', '.join(DATASETS)}")
        roots[name] = Path(folder)
    return roots
