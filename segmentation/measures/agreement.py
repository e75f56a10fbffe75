"""How far several predictions of one picture agree, and with its ground truth who is right where.

Everything is a count of pixels, so that pictures are added up without loss. Pixels for which no model says a class that
counts are counted nowhere; a pixel for which some say one and others void is one on which they differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.measures.counting import count_ids, look_up

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
        return Agreement(
            known=self.known + other.known,
            truth=self.truth + other.truth,
            votes=_sum(self.votes, other.votes),
            said=tuple(map(_sum, self.said, other.said)),
            pairs=tuple(_pair_sum(one, two) for one, two in zip(self.pairs, other.pairs, strict=True)),
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


def pair_miou(agreement: Agreement, pair: int) -> float:
    """Mean of `pair_ious` over the classes that one of both says; NaN where they say none."""
    ious = pair_ious(agreement, pair)
    known = ious[np.isfinite(ious)]
    return float(known.mean()) if known.size else math.nan


def agree(maps: Sequence[LabelMap], truth: LabelMap | None = None) -> Agreement:
    """maps: of one picture, in one label space, one for each of two models or more. Raises MaskMismatch."""
    space = _common_space(maps, truth)
    table, void = _without_void(space), space.class_count
    said = [look_up(each.ids, table) for each in maps]
    known = np.any([ids != void for ids in said], axis=0)
    true = None if truth is None else look_up(truth.ids, table)
    pairs = [_pair(one, other, true, void) for one, other in combinations(said, 2)]
    votes = np.zeros(len(maps) + 1, dtype=np.int64)
    for same in _votes(said):
        votes += count_ids(np.where(known, same, 0))[: len(maps) + 1]
    return Agreement(
        known=int(np.count_nonzero(known)),
        truth=0 if true is None else int(np.count_nonzero(true != void)),
        votes=_counts(votes[1:]),
        said=tuple(_by_class(ids, void) for ids in said),
        pairs=tuple(pairs),
    )


def disagreement_map(maps: Sequence[LabelMap]) -> Ids:
    """(H, W) uint8: 0 where all say the same, the larger the more they differ.

    Of three and more models the vote entropy, 255 where they differ as much as they can. Of two, where they differ, the
    smaller of both confidences (at least 1): two that are sure of different things differ most. Without confidence 255.
    """
    space = _common_space(maps, None)
    table = _without_void(space)
    said = [look_up(each.ids, table) for each in maps]
    if len(maps) > 2:
        shares = np.array([0.0, *_surprise(len(maps), space.class_count)])
        entropy = np.sum([shares.astype(np.float32)[same] for same in _votes(said)], axis=0)
        levels: Ids = np.rint(np.minimum(entropy, 1) * 255).astype(np.uint8)
        return levels
    sure = [each.confidence for each in maps if each.confidence is not None]
    strength = np.full(said[0].shape, 255, np.uint8) if len(sure) < 2 else np.maximum(np.minimum(*sure), 1)
    return np.where(said[0] != said[1], strength, 0).astype(np.uint8)


def _common_space(maps: Sequence[LabelMap], truth: LabelMap | None) -> LabelSpace:
    first, *others = maps
    for each in (*others, *([] if truth is None else [truth])):
        if each.ids.shape != first.ids.shape or each.space != first.space:
            raise MaskMismatch("what is compared must be of one size and in one label space")
    if not others:
        raise MaskMismatch("one prediction alone cannot be compared")
    return first.space


def _without_void(space: LabelSpace) -> Ids:
    """(256,) table: every id that counts nowhere → class_count."""
    table = np.minimum(np.arange(256), space.class_count)
    table[list(space.void_ids)] = space.class_count
    return table.astype(np.uint8)


def _votes(said: Sequence[Ids]) -> list[Ids]:
    """For each model, by pixel: how many models, itself included, say what it says."""
    votes = [np.ones(said[0].shape, np.uint8) for _ in said]
    for one, other in combinations(range(len(said)), 2):
        same = said[one] == said[other]
        votes[one] += same
        votes[other] += same
    return votes


def _surprise(models: int, classes: int) -> list[float]:
    """Of 1, 2 … M votes: what a model with so many of them adds to a pixel's entropy, which is then 1 at most."""
    most = math.log(max(2, min(models, classes + 1)))  # void is one more thing to say
    return [-math.log(votes / models) / models / most for votes in range(1, models + 1)]


def _pair(one: Ids, other: Ids, true: Ids | None, void: int) -> PairCounts:
    same = one == other
    known = int(np.count_nonzero((one != void) | (other != void)))
    right = None if true is None else _right(one == true, other == true, true, void)
    return PairCounts(known=known, same=_by_class(np.where(same, one, void).astype(np.uint8), void), right=right)


def _right(first: NDArray[np.bool_], second: NDArray[np.bool_], true: Ids, void: int) -> RightCounts:
    def count(where: NDArray[np.bool_]) -> Counts:
        return _by_class(np.where(where, true, void).astype(np.uint8), void)

    return RightCounts(
        both=count(first & second),
        first=count(first & ~second),
        second=count(second & ~first),
        neither=count(~(first | second)),
    )


def _by_class(ids: Ids, void: int) -> Counts:
    return _counts(count_ids(ids)[:void])


def _counts(values: NDArray[np.int64]) -> Counts:
    return tuple(values.tolist())


def _sum(one: Counts, other: Counts) -> Counts:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _pair_sum(one: PairCounts, other: PairCounts) -> PairCounts:
    return PairCounts(
        known=one.known + other.known, same=_sum(one.same, other.same), right=_right_sum(one.right, other.right)
    )


def _right_sum(one: RightCounts | None, other: RightCounts | None) -> RightCounts | None:
    if one is None or other is None:
        return one or other
    return RightCounts(
        both=_sum(one.both, other.both),
        first=_sum(one.first, other.first),
        second=_sum(one.second, other.second),
        neither=_sum(one.neither, other.neither),
    )


def _rows(right: RightCounts) -> list[Counts]:
    return [right.both, right.first, right.second, right.neither]


def _read_pair(known: int, same: Sequence[int], right: Sequence[Sequence[int]] | None = None) -> PairCounts:
    return PairCounts(known=known, same=tuple(same), right=None if right is None else _read_right(right))


def _read_right(rows: Sequence[Sequence[int]]) -> RightCounts:
    both, first, second, neither = (tuple(row) for row in rows)
    return RightCounts(both=both, first=first, second=second, neither=neither)
