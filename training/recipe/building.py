"""From a recipe's words to networks and data sets. Reads recipes' parts, trains nothing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from segmentation.errors import SegmentationError
from segmentation.label_space import LabelSpace
from training.datasets import DATASETS, RENDERED, UNLABELLED
from training.datasets.layouts import hint
from training.datasets.pairs import DatasetError, PairDataset
from training.models import MODELS
from training.models.parts.errors import EncoderNotFound, InvalidModelOption
from training.recipe.file import chosen
from training.recipe.recipe import DataChoice, ModelChoice, Recipe, RecipeError
from training.spaces import find_label_space

DATASETS_FOLDER = Path("runs", "datasets")  # where a data set lies of which nothing else is said


def build_model(choice: ModelChoice, space: LabelSpace) -> nn.Module:
    """On the CPU, as a training begins. Raises RecipeError for an architecture or option that does not exist.

    Also raises what training/models/parts/errors.py lists for weights that cannot be fetched.
    """
    return _built(choice, len(space.class_ids))


def build_empty_model(choice: ModelChoice, space: LabelSpace) -> nn.Module:
    """The same network to load weights into: an encoder's first weights are not fetched again."""
    return _built(_without_weights(choice), len(space.class_ids))


def class_dependent(choice: ModelChoice, space: LabelSpace) -> set[str]:
    """Names, in the model's state, of the tensors whose shape depends on the number of classes."""
    empty = _without_weights(choice)
    some, more = (_built(empty, len(space.class_ids) + extra).state_dict() for extra in (0, 1))
    return {name for name, tensor in some.items() if tensor.shape != more[name].shape}


def open_dataset(
    choice: DataChoice, roots: Mapping[str, Path], *, seed: int, where: str = "data.dataset"
) -> PairDataset:
    """Raises RecipeError for an unknown data set or option, DatasetError for files that are not as they should be.

    where: the path of the recipe's key that names the data set.
    """
    build = chosen(DATASETS, choice.dataset, choice.options, where)
    root = root_of(choice.dataset, roots)
    if choice.dataset != RENDERED and not root.is_dir():  # what is missing in it would be asked for else
        raise DatasetError(f"there is no folder {root}: --root {choice.dataset}=FOLDER says where its files lie")
    try:
        pictures = build(root, choice.split)
    except DatasetError as error:
        if choice.dataset != RENDERED and (told := hint(root, choice.dataset)):
            raise DatasetError(f"{error}; {told}") from error
        raise
    return pictures.reduced(choice.count, share=choice.share, seed=seed)


def root_of(dataset: str, roots: Mapping[str, Path]) -> Path:
    return roots.get(dataset, DATASETS_FOLDER / dataset)


def check_choices(recipe: Recipe) -> None:
    """Raises RecipeError for an architecture, a data set, an option or a label space that does not exist.

    Also for pictures without masks where nobody tells of them.
    """
    chosen(MODELS, recipe.model.architecture, recipe.model.options, "model.architecture")
    for number, choice in enumerate(recipe.data):
        chosen(DATASETS, choice.dataset, choice.options, f"data[{number}].dataset")
        if choice.dataset == UNLABELLED and not recipe.distillation.teacher:
            allowed = "data sets with masks, unless distillation.teacher tells of others"
            raise _without_masks(f"data[{number}].dataset", allowed)
    chosen(DATASETS, recipe.validation.dataset, recipe.validation.options, "validation.dataset")
    if recipe.validation.dataset == UNLABELLED:
        raise _without_masks("validation.dataset", "data sets with masks")
    try:
        find_label_space(recipe.label_space)
    except SegmentationError as error:
        raise RecipeError(f"label_space: {error}", where="label_space") from error


def _without_masks(where: str, allowed: str) -> RecipeError:
    return RecipeError(f"{where}: got {UNLABELLED!r}; allowed: {allowed}", where=where)


def _built(choice: ModelChoice, class_count: int) -> nn.Module:
    build = chosen(MODELS, choice.architecture, choice.options, "model.architecture")
    try:
        return build(class_count)
    except (InvalidModelOption, EncoderNotFound) as error:
        where = "model.options.encoder" if isinstance(error, EncoderNotFound) else "model.options"
        raise RecipeError(f"{where}: {error}", where=where) from error


def _without_weights(choice: ModelChoice) -> ModelChoice:
    """Of a folder or the hub the configuration is read all the same: it is the network's size."""
    options = {name: each for name, each in choice.options.items() if name != "encoder_weights"}
    return replace(choice, options=options | ({"pretrained": False} if {"folder", "hub"} & options.keys() else {}))


def parse_roots(texts: list[str]) -> dict[str, Path]:
    """`["camvid=some/folder"]` → {"camvid": Path("some/folder")}. Raises RecipeError for what is no DATASET=FOLDER."""
    roots = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not folder or name not in DATASETS:
            raise RecipeError(f"--root {text}: expected DATASET=FOLDER; data sets: {', '.join(DATASETS)}")
        roots[name] = Path(folder)
    return roots
