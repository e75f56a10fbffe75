"""The card of a bundle that is made from a run: what was trained on what, and what came out."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from torch import nn

import training.recipes
from jobs.comparing.pages.wording import counted
from segmentation.engines import file_keys
from segmentation.model_card import ModelCard, require_name
from segmentation.variant import Variant
from training.datasets.pairs import PairDataset
from training.export.samples import spread
from training.export.temperature import PICTURES
from training.fit.optimisation import Best
from training.lineage import NOT_TOLD, DataRecord, Learnt
from training.models import output_stride
from training.models.parts.imagenet import names_file
from training.recipe.building import open_dataset
from training.recipe.file import load_recipe
from training.runs import Run, noted_earlier, noted_own
from training.start.first_weights import network_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a person decides about a bundle.

    tolerance: how much mIoU a variant may lose, 0.005 is half a point. balance: whether offsets of classes are fitted.
    replace: whether another model of that name may be lost. checkpoint: as `Run.snapshot` takes it. Raises
    InvalidModelCard for a name that a card cannot have.
    """

    name: str
    version: str = "1"
    note: str = ""
    torchscript: bool = False
    int8: bool = False
    ids: bool = False
    tolerance: float = 0.005
    balance: bool = False
    replace: bool = False
    checkpoint: str = ""

    def __post_init__(self) -> None:
        require_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run with its data sets opened, and the averaged weights after the epochs that were done.

    checkpoint: SHA-256 of the one that they were read from; a training that goes on puts another in its place. best:
    what they were chosen for; None: they are the last ones.
    """

    run: Run
    train_sets: Sequence[PairDataset]
    validation: PairDataset
    model: nn.Module
    epochs_done: int
    checkpoint: str
    best: Best | None = None
    temperature: float | None = None  # by which the model divides its logits
    offsets: tuple[float, ...] = ()  # that it adds to the logits of the channels before

    @property
    def data(self) -> DataRecord:
        """What the model learnt from, here and before."""
        return DataRecord(train=(), validation=(), learnt=(*self.own, *self.earlier))

    @property
    def own(self) -> Sequence[Learnt]:
        """What the run itself learnt from, as it wrote that down: other pictures may lie in the folders by now."""
        return noted_own(self.run.folder) or [
            Learnt.of(pictures, dataset=choice.dataset, split=choice.split)
            for choice, pictures in zip(self.run.recipe.data, self.train_sets, strict=True)
        ]

    @property
    def validation_learnt(self) -> int:
        """How many of the pictures that it is scored on it learnt from."""
        return self.data.learnt_among(self.validation)

    @property
    def tempered_on(self) -> PairDataset:
        """The validation pictures to which a temperature is fitted."""
        return self.validation.at(spread(len(self.validation), PICTURES))

    @property
    def earlier(self) -> list[Learnt]:
        """What the weights that it began with and its teacher had learnt from."""
        return list(noted_earlier(self.run.folder, self.run.facts.started_from))

    @classmethod
    def read(cls, folder: Path, roots: Mapping[str, Path], checkpoint: str = "") -> "FinishedRun":
        """roots: where a data set lies elsewhere than in training. Raises RunNotFound, DamagedRun, RecipeError,
        DatasetError."""
        run = Run.open(folder)
        taken = run.snapshot(checkpoint)
        recipe, roots = run.recipe, {**run.roots, **roots}
        return cls(
            run=run,
            train_sets=[open_dataset(choice, roots, seed=recipe.seed) for choice in recipe.data],
            validation=open_dataset(recipe.validation, roots, seed=recipe.seed, where="validation.dataset"),
            model=taken.model,
            epochs_done=taken.epochs_done,
            checkpoint=taken.sha256,
            best=taken.best,
        )


def card_of(
    finished: FinishedRun,
    release: Release,
    files: Mapping[str, Path],
    scores: Mapping[str, float],
    variants: Sequence[Variant],
) -> ModelCard:
    """files: key in the card, `learnt`, `fitted` or `label_space` → where it lies now, under its name in the bundle."""
    learnt = finished.data.learnt
    return ModelCard(
        name=release.name,
        version=release.version,
        architecture=_architecture(finished.run),
        label_space=finished.run.space.name,
        preprocessing=finished.run.preprocessing,
        files={key: path.name for key, path in files.items() if key in file_keys()},
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()},
        output_stride=output_stride(finished.model),
        parameters=sum(each.numel() for each in finished.model.parameters()),
        description=_description(finished, release.note),
        dataset=_dataset(finished),
        recipe=_recipe_file(finished.run),
        commit=finished.run.facts.commit,
        scores=scores,
        source="; ".join(dict.fromkeys(each.source for each in learnt if each.source)),
        licence=" ".join(_once(map(_licence, learnt))),
        variants=tuple(variants),
        label_space_file=files["label_space"].name if "label_space" in files else "",
        temperature=finished.temperature,
    )


def _architecture(run: Run) -> str:
    choice = run.recipe.model
    encoder = choice.options.get("encoder")
    return f"{choice.architecture} {encoder}" if encoder else choice.architecture


def _description(finished: FinishedRun, note: str) -> str:
    run = finished.run
    began = f"from {run.facts.started_from}" if run.facts.started_from else _began(run.recipe.model.options)
    taught = f", taught by {run.facts.taught_by}" if run.facts.taught_by else ""
    epochs = f"{finished.epochs_done} of {counted(run.recipe.epochs, 'epoch')}"
    how = f"{_architecture(run)}, trained for {epochs}, {began}{taught}"
    chosen = "" if finished.best is None else f" of them, chosen for its {finished.best.metric} on validation pictures"
    weights_are = f"averaged weights after the last one{chosen}; float16 weights, computes in float32."
    return f"{how}; {weights_are}{_balance(finished)} {note}".strip()


def _balance(finished: FinishedRun) -> str:
    if not any(finished.offsets):
        return ""
    space = finished.run.space
    named = zip(map(space.name_of, space.class_ids), finished.offsets, strict=True)
    return f" Fitted to the training pictures, added to the logits: {', '.join(f'{n} {o:+g}' for n, o in named if o)}."


def _began(options: Mapping[str, Any]) -> str:
    """options: of the recipe's model."""
    if network := network_weights(options):
        began = "with an encoder that began with" if options.get("pretrained") == "encoder" else "from"
        return f"{began} the weights {network}"
    encoder = options.get("encoder_weights")
    return f"with an encoder that began with the weights {_called(encoder)}" if encoder else "from scratch"


def _called(weights: str) -> str:
    """Of a local file its name: where it lies is of this machine alone."""
    return PurePath(weights).name if names_file(weights) else weights


def _dataset(finished: FinishedRun) -> str:
    recipe = finished.run.recipe
    trained = "; ".join(map(_counted, finished.own))
    checked = counted(len(finished.validation), "picture")
    checked += f" of {finished.validation.about.title} ({recipe.validation.split})"
    if learnt := finished.validation_learnt:
        checked += f", {learnt} of them learnt from"
    before = "".join(f" {said}" for said in _earlier(finished.own, finished.earlier))
    told = f"Trained on {trained}.{before} Scores are of {checked}, at their own size."
    if finished.temperature is None:
        return told
    fitted = len(finished.tempered_on)
    which = "them" if fitted == len(finished.validation) else f"{fitted} of them"
    return f"{told} Its confidence was fitted to {which}: elsewhere the calibration error is larger."


def _earlier(own: Iterable[Learnt], earlier: Iterable[Learnt]) -> Iterator[str]:
    """A sentence for all whose weights, or soft labels, learnt from the same; runs of a chain often did."""
    data_of: dict[tuple[bool, str], list[Learnt]] = {}
    for each in earlier:
        data_of.setdefault((each.taught, each.run), []).append(_pictures(each))
    runs_of: dict[tuple[bool, frozenset[Learnt]], list[str]] = {}
    for (taught, run), data in data_of.items():
        runs_of.setdefault((taught, frozenset(data)), []).append(run)
    same = set(map(_pictures, own))
    for (taught, whole), runs in runs_of.items():
        came = "Soft labels came from" if taught else "It began with weights of"
        told = ["the same"] if same <= whole else []
        told += [_counted(each) for each in dict.fromkeys(data_of[taught, runs[0]]) if not told or each not in same]
        yield f"{came} {_listed(runs)}, which learnt from {'; '.join(told)}."


def _pictures(learnt: Learnt) -> Learnt:
    """Which they are, whoever learnt from them on whatever terms."""
    return replace(learnt, run="", taught=False, licence="", source="")


def _counted(learnt: Learnt) -> str:
    count = f"{counted(learnt.count, 'picture')} of " if learnt.count else ""
    return f"{count}{learnt.title}{f' ({learnt.split})' if learnt.split else ''}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _licence(learnt: Learnt) -> str:
    return f"{learnt.title}: licence {NOT_TOLD}." if learnt.licence == NOT_TOLD else learnt.licence


def _once(licences: Iterable[str]) -> list[str]:
    """Without those of which another one, of a teacher, says every word."""
    said = list(dict.fromkeys(licences))
    return [each for each in said if not any(f" {each} " in f" {other} " for other in said if other != each)]


def _recipe_file(run: Run) -> str:
    """As whoever has the sources or the user's files finds it; empty where the run does not know."""
    ours = Path(training.recipes.__path__[0]) / (run.recipe_file or f"{run.recipe.name}.toml")
    if ours.is_file() and load_recipe(ours) == run.recipe:
        return f"training/recipes/{ours.name}"
    return run.recipe_file
