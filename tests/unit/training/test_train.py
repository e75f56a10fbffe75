"""A whole training, small: it learns, it goes on after a kill with the same weights, and it ends as a bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from segmentation.model_card import ModelCard
from training.building import parse_roots
from training.evaluation import Evaluation
from training.export import Release, export_run
from training.loop import read_checkpoint
from training.recipe_file import load_recipe
from training.runs import CHECKPOINT, Run, RunFacts, RunNotFound, read_history
from training.tracking import JsonlTracker, NullTracker
from training.train import train

RECIPE = """
name = "tiny"
evaluate_every = 2
long_side = 64
[model]
architecture = "deeplabv3plus"
options = { decoder_channels = 16 }
[[data]]
dataset = "scenes"
options = { scene_count = 4, width = 64, height = 64 }
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


class KilledError(Exception):
    """Stands for kill −9."""


class KillAfter(NullTracker):
    def __init__(self, epoch):
        self.epoch = epoch

    def log(self, epoch, numbers):
        if epoch == self.epoch:
            raise KilledError


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return {"scenes": tmp_path_factory.mktemp("scenes")}


@pytest.fixture(scope="module")
def finished(roots, tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "recipe.toml").write_text(RECIPE)
    train(load_recipe(folder / "recipe.toml"), folder=folder, roots=roots, tracker=JsonlTracker(folder / "log.jsonl"))
    return folder


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(finished, roots, tmp_path):
    recipe = load_recipe(finished / "recipe.toml")
    with pytest.raises(KilledError):
        train(recipe, folder=tmp_path, roots=roots, tracker=KillAfter(1))
    assert read_checkpoint(tmp_path / CHECKPOINT)["epoch"] == 1
    train(recipe, folder=tmp_path, roots=roots, tracker=NullTracker())
    resumed, straight = (read_checkpoint(folder / CHECKPOINT) for folder in (tmp_path, finished))
    for part in ("model", "average"):
        assert all(torch.equal(resumed[part][name], straight[part][name]) for name in straight[part])


def test_a_finished_run_has_nothing_left_to_do(finished, roots):
    before = (finished / CHECKPOINT).stat().st_mtime_ns
    state = train(load_recipe(finished / "recipe.toml"), folder=finished, roots=roots, tracker=NullTracker())
    assert state.epoch == 2
    assert (finished / CHECKPOINT).stat().st_mtime_ns == before


def test_the_log_holds_the_recipe_and_the_numbers_of_each_epoch(finished):
    first, *epochs = (json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines())
    assert first["parameters"]["name"] == "tiny"
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert {"train_loss", "imgs_per_sec", "miou", "pixel_acc", "dice", "iou/road"} <= set(epochs[1])


def test_a_run_is_opened_by_its_folder(finished):
    run = Run.open(finished)
    assert (run.name, run.recipe.name, run.space.name, run.epochs_done) == (finished.name, "tiny", "camvid-11", 2)
    assert [line["epoch"] for line in run.history()] == [1, 2]
    average = read_checkpoint(finished / CHECKPOINT)["average"]
    assert all(torch.equal(value, average[name]) for name, value in run.model().state_dict().items())
    assert not run.model().training


def test_a_folder_without_a_run_says_what_is_missing(tmp_path):
    with pytest.raises(RunNotFound, match=r"no recipe.toml and no facts.json and no checkpoint.pt"):
        Run.open(tmp_path)


def test_the_history_of_a_run_takes_the_last_of_each_epoch(tmp_path):
    lines = ['{"epoch": 1, "miou": 0.1}', '{"epoch": 2, "miou": 0.2}', '{"epoch": 1, "miou": 0.3}', '{"epoch": 3, "mi']
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    assert read_history(tmp_path / "log.jsonl") == [{"epoch": 1, "miou": 0.3}, {"epoch": 2, "miou": 0.2}]


def test_the_split_is_written_down(finished):
    split = json.loads((finished / "data.json").read_text())
    assert (len(split["train"]), len(split["validation"])) == (4, 2)
    assert not set(split["train"]) & set(split["validation"])


@pytest.fixture(scope="module")
def models(finished, roots, tmp_path_factory):
    """A folder of bundles with the finished run's model in it."""
    folder = tmp_path_factory.mktemp("models")
    export_run(finished, Release(name="tiny-model", torchscript=True), roots=roots, models=folder)
    return folder


def test_a_run_ends_as_a_bundle_whose_card_tells_how(finished, models):
    read = ModelCard.from_json((models / "tiny-model" / "card.json").read_bytes())
    assert set(read.files) == {"onnx", "torchscript"}
    assert "2 of 2 epochs" in read.description
    assert "4 pictures of generated street scenes" in read.dataset
    assert 0 <= read.scores["miou"] <= 1
    assert read.commit == RunFacts.read(finished).commit


def test_publishing_again_replaces_the_bundle(finished, roots, models):
    card = export_run(finished, Release(name="tiny-model", version="2"), roots=roots, models=models)
    assert ModelCard.from_json((models / "tiny-model" / "card.json").read_bytes()) == card
    assert card.version == "2"
    assert [path.name for path in models.iterdir()] == ["tiny-model"]


def test_roots_are_read_from_the_command_line():
    assert parse_roots(["camvid=x/y", "scenes=z"]) == {"camvid": Path("x/y"), "scenes": Path("z")}


def test_scores_name_every_class():
    from segmentation.label_spaces import get_label_space

    space = get_label_space("camvid-11")
    scores = Evaluation(space, np.eye(space.class_count, dtype=np.int64)).scores()
    assert scores["miou"] == 1
    assert scores["iou/bicyclist"] == 1
