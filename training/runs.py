"""A run's folder: checkpoint.pt best.pt recipe.toml facts.json data.json order.json log.jsonl, perhaps
label_space.json."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segmentation.label_space import LabelSpace, load_label_space
from segmentation.preprocessing import Preprocessing
from training.fit.loop import read_numbers, read_with_checksum
from training.fit.optimisation import Best
from training.lineage import DATA, RECIPE, DataRecord, Learnt, damage_named, noted_recipe
from training.recipe.building import build_empty_model, root_of
from training.recipe.recipe import Recipe
from training.spaces import LABEL_SPACE, find_label_space
from training.tracking.environment import commit_of

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"  # the averaged weights after the epoch that measured best; none in older runs
FACTS = "facts.json"
ORDER = "order.json"  # how it was started: stays on this machine, for it names folders
LOG = "log.jsonl"


class RunNotFound(Exception):
    """A folder holds no run, or one without a checkpoint; the message names the folder and what is missing."""

    code = "run_not_found"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run cannot be repeated without, beside its recipe and data. commit: empty outside a repository.

    taught_by: the run or bundle whose soft labels were learnt from, with its epoch or version; empty: nobody.
    """

    commit: str
    torch: str
    started_from: str = ""  # the run or bundle whose weights were taken, with its epoch or version; empty: from scratch
    taught_by: str = ""

    @classmethod
    def current(cls, *, started_from: str = "", taught_by: str = "") -> "RunFacts":
        commit = commit_of(Path(__file__))
        return cls(commit=commit, torch=torch.__version__, started_from=started_from, taught_by=taught_by)

    @classmethod
    def read(cls, folder: Path) -> "RunFacts":
        """Raises FileNotFoundError, DamagedRun."""
        known = {each.name for each in fields(cls)}
        with damage_named(folder / FACTS):
            content = json.loads((folder / FACTS).read_text())
            return cls(**{name: value for name, value in content.items() if name in known})

    def write(self, folder: Path) -> None:
        write_json(folder / FACTS, asdict(self))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run had reached when it was read: a training that goes on puts another checkpoint in its place.

    model: the averaged weights, on the CPU, in evaluation mode. sha256: of the checkpoint. best: what they were chosen
    for; None: they are the last ones.
    """

    model: nn.Module
    epochs_done: int
    sha256: str
    best: Best | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a training has left so far; it may still be going on."""

    folder: Path
    recipe: Recipe
    facts: RunFacts

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Raises RunNotFound, and DamagedRun for a file that cannot be read, or no longer."""
        missing = [name for name in (RECIPE, FACTS, CHECKPOINT) if not (folder / name).is_file()]
        if missing:
            raise RunNotFound(f"{folder} is no run: there is no {' and no '.join(missing)}")
        return cls(folder=folder, recipe=noted_recipe(folder), facts=RunFacts.read(folder))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def space(self) -> LabelSpace:
        """As it was when the run began, whatever became of the user's file."""
        own = self.folder / LABEL_SPACE
        return load_label_space(own) if own.is_file() else find_label_space(self.recipe.label_space)

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(long_side=self.recipe.long_side)

    @property
    def best(self) -> Best | None:
        """What its best weights were chosen for; None where none were kept."""
        path = self.folder / BEST
        return Best(**read_numbers(path)["best"]) if path.is_file() else None

    @property
    def has_stopped(self) -> bool:
        """Whether it ended because it improved no more."""
        return _has_stopped(self.folder / CHECKPOINT)

    @property
    def epochs_done(self) -> int:
        return int(read_numbers(self.folder / CHECKPOINT)["epoch"])

    def snapshot(self, which: str = "") -> Snapshot:
        """Model, epoch and checksum of one and the same checkpoint, while the run may write the next one.

        which: as `chosen_checkpoint` takes it. Raises RunNotFound, DamagedCheckpoint.
        """
        path = chosen_checkpoint(self.folder, which)
        content, digest = read_with_checksum(path)
        best = Best(**content["best"]) if path.name == BEST else None
        return Snapshot(self._with(content["average"]), int(content["epoch"]), digest, best)

    def history(self) -> list[dict[str, float]]:
        """The numbers of each epoch, with `epoch`, ascending. Of an epoch that was done twice the last counts."""
        return read_history(self.folder / LOG)

    @property
    def recipe_file(self) -> str:
        """What the recipe's file was called; empty where nobody wrote it down. Raises DamagedRun."""
        return str(_order(self.folder).get("recipe_file", ""))

    @property
    def roots(self) -> dict[str, Path]:
        """Where its data sets lay when it was trained. Raises DamagedRun."""
        return noted_roots(self.folder)

    def _with(self, weights: Mapping[str, Tensor]) -> nn.Module:
        model = build_empty_model(self.recipe.model, self.space)
        model.load_state_dict(weights)
        return model.eval()


def find_run(reference: str, runs: Path) -> Path:
    """The folder of a run: the one that is named, else that of this name in `runs`. A folder of this name that holds no
    run, as a data set may lie where the command runs, is not it. Whether one is there, `Run.open` tells."""
    places = (Path(reference), runs / reference)
    found = [*filter(_holds_run, places), *filter(Path.is_dir, places), places[-1]]
    return found[0]


def _holds_run(folder: Path) -> bool:
    return (folder / CHECKPOINT).is_file()


def note_order(folder: Path, recipe: Recipe, *, roots: Mapping[str, Path], recipe_file: str) -> None:
    """Where the data sets lie and what the recipe is called: for whoever goes on with the run, or exports it, later."""
    used = {each.dataset for each in (*recipe.data, recipe.validation)}
    noted = {name: str(root_of(name, roots).absolute()) for name in sorted(used)}
    write_json(folder / ORDER, {"recipe_file": recipe_file, "roots": noted})


def noted_roots(folder: Path) -> dict[str, Path]:
    """Where a run's data sets lay when it was last trained. Raises DamagedRun."""
    return {name: Path(root) for name, root in _order(folder).get("roots", {}).items()}


def _order(folder: Path) -> Mapping[str, Any]:
    path = folder / ORDER
    with damage_named(path):
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def chosen_checkpoint(folder: Path, which: str = "") -> Path:
    """best, last, or empty: the best one where a run ended because it improved no more, else the last one.

    Raises RunNotFound where no best one was kept, and DamagedCheckpoint.
    """
    best = folder / BEST
    if which == "best" and not best.is_file():
        raise RunNotFound(f"{folder} has no {BEST}: it measured nothing better since runs keep one; ask for the last")
    if which == "best" or (not which and best.is_file() and _has_stopped(folder / CHECKPOINT)):
        return best
    return folder / CHECKPOINT


def _has_stopped(checkpoint: Path) -> bool:
    stopping = read_numbers(checkpoint).get("stopping")  # older checkpoints have none
    return stopping is not None and stopping["waited"] > stopping["patience"] > 0


def noted_own(folder: Path) -> tuple[Learnt, ...]:
    """What the run itself learnt from; nothing where it was begun before that was written down."""
    learnt = DataRecord.read(folder).learnt if (folder / DATA).is_file() else ()
    return tuple(each for each in learnt if not each.run)


def noted_earlier(folder: Path, started_from: str) -> tuple[Learnt, ...]:
    """What the weights that a run began with, and its teacher, had learnt from. started_from: as its facts say."""
    learnt = DataRecord.read(folder).learnt if (folder / DATA).is_file() else ()
    earlier = tuple(each for each in learnt if each.run)
    if started_from and not earlier:  # begun before this was written down
        return (Learnt.unknown(started_from.partition(" (")[0]),)
    return earlier


def read_history(log: Path) -> list[dict[str, float]]:
    """Lines of a JsonlTracker that tell of epochs; a last line that a kill cut short is left out."""
    epochs: dict[int, dict[str, float]] = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "epoch" in record:
            epochs[record["epoch"]] = record
    return [epochs[epoch] for epoch in sorted(epochs)]


def write_json(path: Path, content: object) -> None:
    write_text(path, json.dumps(content, indent=1))


def write_text(path: Path, text: str) -> None:
    """Written beside and moved into place once it is on the disk: a reader sees the old file or the new one, never
    half, and so does whoever comes after a power cut; also where two write it at the same time. Raises OSError, with
    the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # of a disk that is full the system names no file
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)
