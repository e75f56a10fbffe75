"""How a training begins and what it leaves as it is: weights of another run, an encoder that is held still."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from segmentation.errors import SegmentationError
from training.fit.loop import read_checkpoint
from training.lineage import RECIPE, Learnt, learnt_by
from training.recipe.building import class_dependent
from training.recipe.file import load_recipe
from training.recipe.recipe import Recipe, RecipeError
from training.runs import CHECKPOINT
from training.spaces import find_label_space


@dataclass(frozen=True, slots=True)
class Source:
    """Weights of another training. label_space: empty where none is noted beside them."""

    name: str
    weights: Mapping[str, Tensor]
    label_space: str
    learnt: tuple[Learnt, ...]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What to note about the weights that a training began with; note: empty from scratch."""

    note: str = ""
    learnt: tuple[Learnt, ...] = ()


def begin_with(model: nn.Module, recipe: Recipe, *, beside: Path) -> Beginning:
    """Give the model the weights that recipe.start names.

    What differs in shape begins anew, and so does what tells classes apart when the classes are others. beside: the
    folder of all runs, among which `from` may name one. Raises RecipeError when less than half of the encoder fits.
    """
    start = recipe.start
    if not start.source:
        return Beginning()
    source = _read(start.source, beside)
    own = model.state_dict()
    wanted = encoder_names(model) if start.encoder_only else set(own)
    if source.label_space != recipe.label_space and not _same_classes(source.label_space, recipe.label_space):
        wanted -= class_dependent(recipe.model, find_label_space(recipe.label_space))
    fitting = {
        name: tensor for name, tensor in source.weights.items() if name in wanted and own[name].shape == tensor.shape
    }
    encoder = encoder_names(model)
    if len(encoder & set(fitting)) < len(encoder) / 2:
        why = f"{len(encoder & set(fitting))} of the encoder's {len(encoder)} tensors fit"
        raise RecipeError(f"start.from: {source.name} is another network: {why}", where="start.from")
    model.load_state_dict({**own, **fitting})
    return Beginning(f"{source.name}; {len(fitting)} of {len(own)} tensors taken", source.learnt)


def encoder_names(model: nn.Module) -> set[str]:
    """Names, in the model's state, of what belongs to its encoder."""
    inside = {id(tensor) for tensor in _encoder(model).state_dict(keep_vars=True).values()}
    return {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in inside}


def set_training(model: nn.Module, *, freeze_encoder: bool) -> None:
    """Training mode; a frozen encoder stays in evaluation mode, so that its batch-norm statistics stand still too."""
    model.train()
    encoder = _encoder(model)
    encoder.requires_grad_(not freeze_encoder)
    if freeze_encoder:
        encoder.eval()


def _encoder(model: nn.Module) -> nn.Module:
    encoder = model.encoder
    assert isinstance(encoder, nn.Module)  # every module of MODELS has one
    return encoder


def checkpoint_name(path: Path, content: Mapping[str, Any]) -> str:
    """Its run, its epoch, a checksum. content: what was read from it."""
    epoch = f"epoch {content['epoch']}, " if "epoch" in content else ""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return f"{_run_name(path)} ({epoch}sha256 {digest})"


def _read(reference: str, beside: Path) -> Source:
    """A folder with a checkpoint, the name of a run in `beside`, or a checkpoint file."""
    places = [Path(reference), beside / reference]
    files = [path for place in places for path in (place, place / CHECKPOINT) if path.is_file()]
    if not files:
        if any((place / "card.json").is_file() for place in places):
            why = "a bundle holds weights to serve, not to train; name the run that it came from"
        else:
            why = f"there is no run or checkpoint {reference}, nor a run of that name in {beside.name}"
        raise RecipeError(f"start.from: {why}", where="start.from")
    path = files[0]
    content, name = read_checkpoint(path), _run_name(path)
    recipe = path.parent / RECIPE
    return Source(
        name=checkpoint_name(path, content),
        weights=content.get("average", content),
        label_space=load_recipe(recipe).label_space if recipe.is_file() else "",
        learnt=learnt_by(path.parent, name),
    )


def _run_name(path: Path) -> str:
    return path.parent.name if path.name == CHECKPOINT else path.name


def _same_classes(one: str, other: str) -> bool:
    """Unknown where none is noted: shapes decide then."""
    if not one:
        return True
    try:
        return find_label_space(one).names() == find_label_space(other).names()
    except SegmentationError:
        return False
