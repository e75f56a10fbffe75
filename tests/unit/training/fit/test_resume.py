"""A run whose process is killed goes on, and ends with the same weights, bit for bit, as one that was not."""

import errno
import json
import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
import torch

from tests.tiny_models import tiny_bundle
from tests.tiny_runs import RECIPE, tiny_order
from training.fit.launch import RunBusy, run_lock, run_order
from training.fit.loop import read_checkpoint
from training.fit.optimisation import Best
from training.fit.progress import NullWatcher
from training.fit.train import Places, train
from training.recipe.changes import changes
from training.recipe.file import read_recipe
from training.recipe.recipe import RecipeError
from training.runs import CHECKPOINT, Run
from training.settings import TrainingSettings
from training.tracking import NullTracker

UNTRACKED = TrainingSettings(tracking_uri="none")
LOWERED = ["schedule.name=plateau", "schedule.metric=val_loss", "schedule.patience=0"]
STOPPED = ["early_stopping.patience=1", "early_stopping.metric=miou"]
HELD_STILL = ["stages[0].freeze_encoder=true", 'optimiser.name="sgd"']
MANNERS = {
    "plain": ["stages[0].epochs=3"],
    "plateau": ["stages[0].epochs=3", "evaluate_every=1", *LOWERED, *STOPPED],
    "accumulated": ["stages[0].epochs=3", "accumulate=2", "ema_decay=0.9", "optimiser.amsgrad=true"],
    "fp16": ["stages[0].epochs=3", "precision=fp16"],
    "frozen": ["stages[0].epochs=3", *HELD_STILL],
    "taught": ["stages[0].epochs=3", "distillation.teacher=tiny", "distillation.scale=2"],
}


class DiesInTheMiddle(NullWatcher):
    """Kills its process after the first step of the second epoch."""

    def __init__(self):
        self.epoch = 0

    def epoch_begins(self, epoch, *, of, steps):
        self.epoch = epoch

    def step(self, loss):
        if self.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(order):
    torch.set_num_threads(1)
    run_order(order, settings=UNTRACKED, watcher=DiesInTheMiddle())


@pytest.fixture(scope="module")
def roots(rendered):
    return {"scenes": rendered}


@pytest.mark.parametrize("manner", MANNERS)
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(manner, roots, tmp_path):
    tiny_bundle(tmp_path / "models")
    undisturbed, order = (
        replace(tiny_order(tmp_path / name, roots, MANNERS[manner]), models=[tmp_path / "models"])
        for name in ("straight", "killed")
    )
    straight = run_order(undisturbed, settings=UNTRACKED)
    child = multiprocessing.get_context("fork").Process(target=run_until_killed, args=(order,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert Run.open(order.folder).epochs_done == 1

    resumed = run_order(order, settings=UNTRACKED)
    one, other = (read_checkpoint(run.folder / CHECKPOINT) for run in (resumed, straight))
    assert resumed.best == straight.best == Best(**one["best"])
    for part in ("model", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in other[part])
    assert [one[part] for part in ("epoch", "step", "plateau", "stopping", "scaler")] == [
        other[part] for part in ("epoch", "step", "plateau", "stopping", "scaler")
    ]
    assert [line["epoch"] for line in resumed.history()] == [line["epoch"] for line in straight.history()]


def test_two_processes_never_train_in_one_folder(roots, tmp_path):
    order = tiny_order(tmp_path, roots)
    with run_lock(order.folder), pytest.raises(RunBusy, match=r"another process trains in .*tiny"):
        run_order(order, settings=UNTRACKED)


def test_a_folder_that_cannot_be_locked_is_told_with_what_to_do(tmp_path, monkeypatch):
    def unknown(_file, _kind):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    with (
        pytest.raises(RunBusy, match=r"cannot be locked .*: choose a folder of runs on a local disk"),
        run_lock(tmp_path),
    ):
        pass


def test_a_finished_run_remembers_where_its_data_lay(roots, tmp_path):
    """Whoever starts it again without saying where exports it from where it was trained."""
    order = tiny_order(tmp_path, roots, ["stages[0].epochs=1"])
    run_order(order, settings=UNTRACKED)
    again = run_order(replace(order, roots={}), settings=UNTRACKED)
    assert again.roots == {name: folder.absolute() for name, folder in roots.items()}


def test_a_finished_run_has_nothing_left_to_do(roots, tmp_path):
    order = tiny_order(tmp_path, roots, ["stages[0].epochs=1"])
    run = run_order(order, settings=UNTRACKED)
    before = (run.folder / CHECKPOINT).stat().st_mtime_ns
    assert run_order(order, settings=UNTRACKED).epochs_done == 1
    state = train(run.recipe, folder=run.folder, places=Places(roots=roots), tracker=NullTracker())
    assert state.epoch == 1
    assert (run.folder / CHECKPOINT).stat().st_mtime_ns == before


class Looks(NullTracker):
    """How many epochs the checkpoint has when one is logged."""

    def __init__(self, folder):
        self.folder, self.seen = folder, []

    def log(self, epoch, numbers):
        self.seen.append((epoch, read_checkpoint(self.folder / CHECKPOINT)["epoch"]))


def test_an_epoch_is_logged_once_its_checkpoint_is_there_and_after_a_kill_between(roots, tmp_path):
    order = tiny_order(tmp_path, roots)
    looks = Looks(order.folder)
    run = run_order(order, settings=UNTRACKED, more_trackers=lambda recipe: [looks])
    assert looks.seen == [(1, 1), (2, 2)]
    history, log = run.history(), run.folder / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-40])  # as a kill leaves it within the last line
    assert len(run.history()) == 1
    assert run_order(order, settings=UNTRACKED).history() == history
    before = log.read_bytes()
    run_order(order, settings=UNTRACKED)
    assert before.splitlines() == log.read_bytes().splitlines()[: len(before.splitlines())]
    assert sum(b'"epoch"' in line for line in log.read_bytes().splitlines()) == 3


def test_a_training_that_is_begun_anew_has_no_epochs_of_the_one_before(roots, tmp_path):
    """As who deletes its checkpoint wants it: neither in its log nor in MLflow."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    before = [{"parameters": {}}, {"epoch": 1, "train_loss": 9.0}, {"epoch": 2, "train_loss": 8.0}]
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in before))
    (folder / "mlflow.json").write_text('{"uri": "http://gone.example", "run_id": "7"}')
    run = run_order(tiny_order(tmp_path, roots, ["stages[0].epochs=1"]), settings=UNTRACKED)
    assert [each["epoch"] for each in run.history()] == [1]
    assert run.history()[0]["train_loss"] < 8
    assert not (folder / "mlflow.json").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.options.decoder_channels=64", r"line 7: .*model.options.decoder_channels was 32 and is 64"),
        ("optimiser.learning_rate=0.5", r"optimiser.learning_rate was 0.001 and is 0.5; .*--set name=tiny-2"),
        ("stages[0].scale=[0.5, 2.0]", r"stages\[0\].scale\[1\] was 1.0 and is 2.0"),
        ("distillation.teacher=nobody", r"distillation.teacher was '' and is 'nobody'"),
    ],
)
def test_another_recipe_under_the_name_of_a_finished_run_is_refused(roots, tmp_path, setting, message):
    order = tiny_order(tmp_path, roots, ["stages[0].epochs=1"])
    run = run_order(order, settings=UNTRACKED)
    with pytest.raises(RecipeError, match=message):
        run_order(tiny_order(tmp_path, roots, ["stages[0].epochs=1", setting]), settings=UNTRACKED)
    assert (run.folder / "recipe.toml").read_text() == order.text
    prolonged = tiny_order(tmp_path, roots, ["stages[0].epochs=2", "evaluate_every=1"])
    assert run_order(prolonged, settings=UNTRACKED).epochs_done == 2
    with pytest.raises(RecipeError, match=r"stages\[0\].epochs was 2 and is 1"):
        run_order(order, settings=UNTRACKED)


@pytest.mark.parametrize(
    ("epochs", "said"), [((2, 3), "stages[1].epochs was 4 and is 3"), ((2,), "stages was 2 and is 1")]
)
def test_a_recipe_that_ends_before_its_run_is_told_in_the_epochs_of_its_stage(epochs: tuple[int, ...], said: str):
    whole = read_recipe(RECIPE, name="whole.toml")
    was, now = (
        replace(whole, stages=tuple(replace(whole.stages[0], epochs=each) for each in of)) for of in ((2, 4), epochs)
    )
    assert list(map(str, changes(was, now, epochs_done=6))) == [said]
