"""maskmill train and maskmill search: a recipe becomes a run, here or on a trainer."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maskmill.cli.exits import INTERRUPTED
from maskmill.cli.options import JsonOption
from maskmill.cli.output import counted, percent, plain_table, print_json, print_table, program, stderr, stdout

if TYPE_CHECKING:
    from training.fit.launch import Order
    from training.fit.progress import Watcher
    from training.runs import Run
    from training.search import Trial
    from training.settings import TrainingSettings

SHOWN = ("train_loss", "val_loss", "miou", "dice", "pixel_acc")
# Options that are no part of a message to a trainer, and the settings by which it has its own.
TRAINERS_OWN = {
    "runs": "MASKMILL_TRAINING_RUNS=DIR",
    "workers": "MASKMILL_TRAINING_WORKERS=N",
    "no_mlflow": "MASKMILL_TRAINING_TRACKING_URI=none",
}


@dataclass(frozen=True, kw_only=True)
class Training(JsonOption):
    recipe: Annotated[
        str, typer.Argument(help="A recipe's file, or the name of one of ours.", metavar="RECIPE", show_default=False)
    ]
    root: Annotated[
        list[str] | None,
        typer.Option(help="Where a data set lies; else runs/datasets/DATASET.", metavar="DATASET=FOLDER"),
    ] = None
    runs: Annotated[Path, typer.Option(help="Folder of all runs.", metavar="DIR")] = Path("runs")
    workers: Annotated[int, typer.Option(help="Processes that prepare pictures.", min=0)] = 0
    set: Annotated[
        list[str] | None,
        typer.Option(
            help="Another value for a key of the recipe, as optimiser.learning_rate=0.01.", metavar="KEY=VALUE"
        ),
    ] = None
    no_mlflow: Annotated[bool, typer.Option("--no-mlflow", help="Keep the numbers in the run's folder alone.")] = False


@dataclass(frozen=True, kw_only=True)
class QueuedTraining(Training):
    queue: Annotated[bool, typer.Option("--queue", help="Send it to a trainer instead of training here.")] = False


@dataclass(frozen=True, kw_only=True)
class Searching(Training):
    trials: Annotated[int | None, typer.Option(help="How many; else the recipe's search.trials.", min=1)] = None
    metric: Annotated[
        str | None, typer.Option(help="What the best is best in: miou, dice, pixel_acc, val_loss, train_loss.")
    ] = None


def train(choices: QueuedTraining) -> None:
    """Train a model from a recipe. The same command again goes on where a run was stopped."""
    from training.fit.launch import run_order

    if choices.queue:
        _refuse_what_the_trainer_decides(choices)
    order, console = _order(choices), _console()
    if choices.queue:
        _send(order, choices, console)
        return
    with _resumable(console), watching(console) as watcher:
        run = run_order(order, settings=_settings(choices), watcher=watcher)
    if _is_first():
        _show(run, choices)


def search(choices: Searching) -> None:
    """Train a recipe several times with learning rate, weight decay and optimiser drawn at random; keep the best."""
    from training.search import BEST, search, search_folder

    asked = {"search.trials": choices.trials, "search.metric": choices.metric}
    order, console = (
        _order(choices, [f"{key}={value}" for key, value in asked.items() if value is not None]),
        _console(),
    )
    metric = order.recipe().search.metric
    with _resumable(console), watching(console) as watcher:
        trials = search(
            order,
            settings=_settings(choices),
            watcher=watcher,
            on_trial=lambda trial: console.print(_trial_sentence(trial, metric), soft_wrap=True),
        )
    best = search_folder(order) / BEST
    if choices.as_json:
        told = [{"name": each.name, **each.values, "score": each.score, "epochs": each.epochs} for each in trials]
        print_json({"metric": metric, "trials": told, "best": str(best)})
        return
    table = plain_table("trial", "optimiser", "learning rate", "weight decay", metric, right=(metric,))
    for each in trials:
        values = [str(each.values[f"optimiser.{key}"]) for key in ("name", "learning_rate", "weight_decay")]
        table.add_row(each.name, *values, "diverged" if each.score is None else f"{each.score:.4f}")
    print_table(table)
    stdout().print(f"The best is a recipe: {best}", soft_wrap=True)


@contextlib.contextmanager
def watching(console: Console) -> Iterator[Watcher]:
    """Bars over the epochs of the run and the steps of the epoch; without a terminal a line per epoch."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (TextColumn("{task.description:<10}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=console, refresh_per_second=4) as progress:
        yield Bars(progress)


class Bars:
    """A training's Watcher on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._run = progress.add_task("Run", total=None, said="")
        self._epoch = progress.add_task("Epoch", total=None, said="")

    def checking_begins(self, pictures: int) -> None:
        self._progress.reset(self._epoch, total=pictures, description="Checking", said="")

    def unfolding_begins(self, batches: int) -> None:
        self._progress.reset(self._epoch, total=batches, description="Unfolding", said="")

    def epoch_begins(self, epoch: int, *, of: int, steps: int) -> None:
        self._progress.update(self._run, completed=epoch - 1, total=of)
        self._progress.reset(self._epoch, total=steps, description=f"Epoch {epoch}", said="")

    def step(self, loss: float) -> None:
        self._progress.update(self._epoch, advance=1, said=f"loss {loss:.3f}")

    def validation_begins(self, pictures: int) -> None:
        self._progress.reset(self._epoch, total=pictures, description="Scoring", said="")

    def picture(self) -> None:
        self._progress.advance(self._epoch)

    def epoch_ends(self, epoch: int, numbers: dict[str, float]) -> None:
        self._progress.update(self._run, completed=epoch, said=_said(numbers))


class Lines:
    """A training's Watcher in a file or pipe."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._of = 0

    def checking_begins(self, pictures: int) -> None:
        if pictures:  # generated ones are made when they are first asked for
            self._console.print(f"Checking {counted(pictures, 'picture')}, each with its mask", soft_wrap=True)

    def unfolding_begins(self, batches: int) -> None:
        self._console.print(
            f"Unfolding the bundle's batch norms on {counted(batches, 'batch', 'batches')}", soft_wrap=True
        )

    def epoch_begins(self, epoch: int, *, of: int, steps: int) -> None:
        if not self._of:  # an epoch of a large recipe takes an hour
            self._console.print(f"Training: epoch {epoch} of {of} begins, {counted(steps, 'step')}", soft_wrap=True)
        self._of = of

    def step(self, loss: float) -> None: ...

    def validation_begins(self, pictures: int) -> None: ...

    def picture(self) -> None: ...

    def epoch_ends(self, epoch: int, numbers: dict[str, float]) -> None:
        self._console.print(f"epoch {epoch}/{self._of}  {_said(numbers)}", soft_wrap=True)


def find_recipe(reference: str) -> Path:
    """A file, or the name of a recipe that comes with the project. Raises RecipeError for a name that none has."""
    import training.recipes
    from training.recipe.recipe import RecipeError

    folder, given = Path(training.recipes.__path__[0]), Path(reference)
    if given.exists():
        return given
    if (ours := folder / f"{reference}.toml").is_file():
        return ours
    if given.name == reference and not given.suffix:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
        raise RecipeError(f"there is no recipe {reference}, neither a file nor one of {known}")
    return given


def _order(choices: Training, settings: list[str] | None = None) -> Order:
    """Raises RecipeError for a recipe that is wrong: before anything is made."""
    from storage.settings import StorageSettings
    from training.fit.launch import Order
    from training.recipe.building import parse_roots
    from training.recipe.edit import with_settings
    from training.recipe.file import recipe_text

    path = find_recipe(choices.recipe)
    file = recipe_text(path)
    text = with_settings(file, [*(choices.set or []), *(settings or [])])
    roots = parse_roots(choices.root or [])
    order = Order(
        text=text,
        title=path.name,
        file=file,
        roots=roots,
        runs=choices.runs,
        models=StorageSettings().model_folders,
        workers=choices.workers,
    )
    order.recipe()
    return order


def _settings(choices: Training) -> TrainingSettings:
    from training.settings import TrainingSettings

    return TrainingSettings(tracking_uri="none") if choices.no_mlflow else TrainingSettings()


def _refuse_what_the_trainer_decides(choices: Training) -> None:
    """A message is a recipe: it says nothing of where a trainer keeps its runs, nor of what it does beside training."""
    usual = {each.name: each.default for each in fields(choices)}
    given = [name for name in TRAINERS_OWN if getattr(choices, name) != usual[name]]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        settings = ", ".join(TRAINERS_OWN[name] for name in given)
        raise typer.BadParameter(f"--queue does not send {options}: set {settings} where the trainer runs")


def _send(order: Order, choices: Training, console: Console) -> None:
    from broker.settings import BrokerSettings
    from broker.trainings import send_training
    from maskmill.stack.explained import settings_explained

    folders = {name: str(folder.absolute()) for name, folder in order.roots.items()}
    name = order.recipe().name
    with settings_explained():
        settings = BrokerSettings()
    task = send_training(settings, text=order.text, title=order.title, roots=folders)
    if choices.as_json:
        print_json({"name": name, "task": task})
        return
    console.print(f"Sent {name} to the training queue. A trainer takes it:")
    console.print("  celery -A training.tasks worker -Q training -c 1 -P solo", soft_wrap=True)


@contextlib.contextmanager
def _resumable(console: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        again = shlex.join(sys.argv[1:])
        said = f"Stopped. What was trained is kept up to the last epoch; go on with:\n  {program()} {again}"
        console.print(said, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _show(run: Run, choices: Training) -> None:
    measured = [line for line in run.history() if "miou" in line]
    numbers = {name: value for name, value in (measured[-1] if measured else {}).items() if math.isfinite(value)}
    best = run.best
    if choices.as_json:
        told = {"run": str(run.folder), "name": run.name, "epochs": run.epochs_done, "numbers": numbers}
        print_json({**told, "best": None if best is None else best.state()})
        return
    console = stdout()
    console.print(
        f"{run.folder}: {counted(run.epochs_done, 'epoch')}, mean IoU {percent(numbers.get('miou'))}", soft_wrap=True
    )
    if best is not None and best.epoch < run.epochs_done:
        taken = "which an export takes" if run.has_stopped else "which --checkpoint best takes"
        console.print(f"The best in {best.metric} was epoch {best.epoch} ({best.value:.4f}), {taken}", soft_wrap=True)
    place = shlex.quote(str(run.folder))
    console.print(f"Publish it with: {program()} export {place} --name {run.name.lower()}", soft_wrap=True)


def _trial_sentence(trial: Trial, metric: str) -> str:
    drawn = ", ".join(f"{key.removesuffix('.name').rpartition('.')[2]} {value}" for key, value in trial.values.items())
    return f"{trial.name}: {drawn}: " + ("diverged" if trial.score is None else f"{metric} {trial.score:.4f}")


def _said(numbers: dict[str, Any]) -> str:
    return "  ".join(f"{name} {numbers[name]:.3f}" for name in SHOWN if math.isfinite(numbers.get(name, math.nan)))


def _console() -> Console:
    """Of several processes that train together the first one speaks."""
    return stderr() if _is_first() else Console(quiet=True)


def _is_first() -> bool:
    from training.fit.processes import Processes

    return Processes.announced().is_first
