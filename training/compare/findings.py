"""Comparison: what is known of some models on the same pictures. Pages, JSON and dashboards are made of it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.label_space import LabelSpace
from segmentation.measures.bootstrap import Interval
from segmentation.measures.metrics import as_counts, mean_iou
from training.evaluate.evaluation import Evaluation, Latency

SCHEMA = 2  # of `to_dict`


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was compared on what, when and where. date: RFC 3339. commit: of the code; empty outside a repository."""

    dataset: str
    split: str
    picture_count: int
    licence: str
    date: str
    commit: str
    machine: str
    software: str
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One model and what was measured of it.

    input_size: (height, width) of the network's input for the first picture. interval: of the mIoU; None when there
    are too few pictures. without: ids of the classes that this model has no way to give: its means leave them out.
    history: of each epoch; empty when the training is not at hand. learnt: how many of the pictures this model learnt
    from, and learnt_said: a sentence about it; None and empty where nothing tells. checkpoint: of a run, for people.
    """

    name: str
    architecture: str
    version: str
    label_space: str
    parameters: int
    size_bytes: int
    input_size: tuple[int, int]
    evaluation: Evaluation
    interval: Interval | None = None
    latency: Latency | None = None
    without: frozenset[int] = frozenset()
    history: Sequence[Mapping[str, float]] = ()
    learnt: int | None = None
    learnt_said: str = ""
    checkpoint: str = ""

    @cached_property
    def scores(self) -> dict[str, float]:
        return self.evaluation.scores(without=self.without)

    @property
    def left_out(self) -> frozenset[int]:
        """Ids of the classes that the means leave out: also those that the masks have no way to show."""
        return self.without | self.evaluation.unmarked

    @property
    def unnamed(self) -> tuple[str, ...]:
        """Names of the classes that this model has no way to give."""
        return self._names(self.without)

    @property
    def unscored(self) -> tuple[str, ...]:
        """Names of the classes that the means leave out."""
        return self._names(self.left_out)

    @property
    def miou(self) -> float:
        return self.scores["miou"]

    def _names(self, ids: Collection[int]) -> tuple[str, ...]:
        return tuple(self.evaluation.space.name_of(each) for each in sorted(ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two entries by number. difference: mIoU of the first less that of the second, in [-1, 1]; so for each class.

    All are over the classes that both can give and masks can show; without: names of the others. difference: NaN where
    none of those occurs. interval: None when there are too few pictures.
    """

    first: int
    second: int
    difference: float
    interval: Interval | None
    classes: Mapping[str, tuple[float, Interval | None]]
    without: tuple[str, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether this many pictures show that the two differ."""
        return self.interval is not None and math.isfinite(self.difference) and not self.interval.holds(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A picture of the grid, reduced. photo: (h, w, 3) uint8; truth and each prediction: (h, w) uint8 class ids.

    disagreement: share of the pixels of known truth, at full size, where not all models say the same, or a model alone
    errs; wrong: share of these where each model errs. drawn: chosen by seed, not for its disagreement.
    """

    name: str
    drawn: bool
    disagreement: float
    wrong: tuple[float, ...]
    photo: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    predictions: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """entries: in the order in which they were given. pairs: every two of them. shown: the most disputed first."""

    facts: Facts
    space: LabelSpace
    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]
    shown: tuple[Shown, ...]
    disagreement: float  # mean over all pictures of `Shown.disagreement`

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes that occur in the truth or in some prediction, by ascending id."""
        names = self.entries[0].evaluation.class_names
        return tuple(name for name in names if any(self._occurs(entry, name) for entry in self.entries))

    @property
    def unmarked(self) -> tuple[str, ...]:
        """Names of the classes that some model says and that the masks have no way to show."""
        ids = sorted(self.entries[0].evaluation.unmarked)
        return tuple(name for each in ids if (name := self.space.name_of(each)) in self.class_names)

    @cached_property
    def absent_names(self) -> tuple[str, ...]:
        """Of the classes that occur in neither."""
        return tuple(name for name in self.entries[0].evaluation.class_names if name not in self.class_names)

    def values(self, score: str) -> tuple[float, ...]:
        """One of `Evaluation.scores()` of every entry; NaN where it was not measured."""
        return tuple(entry.scores.get(score, math.nan) for entry in self.entries)

    def pair(self, one: int, other: int) -> Pair:
        """In the order asked for."""
        found = next(each for each in self.pairs if {each.first, each.second} == {one, other})
        return found if found.first == one else _turned(found)

    @property
    def is_alone(self) -> bool:
        """Whether it is of one model, with nothing to compare it with."""
        return len(self.entries) == 1

    @property
    def means_are_alike(self) -> bool:
        """Whether the means of all entries are over the same classes."""
        return len({entry.left_out for entry in self.entries}) == 1

    @cached_property
    def shared_mious(self) -> tuple[float, ...]:
        """mIoU of every entry over the classes that all can give; NaN where none of them occurs."""
        without = frozenset[int]().union(*(entry.left_out for entry in self.entries))
        return tuple(mean_iou(entry.evaluation.confusion, without=without) for entry in self.entries)

    def ranked(self) -> list[int]:
        """Numbers of the entries, the highest of `shared_mious` first; NaN last."""
        known = [-value if math.isfinite(value) else math.inf for value in self.shared_mious]
        return sorted(range(len(known)), key=known.__getitem__)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what has no number is null; pictures are named, not held."""
        return {
            "schema": SCHEMA,
            "facts": asdict(self.facts),
            "label_space": self.space.name,
            "classes": list(self.class_names),
            "absent_classes": list(self.absent_names),
            "unmarked_classes": list(self.unmarked),
            "models": [_entry(entry) for entry in self.entries],
            "pairs": [_pair(pair, self.entries) for pair in self.pairs],
            "mean_disagreement": _number(self.disagreement),
            "pictures": [_shown(shown) for shown in self.shown],
        }

    def _occurs(self, entry: Entry, name: str) -> bool:
        return math.isfinite(entry.scores[f"iou/{name}"])


def _turned(pair: Pair) -> Pair:
    classes = {name: (-difference, _negative(interval)) for name, (difference, interval) in pair.classes.items()}
    return Pair(
        first=pair.second,
        second=pair.first,
        difference=-pair.difference,
        interval=_negative(pair.interval),
        classes=classes,
        without=pair.without,
    )


def _negative(interval: Interval | None) -> Interval | None:
    return None if interval is None else Interval(-interval.high, -interval.low)


def _entry(entry: Entry) -> dict[str, Any]:
    evaluation = entry.evaluation
    calibration, scored = evaluation.calibration, evaluation.score_histograms is not None
    names = evaluation.class_names
    return {
        "name": entry.name,
        "architecture": entry.architecture,
        "version": entry.version,
        "checkpoint": entry.checkpoint,
        "label_space": entry.label_space,
        "parameters": entry.parameters,
        "size_bytes": entry.size_bytes,
        "input_size": list(entry.input_size),
        "scores": {name: _number(value) for name, value in entry.scores.items()},
        "miou_interval": _interval(entry.interval),
        "auc": {name: _number(evaluation.roc(name).area) for name in names} if scored else None,
        "average_precision": {name: _number(evaluation.pr(name).area) for name in names} if scored else None,
        "confusion": as_counts(evaluation.confusion),
        "calibration": None if calibration is None else calibration.to_dict(),
        "latency": None if entry.latency is None else entry.latency.to_dict(),
        "unnamed_classes": list(entry.unnamed),
        "learnt_pictures": entry.learnt,
        "history": [{key: _number(value) for key, value in epoch.items()} for epoch in entry.history],
    }


def _pair(pair: Pair, entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "first": entries[pair.first].name,
        "second": entries[pair.second].name,
        "miou_difference": _number(pair.difference),
        "interval": _interval(pair.interval),
        "difference_shown": pair.shown,
        "iou_differences": {
            name: {"difference": _number(difference), "interval": _interval(interval)}
            for name, (difference, interval) in pair.classes.items()
        },
        "without_classes": list(pair.without),
    }


def _shown(shown: Shown) -> dict[str, Any]:
    return {
        "name": shown.name,
        "chosen": "by seed" if shown.drawn else "by disagreement",
        "disagreement": _number(shown.disagreement),
        "wrong": [_number(value) for value in shown.wrong],
    }


def _interval(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_number(interval.low), _number(interval.high)]


def _number(value: Any) -> Any:
    """What JSON has no word for becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
