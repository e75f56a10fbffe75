"""From a run to a bundle that can be served: `python -m training.export RUN --name NAME`.

The averaged weights of the last checkpoint are exported, scored as they will be served, and published with a card.
"""

import argparse
import hashlib
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing
from storage.catalog import Catalog
from training.building import open_dataset, parse_roots
from training.datasets.pairs import InSpace, PairDataset
from training.evaluate import evaluate, onnx_predictor
from training.exported_files import export_onnx, export_torchscript
from training.models import OUTPUT_STRIDE
from training.recipe import Recipe
from training.runs import Run

ONNX_FILE = "model.onnx"
TORCHSCRIPT_FILE = "model.torchscript"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a person decides about a bundle."""

    name: str
    version: str = "1"
    note: str = ""
    torchscript: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description="Publish a run's model as a bundle.")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--name", required=True, help="of the model and of its folder")
    parser.add_argument("--version", default="1")
    parser.add_argument("--note", default="", help="a sentence for the card's description")
    parser.add_argument("--torchscript", action="store_true", help="also a TorchScript file")
    parser.add_argument("--models", type=Path, default=Path("data", "models"), help="folder of all bundles")
    parser.add_argument("--root", action="append", default=[], metavar="DATASET=FOLDER", help="where a data set lies")
    given = parser.parse_args()
    release = Release(name=given.name, version=given.version, note=given.note, torchscript=given.torchscript)
    card = export_run(given.run, release, roots=parse_roots(given.root), models=given.models)
    print(f"{given.models / card.name}: {card.description}")
    for name, value in card.scores.items():
        print(f"  {name:24} {value:.4f}")


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What is left of a training: its recipe, its data, and the averaged weights after so many epochs."""

    recipe: Recipe
    train_sets: Sequence[PairDataset]
    validation: PairDataset
    model: nn.Module
    epochs_done: int
    commit: str

    @classmethod
    def read(cls, folder: Path, roots: Mapping[str, Path]) -> "FinishedRun":
        run = Run.open(folder)
        recipe = run.recipe
        train_sets = [open_dataset(choice, roots, seed=recipe.seed) for choice in recipe.data]
        validation = open_dataset(recipe.validation, roots, seed=recipe.seed)
        return cls(recipe, train_sets, validation, run.model(), run.epochs_done, run.facts.commit)


def export_run(folder: Path, release: Release, *, roots: Mapping[str, Path], models: Path) -> ModelCard:
    """Returns the published card. Raises ExportError, RecipeError, DatasetError; then nothing was published."""
    run = FinishedRun.read(folder, roots)
    with tempfile.TemporaryDirectory() as drafts:
        files = _write_files(run.model, Path(drafts), torchscript=release.torchscript)
        card = _card(run, release, files, _score(run, files["onnx"]))
        Catalog([models]).publish(card, {path.name: path for path in files.values()})
    return card


def _write_files(model: nn.Module, folder: Path, *, torchscript: bool) -> dict[str, Path]:
    files = {"onnx": folder / ONNX_FILE}
    export_onnx(model, files["onnx"])
    if torchscript:
        files["torchscript"] = folder / TORCHSCRIPT_FILE
        export_torchscript(model, files["torchscript"])
    return files


def _score(run: FinishedRun, onnx_file: Path) -> dict[str, float]:
    """Of the file that will be served; classes that do not occur are left out."""
    space = get_label_space(run.recipe.label_space)
    pictures = InSpace(run.validation, space)
    evaluation = evaluate(onnx_predictor(onnx_file), pictures, preprocessing=_preprocessing(run.recipe), space=space)
    return {name: round(value, 4) for name, value in evaluation.scores().items() if math.isfinite(value)}


def _card(run: FinishedRun, release: Release, files: Mapping[str, Path], scores: Mapping[str, float]) -> ModelCard:
    abouts = [pictures.about for pictures in run.train_sets]
    return ModelCard(
        name=release.name,
        version=release.version,
        architecture=_architecture(run.recipe),
        label_space=run.recipe.label_space,
        preprocessing=_preprocessing(run.recipe),
        files={runtime: path.name for runtime, path in files.items()},
        sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()},
        output_stride=OUTPUT_STRIDE,
        parameters=sum(each.numel() for each in run.model.parameters()),
        description=_description(run, release.note),
        dataset=_dataset(run),
        recipe=f"training/recipes/{run.recipe.name}.toml",
        commit=run.commit,
        scores=scores,
        source="; ".join(dict.fromkeys(about.source for about in abouts if about.source)),
        licence=" ".join(dict.fromkeys(about.licence for about in abouts)),
    )


def _preprocessing(recipe: Recipe) -> Preprocessing:
    return Preprocessing(long_side=recipe.long_side)


def _architecture(recipe: Recipe) -> str:
    encoder = recipe.model.options.get("encoder")
    return f"{recipe.model.architecture} {encoder}" if encoder else recipe.model.architecture


def _description(run: FinishedRun, note: str) -> str:
    how = f"{_architecture(run.recipe)}, trained from scratch for {run.epochs_done} of {run.recipe.epochs} epochs"
    return f"{how}; averaged weights after the last one; float16 weights, computes in float32. {note}".strip()


def _dataset(run: FinishedRun) -> str:
    trained = "; ".join(
        f"{len(pictures)} pictures of {pictures.about.title} ({choice.split})"
        for pictures, choice in zip(run.train_sets, run.recipe.data, strict=True)
    )
    checked = f"{len(run.validation)} pictures of {run.validation.about.title} ({run.recipe.validation.split})"
    return f"Trained on {trained}. Scores are of {checked}, at their own size."


if __name__ == "__main__":
    main()
