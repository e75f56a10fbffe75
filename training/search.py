"""Random search over learning rate, weight decay and optimiser: each trial is a run of the same recipe.

Trial n draws the same values whatever was before it, so a search that was stopped goes on, and may be prolonged.
Source: Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization".
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from training.fit.launch import Order, run_order
from training.fit.loop import TrainingDiverged
from training.fit.progress import Watcher
from training.recipe.edit import with_value
from training.recipe.recipe import Recipe, RecipeError
from training.runs import Run, write_json, write_text
from training.settings import TrainingSettings

RESULTS = "results.json"
BEST = "best.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """values: what was drawn, by key of the recipe. score: of the weights that it gives; None when it diverged."""

    name: str
    values: Mapping[str, float | str]
    score: float | None
    epochs: int


def search(
    order: Order,
    *,
    settings: TrainingSettings,
    watcher: Watcher | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Run the recipe's `search`; returns the trials, the best first. Writes RESULTS and BEST into the search's folder.

    Raises RecipeError, DatasetError, and RunBusy while another process runs one of the trials.
    """
    recipe = order.recipe()
    folder = search_folder(order)
    trials: list[Trial] = []
    for number in range(1, recipe.search.trials + 1):
        trial = _run(order, recipe, number, settings=settings, watcher=watcher)
        trials = sorted([*trials, trial], key=lambda each: _rank(each, recipe))
        write_json(folder / RESULTS, {"metric": recipe.search.metric, "trials": [asdict(each) for each in trials]})
        on_trial(trial)
    if trials[0].score is None:
        raise RecipeError(f"search.learning_rate: every trial ({len(trials)}) diverged; draw from lower ones")
    write_text(folder / BEST, with_values(order.text, {**trials[0].values, "name": f"{recipe.name}-best"}))
    return trials


def search_folder(order: Order) -> Path:
    return order.runs / f"{order.recipe().name}-search"


def drawn(recipe: Recipe, number: int) -> dict[str, float | str]:
    """The values of trial 1, 2, …"""
    choice, rng = recipe.search, np.random.default_rng((recipe.seed, number))
    rate, decay = (_between(limits, rng) for limits in (choice.learning_rate, choice.weight_decay))
    name = choice.optimisers[int(rng.integers(len(choice.optimisers)))]
    return {"optimiser.learning_rate": rate, "optimiser.weight_decay": decay, "optimiser.name": name}


def with_values(text: str, values: Mapping[str, float | str]) -> str:
    for where, value in values.items():
        text = with_value(text, where, value)
    return text


def _run(order: Order, recipe: Recipe, number: int, *, settings: TrainingSettings, watcher: Watcher | None) -> Trial:
    name, values = f"{recipe.name}-trial-{number:02}", drawn(recipe, number)
    text = with_values(order.text, {**values, "name": name})
    title = f"{order.title} (trial {number})"
    trial_order = replace(order, text=text, runs=search_folder(order), named_in=order.runs, title=title)
    try:
        run = run_order(trial_order, settings=settings, watcher=watcher)
    except TrainingDiverged:
        return Trial(name=name, values=values, score=None, epochs=0)
    return Trial(name=name, values=values, score=_score(run, recipe.search.metric), epochs=run.epochs_done)


def _score(run: Run, metric: str) -> float | None:
    """Of the weights that the run gives away: the last ones, or the best where it stopped early."""
    chosen = run.best if run.has_stopped else None
    history = [line for line in run.history() if chosen is None or line["epoch"] <= chosen.epoch]
    measured = [line[metric] for line in history if math.isfinite(line.get(metric, math.nan))]
    return measured[-1] if measured else None


def _rank(trial: Trial, recipe: Recipe) -> float:
    if trial.score is None:
        return math.inf
    return trial.score if recipe.search.metric.endswith("loss") else -trial.score


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Evenly over the logarithm, with three significant digits: what is written down is what was used."""
    return float(f"{math.exp(rng.uniform(*np.log(limits))):.3g}")
