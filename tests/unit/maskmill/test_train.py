"""`maskmill train` and `maskmill search`: what they show, and how they end when something is wrong or is stopped."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import INTERRUPTED, REFUSED, USAGE
from maskmill.cli.training.train import find_recipe, watching
from tests.tiny_runs import RECIPE
from training.recipe.recipe import RecipeError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`maskmill …` in a folder with the recipe tiny.toml of one epoch, tracked in its own folder alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    more = ("--no-mlflow", "--root", f"scenes={tmp_path_factory.getbasetemp() / 'cli-scenes'}")
    return lambda command, *words: CliRunner().invoke(
        app, [command, "tiny.toml", *more, "--set", "stages[0].epochs=1", *map(str, words)], catch_exceptions=False
    )


def test_a_recipe_becomes_a_run_and_a_sentence_says_what_next(run: Run, tmp_path: Path):
    result = run("train", "--runs", "my runs", "--set", "name=Tiny")
    assert result.exit_code == 0
    assert "my runs/Tiny: 1 epoch, mean IoU" in result.stdout
    assert "export 'my runs/Tiny' --name tiny" in result.stdout
    assert "Training: epoch 1 of 1 begins, " in result.stderr
    assert "Checking 0 pictures" not in result.stderr
    assert "epoch 1/1  train_loss" in result.stderr
    assert (tmp_path / "my runs" / "Tiny" / "checkpoint.pt").is_file()
    again = run("train", "--runs", "my runs", "--set", "name=Tiny", "--json")
    told = json.loads(again.stdout)
    assert (told["name"], told["epochs"]) == ("Tiny", 1)
    assert 0 <= told["numbers"]["miou"] <= 1


def test_a_recipe_edited_under_the_same_name_says_what_differs_and_what_to_type(run: Run):
    assert run("train").exit_code == 0
    result = run("train", "--set", "optimiser.learning_rate=0.002", "--json")
    assert result.exit_code == REFUSED
    message = json.loads(result.stdout)["error"]["message"]
    assert "optimiser.learning_rate was 0.001 and is 0.002" in message
    assert "--set name=tiny-2" in message


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (["--no-mlflow"], "set MASKMILL_TRAINING_TRACKING_URI=none where the trainer runs"),
        (["--runs", "elsewhere"], "set MASKMILL_TRAINING_RUNS=DIR where the trainer runs"),
        (["--workers", "2"], "set MASKMILL_TRAINING_WORKERS=N where the trainer runs"),
    ],
)
def test_what_a_trainer_decides_is_not_sent_to_the_queue(words: list[str], setting: str):
    """No broker is asked: the refusal comes first."""
    result = CliRunner().invoke(app, ["train", "scenes-quick", "--queue", *words], env={"COLUMNS": "300"})
    assert result.exit_code == USAGE
    assert f"--queue does not send {words[0]}: {setting}" in result.stderr


def test_a_wrong_value_is_named_and_makes_nothing(run: Run, tmp_path: Path):
    result = run("train", "--set", "optimiser.name=magic", "--json")
    assert result.exit_code == REFUSED
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "invalid_recipe"
    assert "tiny.toml with --set: optimiser.name" in error["message"]
    assert "allowed: 'adamw', 'adam', 'sgd'" in error["message"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--root", "moon=here"], "--root moon=here: expected DATASET=FOLDER"),
        (["--set", "stages[4].epochs=1"], "--set stages[4].epochs: there is no 4 in it"),
    ],
)
def test_wrong_options_say_what_was_expected(run: Run, words: list[str], message: str):
    result = run("train", *words)
    assert result.exit_code == REFUSED
    assert message in result.stderr


def test_a_stop_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch):
    def stopped(order: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.fit.launch.run_order", stopped)
    words = ["train", "tiny.toml", "--runs", f"a folder of a long name/{'x' * 200}"]
    monkeypatch.setattr("sys.argv", ["maskmill", *words])
    result = run("train")
    assert result.exit_code == INTERRUPTED
    assert "go on with:" in result.stderr
    assert shlex.join(words) in result.stderr


def test_a_search_shows_its_trials_best_first(run: Run, tmp_path: Path):
    result = run("search", "--trials", 2, "--metric", "val_loss")
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if line.startswith("tiny-trial-")]
    assert sorted(line.split()[0] for line in lines) == ["tiny-trial-01", "tiny-trial-02"]
    assert float(lines[0].split()[-1]) <= float(lines[1].split()[-1])
    assert "runs/tiny-search/best.toml" in result.stdout
    assert ", optimiser " in result.stderr


def test_a_terminal_sees_bars_of_run_and_epoch():
    screen = io.StringIO()
    with watching(Console(file=screen, force_terminal=True, width=120)) as watcher:
        watcher.epoch_begins(3, of=30, steps=2)
        watcher.step(0.5)
        watcher.validation_begins(7)
        watcher.picture()
        watcher.epoch_ends(3, {"train_loss": 0.5, "miou": 0.25})
    assert "3/30" in screen.getvalue()
    assert "1/7" in screen.getvalue()
    assert "miou 0.250" in screen.getvalue()


def test_our_recipes_are_found_by_name():
    assert find_recipe("scenes-quick").is_file()
    assert find_recipe("elsewhere/mine.toml") == Path("elsewhere/mine.toml")
    with pytest.raises(RecipeError, match=r"no recipe scenes-quik, neither a file nor one of .*, scenes-quick, "):
        find_recipe("scenes-quik")
