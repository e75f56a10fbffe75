"""A random search: trials that anyone can repeat, a table of results, a recipe of the best."""

import json

import pytest
import torch

from tests.tiny_runs import tiny_order, tiny_training
from training.fit.loop import read_checkpoint
from training.recipe.file import load_recipe
from training.runs import RunFacts
from training.search import Trial, drawn, search, search_folder
from training.settings import TrainingSettings

pytestmark = pytest.mark.slow

UNTRACKED = TrainingSettings(tracking_uri="none")
SHORT = ["stages[0].epochs=1", "search.trials=2", "search.metric=val_loss"]


def test_a_search_keeps_the_best_and_goes_on_where_it_was(tmp_path, rendered):
    roots = {"scenes": rendered}
    order = tiny_order(tmp_path, roots, SHORT)
    trials = search(order, settings=UNTRACKED)
    scores = [trial.score for trial in trials if trial.score is not None]
    assert len(scores) == 2
    assert scores == sorted(scores)

    folder = search_folder(order)
    best = load_recipe(folder / "best.toml")
    assert best.optimiser.learning_rate == trials[0].values["optimiser.learning_rate"]
    assert best.name == "tiny-best"
    assert len(json.loads((folder / "results.json").read_text())["trials"]) == 2

    written = {path: path.stat().st_mtime_ns for path in folder.glob("*/checkpoint.pt")}
    heard: list[Trial] = []
    assert search(order, settings=UNTRACKED, on_trial=heard.append) == trials
    assert len(heard) == len(written) == 2
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_trial_that_stopped_early_is_ranked_by_the_weights_that_it_gives(tmp_path, rendered):
    """Its first epoch was said to be better than any other can be."""
    roots = {"scenes": rendered}
    measured = ["evaluate_every=1", "early_stopping.patience=1", "search.trials=1"]
    first = tiny_order(tmp_path, roots, ["stages[0].epochs=1", *measured])
    (begun,) = search(first, settings=UNTRACKED)
    checkpoint = search_folder(first) / begun.name / "checkpoint.pt"
    content = read_checkpoint(checkpoint)
    content["best"]["value"] = content["stopping"]["best"] = 2.0
    torch.save(content, checkpoint)
    (stopped,) = search(tiny_order(tmp_path, roots, ["stages[0].epochs=9", *measured]), settings=UNTRACKED)
    assert (stopped.epochs, stopped.score) == (3, begun.score)


def test_a_trial_draws_the_same_whatever_the_number_of_trials(tmp_path):
    one, other = (tiny_order(tmp_path, {}, [f"search.trials={count}"]).recipe() for count in (3, 9))
    assert [drawn(one, number) for number in (1, 2, 3)] == [drawn(other, number) for number in (1, 2, 3)]


def test_draws_stay_within_their_limits_and_differ(tmp_path):
    recipe = tiny_order(tmp_path, {}, ["search.learning_rate=[0.001, 0.1]"]).recipe()
    draws = [drawn(recipe, number) for number in range(50)]
    rates = [float(each["optimiser.learning_rate"]) for each in draws]
    assert 0.001 <= min(rates) < 0.002
    assert 0.05 < max(rates) <= 0.1
    assert {each["optimiser.name"] for each in draws} == {"adamw", "sgd"}


def test_a_search_that_diverges_altogether_says_so(tmp_path, rendered):
    from training.recipe.recipe import RecipeError

    roots = {"scenes": rendered}
    order = tiny_order(tmp_path, roots, [*SHORT, "search.trials=1", "search.learning_rate=[1e30, 1e30]"])
    with pytest.raises(RecipeError, match=r"every trial \(1\) diverged"):
        search(order, settings=UNTRACKED)


def test_trials_find_the_runs_that_their_recipe_names(tmp_path, rendered):
    roots = {"scenes": rendered}
    tiny_training(tmp_path, roots, ["name=old", "stages[0].epochs=1"])
    settings = [*SHORT, "search.trials=1", "start.from=old", "distillation.teacher=old"]
    (trial,) = search(tiny_order(tmp_path, roots, settings), settings=UNTRACKED)
    facts = RunFacts.read(search_folder(tiny_order(tmp_path, roots)) / trial.name)
    assert [each.partition(" (")[0] for each in (facts.started_from, facts.taught_by)] == ["old", "old"]
