"""Trains a model from a recipe, from reading it to the last checkpoint: `python -m training.train RECIPE`.

A run's folder holds checkpoint.pt, log.jsonl, recipe.toml and data.json. Started again, a run goes on where it was.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from training.building import best_device, build_model, open_dataset, parse_roots
from training.datasets.pairs import NO_CHANNEL, InChannels, InSpace, PairDataset
from training.evaluate import evaluate, torch_predictor
from training.loop import AveragedWeights, TrainingState, batches, build_optimiser, steps_before, train_epoch
from training.losses import SegmentationLoss, median_frequency_weights
from training.recipe import LossChoice, Recipe
from training.recipe_file import load_recipe
from training.runs import CHECKPOINT, DATA, RECIPE, RunFacts, write_json
from training.tracking import ConsoleTracker, JsonlTracker, Tracker, Trackers


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a model from a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--root", action="append", default=[], metavar="DATASET=FOLDER", help="where a data set lies")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare pictures")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    folder: Path = arguments.runs / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(arguments.recipe, folder / RECIPE)
    tracker = Trackers([ConsoleTracker(sys.stdout, epochs=recipe.epochs), JsonlTracker(folder / "log.jsonl")])
    train(recipe, folder=folder, roots=parse_roots(arguments.root), tracker=tracker, workers=arguments.workers)


def train(
    recipe: Recipe, *, folder: Path, roots: Mapping[str, Path], tracker: Tracker, workers: int = 0
) -> TrainingState:
    """Run the recipe's epochs that are not done yet. Raises RecipeError and DatasetError before the first."""
    space = get_label_space(recipe.label_space)
    data = prepare_data(recipe, roots, space)
    write_split(data, folder / DATA)
    RunFacts.current().write(folder)

    torch.manual_seed(recipe.seed)
    state = begin(recipe, space)
    if (folder / CHECKPOINT).exists():
        state.load(folder / CHECKPOINT)
    loss_of = build_loss(recipe.loss, data, space)
    counts = [len(stage_data) for stage_data in data.stages]
    total_steps = steps_before(recipe.epochs, recipe, counts)
    state.step = steps_before(state.epoch, recipe, counts)  # not the checkpoint's: a recipe may have been prolonged
    tracker.start(asdict(recipe))

    while state.epoch < recipe.epochs:
        began = time.monotonic()
        pictures = data.stages[recipe.stages.index(recipe.stage_of(state.epoch))]
        loader = batches(pictures, recipe, state.epoch, workers=workers)
        loss = train_epoch(state, loader, loss_of, recipe, total_steps=total_steps)
        seconds = time.monotonic() - began
        state.save(folder / CHECKPOINT)
        numbers = {"train_loss": loss, "train_time_sec": seconds, "imgs_per_sec": len(pictures) / seconds}
        if state.epoch % recipe.evaluate_every == 0 or state.epoch == recipe.epochs:
            numbers |= validate(state.average, recipe, data.validation, space)
        tracker.log(state.epoch, numbers)
    tracker.finish()
    return state


@dataclass(frozen=True, slots=True)
class Data:
    sets: tuple[PairDataset, ...]
    stages: tuple[InChannels, ...]  # of each stage
    validation: InSpace
    validation_names: tuple[str, ...]


def prepare_data(recipe: Recipe, roots: Mapping[str, Path], space: LabelSpace) -> Data:
    sets = {choice.dataset: open_dataset(choice, roots, seed=recipe.seed) for choice in recipe.data}
    stages = [InChannels([sets[name] for name in stage.data or sets], space) for stage in recipe.stages]
    validation = open_dataset(recipe.validation, roots, seed=recipe.seed)
    return Data(tuple(sets.values()), tuple(stages), InSpace(validation, space), tuple(validation.names()))


def write_split(data: Data, path: Path) -> None:
    """Which pictures a run trained on and was validated on."""
    train_names = [name for pictures in data.sets for name in pictures.names()]
    write_json(path, {"train": train_names, "validation": data.validation_names})


def begin(recipe: Recipe, space: LabelSpace) -> TrainingState:
    model = build_model(recipe.model, space).to(best_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TrainingState(model, build_optimiser(model, recipe.optimiser), AveragedWeights(model, recipe.ema_decay))


def build_loss(choice: LossChoice, data: Data, space: LabelSpace) -> SegmentationLoss:
    counts = InChannels(data.sets, space).pixel_counts[: len(space.class_ids)]
    weights = median_frequency_weights(counts, power=choice.class_weight_power, highest=choice.class_weight_highest)
    return SegmentationLoss(ignore_id=NO_CHANNEL, class_weights=torch.from_numpy(weights), dice_share=choice.dice_share)


def validate(average: AveragedWeights, recipe: Recipe, pictures: InSpace, space: LabelSpace) -> dict[str, float]:
    """Scores of the averaged weights at the size that will be served."""
    model = build_model(recipe.model, space).to(best_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.load_state_dict(average.values)
    preprocessing = Preprocessing(long_side=recipe.long_side)
    evaluation = evaluate(torch_predictor(model), pictures, preprocessing=preprocessing, space=space, with_scores=False)
    scores = evaluation.scores()
    short = {"pixel_accuracy": "pixel_acc", "mean_dice": "dice"}  # the names that run trackers show
    return {short.get(name, name): value for name, value in scores.items()}


if __name__ == "__main__":
    main()
