"""From a run to a bundle that can be served: `python -m training.export RUN --name NAME`.

The averaged weights of the last checkpoint are exported, scored as they will be served, and published with a card.
"""

import argparse
import hashlib
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import InSpace, PairDataset
from training.evaluate import Evaluation, evaluate, onnx_predictor
from training.exported_files import export_onnx, export_torchscript
from training.loop import read_checkpoint
from training.models import OUTPUT_STRIDE
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.train import CHECKPOINT, RECIPE, RunFacts, build_model, open_dataset, parse_roots

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


def export_run(run: Path, release: Release, *, roots: Mapping[str, Path], models: Path) -> ModelCard:
    """Returns the published card. Raises ExportError, RecipeError, DatasetError; then nothing was published."""
    recipe = load_recipe(run / RECIPE)
    space = get_label_space(recipe.label_space)
    checkpoint = read_checkpoint(run / CHECKPOINT)
    model = build_model(recipe.model, space)
    model.load_state_dict(checkpoint["average"])
    train_sets = [open_dataset(choice, roots, seed=recipe.seed) for choice in recipe.data]
    validation = open_dataset(recipe.validation, roots, seed=recipe.seed)
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(model, Path(folder), torchscript=release.torchscript)
        preprocessing = Preprocessing(long_side=recipe.long_side)
        predict = onnx_predictor(files["onnx"])
        evaluation = evaluate(predict, InSpace(validation, space), preprocessing=preprocessing, space=space)
        card = ModelCard(
            name=release.name,
            version=release.version,
            architecture=_architecture(recipe),
            label_space=space.name,
            preprocessing=preprocessing,
            files={runtime: path.name for runtime, path in files.items()},
            sha256={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()},
            output_stride=OUTPUT_STRIDE,
            parameters=sum(each.numel() for each in model.parameters()),
            description=_description(recipe, checkpoint["epoch"], release.note),
            dataset=_dataset(recipe, train_sets, validation),
            recipe=f"training/recipes/{recipe.name}.toml",
            commit=RunFacts.read(run).commit,
            scores=_finite(evaluation),
            source="; ".join(sorted({each.about.source for each in train_sets} - {""})),
            licence=" ".join(dict.fromkeys(each.about.licence for each in train_sets)),
        )
        _publish(card, list(files.values()), models)
    return card


def _write_files(model: nn.Module, folder: Path, *, torchscript: bool) -> dict[str, Path]:
    files = {"onnx": folder / ONNX_FILE}
    export_onnx(model, files["onnx"])
    if torchscript:
        files["torchscript"] = folder / TORCHSCRIPT_FILE
        export_torchscript(model, files["torchscript"])
    return files


def _architecture(recipe: Recipe) -> str:
    encoder = recipe.model.options.get("encoder")
    return f"{recipe.model.architecture} {encoder}" if encoder else recipe.model.architecture


def _description(recipe: Recipe, epochs_done: int, note: str) -> str:
    how = f"{_architecture(recipe)}, trained from scratch for {epochs_done} of {recipe.epochs} epochs"
    return f"{how}; averaged weights after the last one; float16 weights, computes in float32. {note}".strip()


def _dataset(recipe: Recipe, train_sets: list[PairDataset], validation: PairDataset) -> str:
    trained = ", ".join(
        f"{len(pictures)} pictures of {pictures.about.title}, {choice.split}"
        for pictures, choice in zip(train_sets, recipe.data, strict=True)
    )
    scored = f"{len(validation)} pictures of {recipe.validation.dataset}, {recipe.validation.split}"
    return f"Trained on {trained}. Scores: {scored}."


def _finite(evaluation: Evaluation) -> dict[str, float]:
    return {name: round(value, 4) for name, value in evaluation.scores().items() if math.isfinite(value)}


def _publish(card: ModelCard, files: list[Path], models: Path) -> None:
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".") as folder:
        part, old = Path(folder) / "new", Path(folder) / "old"
        part.mkdir()
        for path in files:
            (part / path.name).write_bytes(path.read_bytes())
        (part / "card.json").write_text(card.to_json(), encoding="utf-8")
        final = models / card.name
        if final.exists():
            final.rename(old)
        part.rename(final)


if __name__ == "__main__":
    main()
