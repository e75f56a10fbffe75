"""Weights that a training begins with: of another run, of a checkpoint, of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from jobs.errors import ModelFailed
from segmentation.errors import SegmentationError
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.model_card import ModelCard
from storage.catalog import CARD, Bundle
from training.evaluate.subjects import NOT_FOUND, find_folder
from training.fit.loop import DamagedCheckpoint, read_with_checksum
from training.fit.strategies import encoder_names
from training.lineage import LEARNT, RECIPE, DamagedRun, DataRecord, Learnt, learnt_by, learnt_by_bundle, noted_recipe
from training.recipe.building import class_dependent
from training.recipe.recipe import Recipe, RecipeError
from training.runs import BEST, CHECKPOINT, chosen_checkpoint
from training.spaces import LABEL_SPACE, find_label_space
from training.start.first_weights import learnt_before

WHERE = "start.from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Weights of another training. space: None where none is noted beside them, or nobody knows it here.

    folded: batch norms of which the export left a part in the convolutions before them.
    """

    name: str
    weights: Mapping[str, Tensor]
    space: LabelSpace | None
    is_space_noted: bool = True
    learnt: tuple[Learnt, ...]
    folded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Beginning:
    """What to note about the weights that a training began with; note: empty from scratch.

    folded: names of the batch norms among them that have to be unfolded before the model learns.
    """

    note: str = ""
    learnt: tuple[Learnt, ...] = ()
    folded: frozenset[str] = frozenset()


def begin_with(model: nn.Module, recipe: Recipe, *, runs: Path, models: Sequence[Path] = ()) -> Beginning:
    """Give the model the weights that recipe.start names.

    What differs in shape begins anew, and so does what tells classes apart when the classes are others. runs: the
    folder of all runs, models: folders of bundles; `from` may name one of each. Raises RecipeError when there is none,
    and when less than half of the encoder fits.
    """
    start, built = recipe.start, learnt_before(recipe.model.options)
    if not start.source:
        return Beginning(learnt=built)
    source = _read(start.source, model, runs=runs, models=models)
    own = model.state_dict()
    wanted = encoder_names(model) if start.encoder_only else set(own)
    space = find_label_space(recipe.label_space)
    if not _same_classes(source, space):
        wanted -= class_dependent(recipe.model, space)
    fitting = {
        name: tensor for name, tensor in source.weights.items() if name in wanted and own[name].shape == tensor.shape
    }
    encoder = {name for name in encoder_names(model) if own[name].dtype.is_floating_point}
    count = len(encoder & set(fitting))
    if count < len(encoder) / 2:
        raise _refused(f"{source.name} is another network: {count} of the encoder's {len(encoder)} tensors fit")
    model.load_state_dict({**own, **fitting})
    return Beginning(
        f"{source.name}; {len(fitting)} of {len(own)} tensors taken",
        (*source.learnt, *built),
        frozenset(name for name in source.folded if f"{name}.running_mean" in fitting),
    )


def checkpoint_name(name: str, epoch: int | None, sha256: str) -> str:
    """name: of its run, or of the file. epoch: None where the checkpoint does not tell."""
    told = "" if epoch is None else f"epoch {epoch}, "
    return f"{name} ({told}sha256 {sha256[:16]})"


def bundle_name(card: ModelCard, file: str) -> str:
    """Its name, its version, a checksum. file: the one that is used, as the card names it."""
    return f"{card.name} (version {card.version}, sha256 {card.sha256[file][:16]})"


def _read(reference: str, model: nn.Module, *, runs: Path, models: Sequence[Path]) -> Source:
    """A folder with a checkpoint, the name of a run, a checkpoint file; else a bundle, as `find_folder` finds it."""
    for place in (Path(reference), runs / reference):
        if place.is_file() or (place / CHECKPOINT).is_file():
            return _of_checkpoint(place)
    try:
        folder = find_folder(reference, models=models, runs=runs)
    except NOT_FOUND as error:
        raise _refused(str(error)) from error
    return _of_bundle(folder, model)


def _of_checkpoint(place: Path) -> Source:
    """place: the file, or the folder that it is chosen in."""
    try:
        path = place if place.is_file() else chosen_checkpoint(place)
        name, run = _run_name(path), path.parent
        content, digest = read_with_checksum(path)
        space, learnt = _noted_space(run), learnt_by(run, name)
    except (DamagedCheckpoint, DamagedRun) as error:
        raise _refused(str(error)) from error
    return Source(
        name=checkpoint_name(name, content.get("epoch"), digest),
        weights=content.get("average", content),
        space=space,
        is_space_noted=any((run / file).is_file() for file in (RECIPE, LABEL_SPACE)),
        learnt=learnt,
    )


def _of_bundle(folder: Path, model: nn.Module) -> Source:
    from training.start.read_back import AnotherNetwork, read_back

    try:
        card = ModelCard.from_json((folder / CARD).read_bytes())
        bundle = Bundle(card, folder)
        bundle.verify()
        space = bundle.space()
    except (SegmentationError, ModelFailed) as error:
        raise _refused(str(error)) from error
    file = card.files.get("onnx")
    if file is None:
        raise _refused(f"{card.name} has no ONNX file with its weights; name the run that it came from")
    try:
        weights = read_back(folder / file, model)
    except AnotherNetwork as error:
        raise _refused(f"{card.name} ({card.architecture}) is another network than the recipe's: {error}") from error
    counters = {key: each for key, each in model.state_dict().items() if not each.dtype.is_floating_point}
    record = DataRecord.read_learnt(folder) if (folder / LEARNT).is_file() else None
    return Source(
        name=bundle_name(card, file),
        weights={**counters, **weights.state},
        space=space,
        learnt=tuple(replace(each, run=each.run or card.name) for each in learnt_by_bundle(card, record)),
        folded=weights.folded,
    )


def _refused(why: str) -> RecipeError:
    return RecipeError(f"{WHERE}: {why}", where=WHERE)


def _run_name(path: Path) -> str:
    return path.parent.name if path.name in (CHECKPOINT, BEST) else path.name


def _noted_space(run: Path) -> LabelSpace | None:
    """As it was when the run began: the run's copy counts more than a file of the user's, which may have changed."""
    own = run / LABEL_SPACE
    try:
        if own.is_file():
            return load_label_space(own)
        return find_label_space(noted_recipe(run).label_space) if (run / RECIPE).is_file() else None
    except SegmentationError:
        return None


def _same_classes(source: Source, space: LabelSpace) -> bool:
    """Unknown where none is noted: shapes decide then."""
    if not source.is_space_noted:
        return True
    return source.space is not None and source.space.names() == space.names()
