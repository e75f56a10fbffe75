"""A training of seconds: a small network on a few small generated scenes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.fit.launch import Order
from training.fit.train import Places, train
from training.recipe.edit import with_settings
from training.recipe.recipe import Recipe
from training.tracking import JsonlTracker, Tracker, Trackers

RECIPE = """
name = "tiny"
evaluate_every = 2
long_side = 64
[model]
architecture = "fpn"
options = { encoder = "tu-test_resnet", pyramid_channels = 32, decoder_channels = 32 }
[[data]]
dataset = "scenes"
options = { scene_count = 5, width = 64, height = 64 }
[validation]
dataset = "scenes"
split = "val"
options = { scene_count = 2, width = 64, height = 64 }
[[stages]]
epochs = 2
batch_size = 2
crop = [32, 64]
scale = [0.5, 1.0]
"""


def tiny_order(runs: Path, roots: Mapping[str, Path], settings: Sequence[str] = ()) -> Order:
    return Order(text=with_settings(RECIPE, settings), title="tiny.toml", roots=roots, runs=runs)


def tiny_training(
    runs: Path,
    roots: Mapping[str, Path],
    settings: Sequence[str] = (),
    *,
    trackers: Sequence[Tracker] = (),
    models: Sequence[Path] = (),
) -> Path:
    """Train without a lock, and without a tracker but the file; returns the run's folder."""
    order = tiny_order(runs, roots, settings)
    recipe: Recipe = order.recipe()
    folder = runs / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(order.text)
    tracker = Trackers([JsonlTracker(folder / "log.jsonl"), *trackers])
    train(recipe, folder=folder, places=Places(roots=roots, models=models), tracker=tracker)
    return folder
