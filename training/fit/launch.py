"""How a run is started: its folder, who may write there, and where its numbers go. The training itself is train.py."""

import fcntl
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from segmentation.label_space import load_label_space
from training.fit.loop import read_numbers
from training.fit.processes import Processes
from training.fit.progress import Watcher
from training.fit.train import Places, train
from training.lineage import RECIPE, DamagedRun, noted_recipe
from training.recipe.building import check_choices
from training.recipe.changes import changes
from training.recipe.file import faults_located, read_recipe
from training.recipe.recipe import Recipe, RecipeError
from training.recipe.unused import warn_of_unused
from training.runs import CHECKPOINT, LOG, Run, noted_roots, read_history, write_json, write_text
from training.settings import TrainingSettings
from training.spaces import LABEL_SPACE, find_label_space
from training.tracking import JsonlTracker, NullTracker, Tracker, Trackers, open_left_running, open_mlflow
from training.tracking.note import NOTE

LOCK = ".lock"


class RunBusy(Exception):
    """Another process trains in this run's folder, or nobody can tell."""

    code = "run_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A recipe's text, and where its data lie and its run goes. title: of its file, as errors and cards call it.

    file: the text before `--set` changed it, by whose lines errors are told; None: nothing was changed.
    models: folders of bundles, among which a recipe may name one. named_in: the same of runs; None: `runs`.
    """

    text: str
    title: str
    file: str | None = None
    roots: Mapping[str, Path] = field(default_factory=dict)
    runs: Path = Path("runs")
    models: Sequence[Path] = ()
    named_in: Path | None = None
    workers: int = 0

    def recipe(self) -> Recipe:
        """Raises RecipeError, with the line of what is wrong."""
        recipe = read_recipe(self.text, name=self.title, file=self.file)
        with faults_located(self.text, name=self.title, file=self.file):
            check_choices(recipe)
        return recipe

    @property
    def folder(self) -> Path:
        return self.runs / self.recipe().name


TrackersOf = Callable[[Recipe], Sequence[Tracker]]


def run_order(
    order: Order,
    *,
    settings: TrainingSettings,
    watcher: Watcher | None = None,
    more_trackers: TrackersOf = lambda recipe: (),
) -> Run:
    """Train what is not trained yet; a finished run is left as it is.

    Raises RecipeError, DatasetError, TrainingDiverged, DamagedCheckpoint, DamagedRun, and RunBusy while another process
    trains there.
    """
    recipe = order.recipe()
    folder = order.runs / recipe.name
    located = faults_located(order.text, name=order.title, file=order.file)
    with located, run_lock(folder), _ended_where_it_was_left(folder, settings):
        tracker: Tracker = NullTracker()
        done = is_finished(folder, recipe)
        if Processes.announced().is_first:
            _forget_another(folder, settings)
            _note_recipe(recipe, order.text, folder)
            _note_label_space(recipe, folder)
            log_last_epoch(folder)
            if not done:
                warn_of_unused(recipe)
            mlflow = NullTracker() if done else open_mlflow(folder=folder, name=recipe.name, settings=settings)
            tracker = Trackers([JsonlTracker(folder / LOG), mlflow, *more_trackers(recipe)])
        if not done:
            roots, runs = _roots(order, folder), order.named_in or order.runs
            places = Places(roots=roots, models=order.models, runs=runs, recipe_file=order.title)
            train(recipe, folder=folder, places=places, tracker=tracker, workers=order.workers, watcher=watcher)
        elif Processes.announced().is_first:
            left = open_left_running(folder=folder, name=recipe.name, settings=settings)
            left.start(asdict(recipe))  # sends what was missed
            left.finish()
    return Run.open(folder)


def is_finished(folder: Path, recipe: Recipe) -> bool:
    return (folder / CHECKPOINT).is_file() and read_numbers(folder / CHECKPOINT)["epoch"] >= recipe.epochs


def log_last_epoch(folder: Path) -> None:
    """A run that was killed between a checkpoint and the line in its log logs that epoch now; MLflow gets it with what
    it missed. So each epoch is logged once: one of which there is no checkpoint is done again, and was not logged."""
    if not (folder / CHECKPOINT).is_file():
        return
    done = read_numbers(folder / CHECKPOINT)
    logged = {each["epoch"] for each in read_history(folder / LOG)}
    if done.get("numbers") and done["epoch"] not in logged:  # older checkpoints have none
        JsonlTracker(folder / LOG).log(done["epoch"], done["numbers"])


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """The right to train in a folder; the system takes it back when the process ends, however it ends.

    Processes that train together have one right, which the first one holds. Raises RunBusy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not Processes.announced().is_first:
        yield
        return
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunBusy(f"another process trains in {folder}") from None
        except OSError as error:
            mend = "choose a folder of runs on a local disk"
            raise RunBusy(f"{folder} cannot be locked against other processes ({error.strerror}): {mend}") from None
        yield


@contextmanager
def _ended_where_it_was_left(folder: Path, settings: TrainingSettings) -> Iterator[None]:
    """A run that was killed and does not go on, for its recipe or its data are no longer right, runs no longer."""
    try:
        yield
    except BaseException:
        if Processes.announced().is_first:
            open_left_running(folder=folder, name=folder.name, settings=settings).finish("stopped")
        raise


def _forget_another(folder: Path, settings: TrainingSettings) -> None:
    """Numbers of a training whose checkpoint somebody deleted, to begin anew, are not those of the one that begins."""
    if (folder / CHECKPOINT).is_file() or not read_history(folder / LOG):
        return
    open_left_running(folder=folder, name=folder.name, settings=settings).finish("stopped")
    for name in (LOG, NOTE):
        (folder / name).unlink(missing_ok=True)


def _note_recipe(recipe: Recipe, text: str, folder: Path) -> None:
    """Keep the recipe in the run's folder. Raises DamagedRun, and RecipeError when the run there was begun with another
    one."""
    path = folder / RECIPE
    if (folder / CHECKPOINT).is_file() and path.is_file():
        _require_same(noted_recipe(folder), recipe, folder)
    write_text(path, text)


def _require_same(old: Recipe, recipe: Recipe, folder: Path) -> None:
    found = changes(old, recipe, epochs_done=read_numbers(folder / CHECKPOINT)["epoch"])
    if found:
        said = "; ".join(map(str, found))
        names = (f"{recipe.name}-{number}" for number in itertools.count(2))
        free = next(name for name in names if not (folder.parent / name).exists())
        hint = f"train it beside the old one with --set name={free}, or delete {folder} to begin anew"
        raise RecipeError(f"the run in {folder} was begun with another recipe: {said}; {hint}", where=found[0].where)


def _roots(order: Order, folder: Path) -> Mapping[str, Path]:
    """A run that goes on finds its data sets where they lay, unless the order says otherwise or they are gone."""
    before: Mapping[str, Path] = {}
    if (folder / CHECKPOINT).is_file():
        with suppress(DamagedRun):  # it is written anew
            before = noted_roots(folder)
    return {**{name: root for name, root in before.items() if root.is_dir()}, **order.roots}


def _note_label_space(recipe: Recipe, folder: Path) -> None:
    """Keep the user's own in the run's folder. Raises RecipeError when the run there learns another one."""
    if not recipe.label_space.endswith(".json"):
        return
    space, path = find_label_space(recipe.label_space), folder / LABEL_SPACE
    if (folder / CHECKPOINT).is_file() and path.is_file() and load_label_space(path) != space:
        hint = f"{recipe.label_space} has changed since; give this one another name, or delete that folder"
        raise RecipeError(f"label_space: the run in {folder} was begun with another; {hint}", where="label_space")
    write_json(path, space.to_dict())
