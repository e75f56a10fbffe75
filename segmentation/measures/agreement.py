"""How far several predictions of one picture agree, and with its ground truth who is right where.

Everything is a count of pixels, so that pictures are added up without loss. Pixels for which no model says a class that
counts are counted nowhere; a pixel for which some say one and others void is one on which they differ.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.measures.counting import count_ids, look_up
from segmentation.measures.parting import Classes, Parted

Counts = tuple[int, ...]
Ids = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RightCounts:
    """Of two models: pixels of known truth by true class, (C,) each. first, second: where that one alone is right."""

    both: Counts
    first: Counts
    second: Counts
    neither: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """Of two models: pixels for which at least one says a class that counts, and by class those for which both do.

    same: (C,). right: None without ground truth.
    """

    known: int
    same: Counts
    right: RightCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of M models on one picture or on many. C = LabelSpace.class_count; classes of void have counts of 0.

    known: pixels for which at least one model says a class that counts. truth: pixels of known truth; none without.
    votes: (M,) over the known pixels and the models: how often 1, 2 … M models say what this one says.
    said: (M, C) pixels by class. pairs: every two models, in the order of `itertools.combinations`.
    """

    known: int
    truth: int
    votes: Counts
    said: tuple[Counts, ...]
    pairs: tuple[PairCounts, ...]

    @property
    def models(self) -> int:
        return len(self.said)

    @property
    def disagreement(self) -> float:
        """Mean vote entropy of the known pixels: 0 where all agree, 1 where they differ as much as they can. Of two
        models it is the share of pixels on which they differ. 0 without any known pixel.

        Source: Dagan & Engelson 1995, "Committee-Based Sampling For Training Probabilistic Classifiers", section 4.
        """
        if not self.known:
            return 0.0
        shares = _surprise(self.models, len(self.said[0]))
        return sum(count * share for count, share in zip(self.votes, shares, strict=True)) / self.known

    @property
    def accord(self) -> float:
        """1 where all agree; the lower, the more contested the picture is."""
        return 1 - self.disagreement

    def plus(self, other: Agreement) -> Agreement:
        """Both pictures together. Raises ValueError when one is of other models or classes."""
        return self._with(other, sign=1)

    def less(self, other: Agreement) -> Agreement:
        """Without one of the pictures that were added. Raises as `plus`."""
        return self._with(other, sign=-1)

    def _with(self, other: Agreement, *, sign: int) -> Agreement:
        said = (_sum(one, two, sign=sign) for one, two in zip(self.said, other.said, strict=True))
        pairs = (_pair_sum(one, two, sign=sign) for one, two in zip(self.pairs, other.pairs, strict=True))
        return Agreement(
            known=self.known + sign * other.known,
            truth=self.truth + sign * other.truth,
            votes=_sum(self.votes, other.votes, sign=sign),
            said=tuple(said),
            pairs=tuple(pairs),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, short: `from_dict` reads them."""
        pairs = [[pair.known, pair.same, *([] if pair.right is None else [_rows(pair.right)])] for pair in self.pairs]
        return {"known": self.known, "truth": self.truth, "votes": self.votes, "said": self.said, "pairs": pairs}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Agreement:
        return cls(
            known=value["known"],
            truth=value["truth"],
            votes=tuple(value["votes"]),
            said=tuple(map(tuple, value["said"])),
            pairs=tuple(_read_pair(*pair) for pair in value["pairs"]),
        )


def pixel_share(pair: PairCounts) -> float:
    """Share of the pair's known pixels for which both say the same; NaN without any."""
    return sum(pair.same) / pair.known if pair.known else math.nan


def pair_ious(agreement: Agreement, pair: int) -> NDArray[np.float64]:
    """(C,) intersection over union of where one and where the other says a class; NaN where neither does.

    Symmetric, with no regard to any truth. pair: its place among the pairs.
    """
    one, other = list(combinations(range(agreement.models), 2))[pair]
    same = np.array(agreement.pairs[pair].same, dtype=np.int64)
    union = np.array(agreement.said[one]) + np.array(agreement.said[other]) - same
    ious = np.full(same.shape, np.nan)
    np.divide(same, union, out=ious, where=union > 0)
    return ious


def pair_miou(agreement: Agreement, pair: int, *, without: Collection[int] = ()) -> float:
    """Mean of `pair_ious` over the classes that one of both says; NaN where they say none. without: ids of classes that
    do not count, for one of both has no way to say them."""
    ious = pair_ious(agreement, pair)
    ious[list(without)] = np.nan
    known = ious[np.isfinite(ious)]
    return float(known.mean()) if known.size else math.nan


class SideBySide:
    """Predictions of one picture, in one label space, of two models or more. Where all say the same, which is most of a
    picture, they are counted once; the rest is counted by the ways in which the models part, which are few.

    Raises MaskMismatch.
    """

    def __init__(self, maps: Sequence[LabelMap]) -> None:
        self._space, self._maps = _common_space(maps), maps
        self._table, self._void = _without_void(self._space), self._space.class_count
        self._said = [self._classes(each) for each in maps]
        differs = self._said[0] != self._said[1]
        for each in self._said[2:]:
            differs |= each != self._said[0]
        self._places = np.flatnonzero(differs)
        self._parted = Parted([each[self._places] for each in self._said], self._void)

    def agreement(self, truth: LabelMap | None = None) -> Agreement:
        """truth: of the same picture. Raises MaskMismatch."""
        _common_space([*self._maps, *([] if truth is None else [truth])])
        parted = self._parted
        alike = self._by_class(self._maps[0], self._said[0]) - parted.by_class(parted.ways[:, 0])
        true = None if truth is None else self._classes(truth)
        votes = parted.votes_cast()
        votes[-1] += alike.sum() * len(self._maps)
        return Agreement(
            known=int(alike.sum()) + self._places.size,
            truth=0 if true is None else int(self._counted(true).sum()),
            votes=_counts(votes[1:]),
            said=tuple(_counts(alike + parted.by_class(each)) for each in parted.ways.T),
            pairs=tuple(self._pairs(alike, true)),
        )

    def disagreement(self) -> Ids:
        """As `disagreement_map`."""
        levels = np.zeros(self._said[0].size, np.uint8)
        if len(self._maps) > 2:
            weights, shown = _split_levels(len(self._maps), self._space.class_count)
            levels[self._places] = shown[weights[self._parted.votes].sum(axis=1, dtype=np.uint8)][self._parted.way]
        else:
            sure = [each.confidence.reshape(-1) for each in self._maps if each.confidence is not None]
            both = [each[self._places] for each in sure]
            levels[self._places] = np.maximum(np.minimum(*both), 1) if len(both) == 2 else 255
        return levels.reshape(self._maps[0].ids.shape)

    def _is_plain(self, label_map: LabelMap) -> bool:
        """Whether its ids are the classes: none of them counts nowhere."""
        present = np.flatnonzero(label_map.pixel_counts)
        return np.array_equal(self._table[present], present)

    def _classes(self, label_map: LabelMap) -> Classes:
        """Of each pixel, in a row; whatever counts nowhere is the number of classes."""
        if self._is_plain(label_map):
            return label_map.ids.reshape(-1)
        is_byte = self._table.dtype == np.uint8
        return (look_up(label_map.ids, self._table) if is_byte else self._table[label_map.ids]).reshape(-1)

    def _counted(self, classes: Classes) -> NDArray[np.int64]:
        """(C,) pixels. classes: as `_classes` gives them."""
        is_byte = classes.dtype == np.uint8
        return (count_ids(classes) if is_byte else np.bincount(classes, minlength=self._void))[: self._void]

    def _by_class(self, label_map: LabelMap, classes: Classes) -> NDArray[np.int64]:
        """(C,) pixels. classes: of it, as `_classes` gives them."""
        return label_map.pixel_counts[: self._void] if self._is_plain(label_map) else self._counted(classes)

    def _pairs(self, alike: NDArray[np.int64], true: Classes | None) -> Iterator[PairCounts]:
        parted, right = self._parted, None
        if true is not None:
            hits = self._counted(true[true == self._said[0]])
            right = _Right(parted, true[self._places], hits, self._counted(true))
        for one, other in combinations(range(len(self._maps)), 2):
            first, second = parted.ways[:, one], parted.ways[:, other]
            same = parted.by_class(np.where(first == second, first, self._void))
            known = int(parted.pixels[(first != self._void) | (second != self._void)].sum())
            found = None if right is None else right.counts(first, second)
            yield PairCounts(known=int(alike.sum()) + known, same=_counts(alike + same), right=found)


class _Right:
    """Who is right where. true: of the pixels on which models differ; hits: (C,) all pixels for which the first is
    right; known: (C,) all of known truth."""

    def __init__(self, parted: Parted, true: Classes, hits: NDArray[np.int64], known: NDArray[np.int64]) -> None:
        self._pixels = parted.by_truth(true)
        self._true = np.arange(len(known))
        self._hits = hits - self._where(parted.ways[:, :1] == self._true)  # where all are
        self._misses = known - self._pixels.sum(axis=0) - self._hits

    def counts(self, first: Classes, second: Classes) -> RightCounts:
        """first, second: what each says, in each of the ways."""
        one, other = (each[:, None] == self._true for each in (first, second))
        return RightCounts(
            both=_counts(self._hits + self._where(one & other)),
            first=_counts(self._where(one & ~other)),
            second=_counts(self._where(other & ~one)),
            neither=_counts(self._misses + self._where(~(one | other))),
        )

    def _where(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.asarray((self._pixels * chosen).sum(axis=0), np.int64)


def agree(maps: Sequence[LabelMap], truth: LabelMap | None = None) -> Agreement:
    """Of one picture, in one label space, of two models or more. Raises MaskMismatch."""
    return SideBySide(maps).agreement(truth)


def disagreement_map(maps: Sequence[LabelMap]) -> Ids:
    """(H, W) uint8: 0 where all say the same, the larger the more they differ.

    Of three and more models the vote entropy, 255 where they differ as much as they can. Of two, where they differ, the
    smaller of both confidences (at least 1): two that are sure of different things differ most. Without confidence 255.
    """
    return SideBySide(maps).disagreement()


def error_map(prediction: LabelMap, truth: LabelMap) -> Ids:
    """(H, W) uint8: 255 where the truth is known and the prediction another, else 0. Raises MaskMismatch."""
    space = _common_space([prediction, truth])
    known = ~np.isin(truth.ids, list(space.void_ids))
    return np.where((prediction.ids != truth.ids) & known, 255, 0).astype(np.uint8)


def _common_space(maps: Sequence[LabelMap]) -> LabelSpace:
    first, *others = maps
    if not others:
        raise MaskMismatch("one prediction alone cannot be compared")
    for each in others:
        if each.ids.shape != first.ids.shape or each.space != first.space:
            raise MaskMismatch("what is compared must be of one size and in one label space")
    return first.space


def _without_void(space: LabelSpace) -> Classes:
    """(256,) table: every id that counts nowhere → class_count, which of 256 classes is more than a byte holds."""
    table = np.minimum(np.arange(256), space.class_count)
    table[list(space.void_ids)] = space.class_count
    return table.astype(np.min_scalar_type(space.class_count))


@lru_cache(maxsize=16)
def _split_levels(models: int, classes: int) -> tuple[Ids, Ids]:
    """Two tables of (256,): what a model with so many votes adds, modulo 256, to the number by which the ways that
    models can split are told apart; and by this number the split's entropy, 255 being the most there can be."""
    surprise, splits = _surprise(models, classes), list(_splits(models, models))
    for base in range(2, 256):
        numbers = [sum(votes * pow(base, votes, 256) for votes in split) % 256 for split in splits]
        if len(set(numbers)) == len(splits):
            break
    else:
        raise MaskMismatch(f"{models} models are too many to show how they split")
    levels = np.zeros(256, np.uint8)
    for number, split in zip(numbers, splits, strict=True):
        levels[number] = round(min(1.0, sum(votes * surprise[votes - 1] for votes in split)) * 255)
    return np.array([pow(base, votes, 256) for votes in range(256)], np.uint8), levels


def _splits(models: int, most: int) -> Iterator[tuple[int, ...]]:
    """The ways to part so many models into groups of `most` at most."""
    if models == 0:
        yield ()
    for size in range(min(models, most), 0, -1):
        for rest in _splits(models - size, size):
            yield (size, *rest)


def _surprise(models: int, classes: int) -> list[float]:
    """Of 1, 2 … M votes: what a model with so many of them adds to a pixel's entropy, which is then 1 at most."""
    most = math.log(max(2, min(models, classes + 1)))  # void is one more thing to say
    return [-math.log(votes / models) / models / most for votes in range(1, models + 1)]


def _counts(values: NDArray[np.int64]) -> Counts:
    return tuple(values.tolist())


def _sum(one: Counts, other: Counts, *, sign: int) -> Counts:
    return tuple(a + sign * b for a, b in zip(one, other, strict=True))


def _pair_sum(one: PairCounts, other: PairCounts, *, sign: int) -> PairCounts:
    return PairCounts(
        known=one.known + sign * other.known,
        same=_sum(one.same, other.same, sign=sign),
        right=_right_sum(one.right, other.right, sign=sign),
    )


def _right_sum(one: RightCounts | None, other: RightCounts | None, *, sign: int) -> RightCounts | None:
    if one is None or other is None:
        return one or other
    return RightCounts(
        both=_sum(one.both, other.both, sign=sign),
        first=_sum(one.first, other.first, sign=sign),
        second=_sum(one.second, other.second, sign=sign),
        neither=_sum(one.neither, other.neither, sign=sign),
    )


def _rows(right: RightCounts) -> list[Counts]:
    return [right.both, right.first, right.second, right.neither]


def _read_pair(known: int, same: Sequence[int], right: Sequence[Sequence[int]] | None = None) -> PairCounts:
    return PairCounts(known=known, same=tuple(same), right=None if right is None else _read_right(right))


def _read_right(rows: Sequence[Sequence[int]]) -> RightCounts:
    both, first, second, neither = (tuple(row) for row in rows)
    return RightCounts(both=both, first=first, second=second, neither=neither)
