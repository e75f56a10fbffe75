"""The card of a bundle that is made from a run: what was trained on what, and what came out."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segmentation.model_card import ModelCard
from segmentation.variant import Variant
from training.datasets.pairs import PairDataset
from training.models import output_stride
from training.recipe.building import open_dataset
from training.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a person decides about a bundle. tolerance: how much mIoU a variant may lose, 0.005 is half a point."""

    name: str
    version: str = "1"
    note: str = ""
    torchscript: bool = False
    int8: bool = False
    ids: bool = False
    tolerance: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run with its data sets opened, and the averaged weights after the epochs that were done."""

    run: Run
    train_sets: Sequence[PairDataset]
    validation: PairDataset
    model: nn.Module

    @classmethod
    def read(cls, folder: Path, roots: Mapping[str, Path]) -> "FinishedRun":
        """Raises RunNotFound, RecipeError, DatasetError."""
        run = Run.open(folder)
        recipe = run.recipe
        return cls(
            run=run,
            train_sets=[open_dataset(choice, roots, seed=recipe.seed) for choice in recipe.data],
            validation=open_dataset(recipe.validation, roots, seed=recipe.seed, where="validation.dataset"),
            model=run.model(),
        )


def card_of(
    finished: FinishedRun,
    release: Release,
    files: Mapping[str, Path],
    scores: Mapping[str, float],
    variants: Sequence[Variant],
) -> ModelCard:
    """files: key in the card → where the file lies now; its name there is its name in the bundle."""
    abouts = [pictures.about for pictures in finished.train_sets]
    recipe = finished.run.recipe
    return ModelCard(
        name=release.name,
        version=release.version,
        architecture=_architecture(finished.run),
        label_space=recipe.label_space,
        preprocessing=finished.run.preprocessing,
        files={key: path.name for key, path in files.items()},
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()},
        output_stride=output_stride(finished.model),
        parameters=sum(each.numel() for each in finished.model.parameters()),
        description=_description(finished.run, release.note),
        dataset=_dataset(finished),
        recipe=f"training/recipes/{recipe.name}.toml",
        commit=finished.run.facts.commit,
        scores=scores,
        source="; ".join(dict.fromkeys(about.source for about in abouts if about.source)),
        licence=" ".join(dict.fromkeys(about.licence for about in abouts)),
        variants=tuple(variants),
    )


def _architecture(run: Run) -> str:
    choice = run.recipe.model
    encoder = choice.options.get("encoder")
    return f"{choice.architecture} {encoder}" if encoder else choice.architecture


def _description(run: Run, note: str) -> str:
    began = f"from {run.facts.started_from}" if run.facts.started_from else "from scratch"
    how = f"{_architecture(run)}, trained for {run.epochs_done} of {run.recipe.epochs} epochs, {began}"
    return f"{how}; averaged weights after the last one; float16 weights, computes in float32. {note}".strip()


def _dataset(finished: FinishedRun) -> str:
    recipe = finished.run.recipe
    trained = "; ".join(
        f"{len(pictures)} pictures of {pictures.about.title} ({choice.split})"
        for pictures, choice in zip(finished.train_sets, recipe.data, strict=True)
    )
    checked = f"{len(finished.validation)} pictures of {finished.validation.about.title} ({recipe.validation.split})"
    return f"Trained on {trained}. Scores are of {checked}, at their own size."
