"""One pass over the pictures: every model on each, counts added up, a few pictures kept for showing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from segmentation.label_space import LabelSpace
from segmentation.measures.bootstrap import PictureCounts, Resampled
from segmentation.measures.metrics import Confusion, iou_per_class, mean_iou
from training.compare.findings import Comparison, Entry, Facts, Pair, Shown
from training.compare.thumbnails import reduced_ids, reduced_photo
from training.datasets.pairs import InSpace, Mask, PairDataset, Picture, unmarked_in
from training.evaluate.evaluation import Evaluation, Latency
from training.evaluate.held_out import Overlap
from training.evaluate.scoring import Scorer
from training.evaluate.subjects import Subject

OnPicture = Callable[[int], None]  # told how many pictures are done


class NothingToCompare(Exception):
    """Fewer than two models, more than a page can tell apart, or no picture."""

    code = "nothing_to_compare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Which pictures are shown: those on which the models differ most, and some drawn with the seed."""

    disputed: int = 4
    drawn: int = 2
    seed: int = 0


@dataclass
class Measured:
    """What is added up over the pictures, by model."""

    evaluations: list[Evaluation]
    confusions: list[list[Confusion]]
    disagreements: list[float] = field(default_factory=list)
    disputed: list[Shown] = field(default_factory=list)
    drawn: list[Shown] = field(default_factory=list)
    first_size: tuple[int, int] = (0, 0)  # (height, width) in pixels of the first picture


def measured(
    subjects: Sequence[Subject], pictures: PairDataset, *, space: LabelSpace, grid: Grid, on_picture: OnPicture
) -> Measured:
    """Raises NoRemapping before the first picture, when a model's classes have no counterparts in `space`."""
    scorers = [Scorer(subject.space, space) for subject in subjects]
    in_space = InSpace(pictures, space)
    names = pictures.names()
    drawn = set(np.random.default_rng(grid.seed).permutation(len(names))[: grid.drawn].tolist())
    nothing = Evaluation.nothing(space, unmarked_in(in_space))
    found = Measured([nothing for _ in subjects], [[] for _ in subjects])
    for index, name in enumerate(names):
        photo, truth = in_space[index]
        found.first_size = truth.shape if index == 0 else found.first_size
        predictions = []
        for number, (subject, scorer) in enumerate(zip(subjects, scorers, strict=True)):
            logits = subject.predict(subject.preprocessing.apply(photo))
            evaluation = scorer.score(logits, truth)
            found.evaluations[number] += evaluation
            found.confusions[number].append(evaluation.confusion)
            predictions.append(scorer.ids(logits, truth.shape))
        judged = _Judged(name, photo, truth, predictions, space)
        found.disagreements.append(judged.disagreement)
        _keep(found, judged, grid, drawn=index in drawn)
        on_picture(index + 1)
    return found


def concluded(subjects: Sequence[Subject], found: Measured, *, space: LabelSpace, facts: Facts) -> Comparison:
    """Scores, intervals and differences of what was counted."""
    counts = [PictureCounts.of(confusions) for confusions in found.confusions]
    resampled = Resampled.of(counts, seed=facts.seed)
    names = numbered([each.name for each in subjects])
    entries = [
        replace(
            entry,
            name=names[number],
            interval=resampled.miou(number, without=entry.left_out) if resampled else None,
            input_size=subjects[number].preprocessing.input_size(*found.first_size),
        )
        for number, entry in enumerate(map(_entry, subjects, found.evaluations))
    ]
    known = [value for value in found.disagreements if np.isfinite(value)]
    return Comparison(
        facts=facts,
        space=space,
        entries=tuple(entries),
        pairs=tuple(_pair(entries, one, other, resampled) for one, other in combinations(range(len(entries)), 2)),
        shown=tuple(sorted([*found.disputed, *found.drawn], key=lambda each: -each.disagreement)),
        disagreement=float(np.mean(known)) if known else float("nan"),
    )


def with_latencies(comparison: Comparison, latencies: Sequence[Latency | None]) -> Comparison:
    timed = zip(comparison.entries, latencies, strict=True)
    return replace(comparison, entries=tuple(replace(entry, latency=latency) for entry, latency in timed))


def with_learnt(comparison: Comparison, overlaps: Sequence[Overlap]) -> Comparison:
    told = zip(comparison.entries, overlaps, strict=True)
    entries = (replace(entry, learnt=each.learnt, learnt_said=each.warning) for entry, each in told)
    return replace(comparison, entries=tuple(entries))


def numbered(names: Sequence[str]) -> list[str]:
    """`a, b, a` → `a (1), b, a (2)`: two models of one name can be told apart."""
    return [
        f"{name} ({names[: index + 1].count(name)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One picture with what every model said of it, at full size."""

    name: str
    photo: Picture
    truth: Mask
    predictions: Sequence[Mask]
    space: LabelSpace

    @property
    def disagreement(self) -> float:
        first, *others = self.predictions if len(self.predictions) > 1 else (self.truth, *self.predictions)
        differs = np.zeros(first.shape, dtype=bool)
        for other in others:
            differs |= other != first
        return _share(differs, self._known())

    def shown(self, *, drawn: bool) -> Shown:
        known = self._known()
        return Shown(
            name=self.name,
            drawn=drawn,
            disagreement=self.disagreement,
            wrong=tuple(_share(ids != self.truth, known) for ids in self.predictions),
            photo=reduced_photo(self.photo),
            truth=reduced_ids(self.truth),
            predictions=tuple(reduced_ids(ids) for ids in self.predictions),
        )

    def _known(self) -> NDArray[np.bool_]:
        return ~np.isin(self.truth, list(self.space.void_ids))


def _keep(found: Measured, judged: _Judged, grid: Grid, *, drawn: bool) -> None:
    """Only the pictures that will be shown stay in memory, reduced."""
    share = found.disagreements[-1]
    if drawn:
        found.drawn.append(judged.shown(drawn=True))
    elif grid.disputed and np.isfinite(share):
        full = len(found.disputed) == grid.disputed
        if not full or share > found.disputed[-1].disagreement:
            found.disputed.append(judged.shown(drawn=False))
            found.disputed.sort(key=lambda each: -each.disagreement)
            del found.disputed[grid.disputed :]


def _entry(subject: Subject, evaluation: Evaluation) -> Entry:
    return Entry(
        name=subject.name,
        architecture=subject.architecture,
        version="" if subject.card is None else subject.card.version,
        checkpoint=subject.checkpoint,
        label_space=subject.space.name,
        parameters=subject.parameters,
        size_bytes=subject.size_bytes,
        input_size=(0, 0),
        evaluation=evaluation,
        without=frozenset(each.id for each in evaluation.space.missing_from(subject.space)),
        history=tuple(subject.history),
    )


def _pair(entries: Sequence[Entry], one: int, other: int, resampled: Resampled | None) -> Pair:
    """Over the classes that both can give and the masks can show."""
    first, second = entries[one].evaluation, entries[other].evaluation
    without = entries[one].left_out | entries[other].left_out
    gaps = iou_per_class(first.confusion) - iou_per_class(second.confusion)
    classes = {
        first.space.name_of(each): (
            float(gaps[each]),
            resampled.class_difference(one, other, each) if resampled else None,
        )
        for each in first.class_ids
        if each not in without and np.isfinite(gaps[each])
    }
    return Pair(
        first=one,
        second=other,
        difference=mean_iou(first.confusion, without=without) - mean_iou(second.confusion, without=without),
        interval=resampled.difference(one, other, without=without) if resampled else None,
        classes=classes,
        without=tuple(first.space.name_of(each) for each in sorted(without)),
    )


def _share(part: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    total = int(known.sum())
    return float((part & known).sum() / total) if total else float("nan")
