"""A whole training, small: what it writes down, and that it ends as a bundle."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_runs import tiny_order, tiny_training
from training.evaluate.evaluation import Evaluation
from training.fit.loop import read_checkpoint
from training.fit.train import prepare_data, warn_of_learnt_validation
from training.recipe.building import parse_roots
from training.runs import CHECKPOINT, Run, RunNotFound, read_history, write_text
from training.spaces import find_label_space
from training.tracking import NullTracker


@pytest.fixture(scope="module")
def roots(rendered):
    return {"scenes": rendered}


class Album(NullTracker):
    def __init__(self):
        self.pictures = []

    def picture(self, epoch, name, image):
        self.pictures.append((epoch, name, image.shape))


@pytest.fixture(scope="module")
def album():
    return Album()


@pytest.fixture(scope="module")
def finished(roots, album, tmp_path_factory):
    """The folder of a finished run."""
    return tiny_training(tmp_path_factory.mktemp("finished"), roots, ["precision=bf16"], trackers=[album])


def test_the_log_holds_the_recipe_and_the_numbers_of_each_epoch(finished):
    first, *epochs = (json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines())
    assert first["parameters"]["name"] == "tiny"
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert {"train_loss", "lr", "train_time_sec", "imgs_per_sec"} <= set(epochs[0])
    assert {"val_loss", "miou", "pixel_acc", "dice", "iou/road"} <= set(epochs[1])


def test_the_speed_is_of_pictures_that_were_learnt_from(finished):
    """Of five pictures in batches of two the last one is left out."""
    for line in Run.open(finished).history():
        assert line["imgs_per_sec"] * line["train_time_sec"] == pytest.approx(4)


def test_predictions_are_shown_where_they_are_measured(finished, album):
    names = json.loads((finished / "data.json").read_text())["validation"]
    assert album.pictures == [(2, Path(name).stem, (64, 192, 3)) for name in names]


@pytest.mark.parametrize(
    ("split", "warnings"), [("train", ["validation pictures that are learnt from too: 2 of 2"]), ("val", [])]
)
def test_who_validates_on_what_is_learnt_is_warned(roots, caplog, split, warnings):
    order = tiny_order(Path("runs"), roots, [f"validation.split={split}"])
    recipe = order.recipe()
    data = prepare_data(recipe, roots, find_label_space(recipe.label_space))
    warn_of_learnt_validation(data.record([]), data.validation_set)
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == warnings


def test_early_stopping_ends_a_run_that_improves_nothing(roots, tmp_path):
    settings = ["stages[0].epochs=9", "evaluate_every=1", "early_stopping.patience=1", "early_stopping.least=1.0"]
    run = Run.open(tiny_training(tmp_path, roots, settings))
    assert run.epochs_done == len(run.history()) == 3


def test_a_run_is_opened_by_its_folder(finished):
    run = Run.open(finished)
    assert (run.name, run.recipe.name, run.space.name, run.epochs_done) == ("tiny", "tiny", "camvid-11", 2)
    assert [line["epoch"] for line in run.history()] == [1, 2]
    average = read_checkpoint(finished / CHECKPOINT)["average"]
    assert all(torch.equal(value, average[name]) for name, value in run.snapshot().model.state_dict().items())
    assert not run.snapshot().model.training


def test_a_folder_without_a_run_says_what_is_missing(tmp_path):
    with pytest.raises(RunNotFound, match=r"no recipe.toml and no facts.json and no checkpoint.pt"):
        Run.open(tmp_path)


def test_the_history_of_a_run_takes_the_last_of_each_epoch(tmp_path):
    lines = ['{"epoch": 1, "miou": 0.1}', '{"epoch": 2, "miou": 0.2}', '{"epoch": 1, "miou": 0.3}', '{"epoch": 3, "mi']
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    assert read_history(tmp_path / "log.jsonl") == [{"epoch": 1, "miou": 0.3}, {"epoch": 2, "miou": 0.2}]


def test_of_two_that_write_one_file_at_once_the_last_one_is_whole(tmp_path, monkeypatch):
    path, to_the_disk = tmp_path / "report.json", os.fsync

    def meanwhile(number):
        monkeypatch.setattr("training.runs.os.fsync", to_the_disk)
        write_text(path, "a longer text of another")
        to_the_disk(number)

    monkeypatch.setattr("training.runs.os.fsync", meanwhile)
    write_text(path, "short")
    assert path.read_text() == "short"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_file_of_before_and_no_part(tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "report.json"
    path.write_text("before")
    monkeypatch.setattr("training.runs.os.fsync", full)
    with pytest.raises(OSError, match="No space left") as told:
        write_text(path, "after")
    assert told.value.filename == str(path)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("before", [path])


def test_the_split_is_written_down(finished):
    split = json.loads((finished / "data.json").read_text())
    assert (len(split["train"]), len(split["validation"])) == (5, 2)
    assert not set(split["train"]) & set(split["validation"])


def test_roots_are_read_from_the_command_line():
    assert parse_roots(["camvid=x/y", "scenes=z"]) == {"camvid": Path("x/y"), "scenes": Path("z")}


def test_scores_name_every_class():
    from segmentation.label_spaces import get_label_space

    space = get_label_space("camvid-11")
    scores = Evaluation(space, np.eye(space.class_count, dtype=np.int64)).scores()
    assert scores["miou"] == 1
    assert scores["iou/bicyclist"] == 1
