"""The weights of the epoch that measured best are kept beside the last ones, and are what a stopped run gives away."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from maskmill.cli.app import app
from segmentation.model_card import ModelCard
from storage.catalog import Catalog, file_sha256
from tests.tiny_models import tiny_bundle
from tests.tiny_runs import tiny_order, tiny_training
from training.evaluate.subjects import open_subject
from training.export.export import Release, export_run
from training.fit.launch import run_order
from training.fit.loop import read_checkpoint
from training.fit.optimisation import Best
from training.fit.processes import Processes
from training.fit.train import state_of
from training.promote.promote import Wish, promote
from training.promote.registry import Registry
from training.recipe.building import build_empty_model
from training.recipe.recipe import EarlyStopping
from training.runs import BEST, CHECKPOINT, Run, RunNotFound
from training.settings import TrainingSettings
from training.tracking import NullTracker

MEASURED = ["evaluate_every=1", "early_stopping.patience=1"]


@pytest.fixture(scope="module")
def roots(rendered):
    return {"scenes": rendered}


@pytest.fixture(scope="module")
def stopped(roots, tmp_path_factory):
    """A run whose first epoch was said to be better than any other can be: it ends after the third."""
    runs = tmp_path_factory.mktemp("runs")
    folder = tiny_training(runs, roots, ["stages[0].epochs=1", *MEASURED])
    content = read_checkpoint(folder / CHECKPOINT)
    content["best"]["value"] = content["stopping"]["best"] = 2.0
    torch.save(content, folder / CHECKPOINT)
    return tiny_training(runs, roots, ["stages[0].epochs=9", *MEASURED])


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_best_epoch_is_kept_beside_the_last_one(roots, tmp_path):
    run = Run.open(tiny_training(tmp_path, roots, ["stages[0].epochs=3", "evaluate_every=1"]))
    scores = [line["miou"] for line in run.history()]
    best = Best(metric="miou", value=max(scores), epoch=1 + scores.index(max(scores)))
    assert run.best == best
    kept = read_checkpoint(run.folder / BEST)
    assert run.snapshot("best").epochs_done == kept["epoch"] == best.epoch
    assert same(run.snapshot("best").model.state_dict(), kept["average"])
    assert run.snapshot().epochs_done == 3  # it did not stop early
    assert run.snapshot().best is None
    assert (run.folder / BEST).stat().st_size < (run.folder / CHECKPOINT).stat().st_size / 3


def test_a_training_that_is_begun_anew_has_no_best_of_the_one_before(roots, tmp_path):
    class Stops(NullTracker):
        def start(self, parameters):
            raise KeyboardInterrupt

    folder = tiny_training(tmp_path, roots, ["stages[0].epochs=1"])
    for is_there in (True, False):
        with pytest.raises(KeyboardInterrupt):
            tiny_training(tmp_path, roots, ["stages[0].epochs=2"], trackers=[Stops()])
        assert (folder / BEST).is_file() is is_there
        (folder / CHECKPOINT).unlink(missing_ok=True)


def test_a_run_that_stopped_early_gives_its_best_weights_away(stopped):
    run = Run.open(stopped)
    assert (run.epochs_done, run.has_stopped) == (3, True)
    chosen, last = run.snapshot(), run.snapshot("last")
    assert (chosen.epochs_done, last.epochs_done) == (1, 3)
    assert (chosen.sha256, last.sha256) == tuple(file_sha256(stopped / name) for name in (BEST, CHECKPOINT))
    assert not same(chosen.model.state_dict(), last.model.state_dict())
    assert open_subject(str(stopped), models=[], runs=stopped).checkpoint == "epoch 1, the best in miou"


def test_the_card_says_which_epoch_and_how_it_was_chosen(stopped, roots, tmp_path):
    told = {}
    for which in ("", "last"):
        release = Release(name=f"of-{which}", checkpoint=which)
        done = export_run(stopped, release, roots=roots, models=Catalog([tmp_path]))
        told[which] = (done.card.description, done.checkpoint)
    assert "trained for 1 of 9 epochs" in told[""][0]
    assert "averaged weights after the last one of them, chosen for its miou on validation pictures;" in told[""][0]
    assert "trained for 3 of 9 epochs" in told["last"][0]
    assert "averaged weights after the last one;" in told["last"][0]
    assert [each[1] for each in told.values()] == [file_sha256(stopped / name) for name in (BEST, CHECKPOINT)]


def test_a_promoted_run_is_exported_once_from_its_best(stopped, roots, mlflow_uri, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "runs" / "tiny")
    wish = Wish(name="best", runs=tmp_path / "runs", roots=roots)
    assert [promote("tiny", wish, Registry(mlflow_uri)).version for _ in range(2)] == ["1", "1"]
    card = ModelCard.from_json((folder / "bundles" / "best" / "card.json").read_bytes())
    assert "trained for 1 of 9 epochs" in card.description
    assert json.loads((folder / "bundles.json").read_text()) == {"best": file_sha256(folder / BEST)}


def test_a_command_may_ask_for_either(stopped, roots):
    words = ["evaluate", str(stopped), "scenes", "--root", f"scenes={roots['scenes']}", "--no-speed", "--json"]
    for more, epoch in (([], "epoch 1, the best in miou"), (["--checkpoint", "last"], "epoch 3")):
        done = CliRunner().invoke(app, [*words, "--option", "scene_count=2", *more], catch_exceptions=False)
        assert json.loads(done.stdout)["model"]["checkpoint"] == epoch
    assert CliRunner().invoke(app, [*words, "--checkpoint", "middle"]).exit_code == 2


def test_another_training_begins_with_the_best(stopped, roots, tmp_path):
    for number, (source, name) in enumerate([(stopped, "epoch 1"), (stopped / CHECKPOINT, "epoch 3")]):
        order = tiny_order(tmp_path, roots, [f"name=next-{number}", f"start.from={source}", "stages[0].epochs=1"])
        run = run_order(order, settings=TrainingSettings(tracking_uri="none"))
        assert run.facts.started_from.startswith(f"tiny ({name}, sha256 ")


def test_what_was_never_kept_is_said_so(stopped, tmp_path):
    old = shutil.copytree(stopped, tmp_path / "old")
    (old / BEST).unlink()
    assert Run.open(old).best is None
    assert Run.open(old).snapshot().epochs_done == 3
    with pytest.raises(RunNotFound, match=r"old has no best\.pt: .*ask for the last"):
        Run.open(old).snapshot("best")
    tiny_bundle(tmp_path / "models")
    with pytest.raises(RunNotFound, match="tiny is a bundle"):
        open_subject("tiny", models=[tmp_path / "models"], runs=tmp_path, checkpoint="best")


def test_an_older_run_that_goes_on_keeps_nothing_that_is_worse_than_what_it_had(roots, tmp_path):
    folder = tiny_training(tmp_path, roots, ["stages[0].epochs=1", *MEASURED])
    content = read_checkpoint(folder / CHECKPOINT)
    del content["best"]
    content["stopping"]["best"] = 2.0
    torch.save(content, folder / CHECKPOINT)
    (folder / BEST).unlink()
    tiny_training(tmp_path, roots, ["stages[0].epochs=2", *MEASURED])
    assert not (folder / BEST).exists()


def test_the_best_is_never_chosen_on_what_is_learnt_from():
    assert [EarlyStopping(metric=each).best_metric for each in ("train_loss", "val_loss")] == ["miou", "val_loss"]


def test_what_was_best_in_another_metric_is_compared_by_what_it_measured_in_the_new_one(stopped, caplog):
    run = Run.open(stopped)
    for metric in ("val_loss", "miou"):
        recipe = replace(run.recipe, early_stopping=EarlyStopping(metric=metric))
        with Processes.joined() as processes:
            state = state_of(build_empty_model(recipe.model, run.space), recipe, stopped, processes)
        value = 2.0 if metric == "miou" else run.history()[0]["val_loss"]
        assert state.best == Best(metric=metric, value=value, epoch=1)
    assert caplog.text.count("were chosen for their miou; from now on the best in val_loss takes their place") == 1
