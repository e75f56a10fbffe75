"""Two processes that train together, started by torch's own launcher, on CPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.tiny_runs import tiny_order, tiny_training
from training.fit.launch import run_order
from training.fit.loop import read_checkpoint
from training.recipe.building import build_model
from training.runs import CHECKPOINT, Run
from training.settings import TrainingSettings

# One step on whole pictures, without what differs between a batch and its halves: batch norm's statistics (the encoder
# is frozen), dropout, weights of the classes.
SETTINGS = [
    "stages[0].epochs=1",
    "stages[0].batch_size=4",
    "stages[0].freeze_encoder=true",
    "loss.class_weight_power=0",
]
SETTINGS += [
    'model={architecture="dilatednet", options={encoder="vgg11", front_channels=16, dropout=0.0}}',
    "optimiser.name=sgd",
    "optimiser.momentum=0.0",
    "schedule.name=constant",
]
SETTINGS += [
    "label_space=cityscapes-34",
    "optimiser.learning_rate=1.0",
    "schedule.warm_up=0",
    "stages[0].scale=[1.0, 1.0]",
    "augmentation.aspect=0.0",
]


def launched_together(count: int, arguments: list[str], log: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "maskmill", "train", *arguments]
    with log.open("wb") as output:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, stdout=output, stderr=output, timeout=380)
    assert done.returncode == 0, log.read_text()


def taught_settings(folder: Path, roots: Mapping[str, Path]) -> list[str]:
    teacher = tiny_training(folder, roots, ["name=master", "label_space=cityscapes-34", "stages[0].epochs=1"])
    return [f"distillation.teacher={teacher}"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_take_the_step_that_one_takes_with_the_whole_batch(tmp_path, rendered):
    """With a teacher, whose part of the loss each process works out for its half."""
    roots = {"scenes": rendered}
    settings = [*SETTINGS, *taught_settings(tmp_path, roots)]
    alone = run_order(tiny_order(tmp_path / "alone", roots, settings), settings=TrainingSettings(tracking_uri="none"))
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_order(tmp_path, roots, settings).text)
    arguments = [str(recipe), "--root", f"scenes={roots['scenes']}", "--runs", str(tmp_path / "both"), "--no-mlflow"]
    launched_together(2, arguments, tmp_path / "both.log")
    together = Run.open(tmp_path / "both" / "tiny")

    assert [line["epoch"] for line in together.history()] == [1]
    assert together.history()[0]["train_loss"] == pytest.approx(alone.history()[0]["train_loss"], rel=1e-4)
    torch.manual_seed(alone.recipe.seed)
    start = build_model(alone.recipe.model, alone.space).state_dict()
    one, two = (read_checkpoint(run.folder / CHECKPOINT)["model"] for run in (alone, together))
    learnt = [name for name in start if not torch.equal(start[name], one[name])]
    way, difference = (
        torch.cat([(a[name] - b[name]).flatten() for name in learnt]) for a, b in ((one, start), (one, two))
    )
    assert way.norm() > 0.1
    assert difference.norm() < 1e-3 * way.norm()
