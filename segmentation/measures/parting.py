"""The pixels on which models differ, counted by the ways in which they do: many pixels, few ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_WAYS = 1 << 16  # that are counted before it is looked which of them occur
Classes = NDArray[Any]  # unsigned, of one byte where that holds them all and the number that is none


class Parted:
    """N pixels, M models, C classes, W ways.

    way: (N,) of each of these pixels; ways: (W, M) the class that each model says in each of them, C for none; pixels:
    (W,) how many there are; votes: (W, M) how many models say what this one says.
    """

    def __init__(self, said: Sequence[Classes], classes: int) -> None:
        """said: for each model the classes of these pixels, at most `classes`."""
        self._classes = classes
        self.way, self.ways = _ways_of(said, classes + 1)
        self.pixels = np.bincount(self.way, minlength=len(self.ways))
        self.votes = (self.ways[:, :, None] == self.ways[:, None, :]).sum(axis=2)

    def by_class(self, said: Classes) -> NDArray[np.int64]:
        """(C,) pixels. said: a class for each of the ways."""
        counts = np.zeros(self._classes + 1, np.int64)
        np.add.at(counts, said, self.pixels)
        return counts[:-1]

    def by_truth(self, true: Classes) -> NDArray[np.int64]:
        """(W, C) pixels by way and true class. true: of each of these pixels."""
        classes = self._classes + 1
        counts = np.bincount(self.way * classes + true, minlength=len(self.ways) * classes)
        return counts.reshape(-1, classes)[:, :-1]

    def votes_cast(self) -> NDArray[np.int64]:
        """(M + 1,) over these pixels and the models: how often 0, 1, 2 … M models say what this one says."""
        counts = np.zeros(self.ways.shape[1] + 1, np.int64)
        np.add.at(counts, self.votes, self.pixels[:, None])
        return counts


def _ways_of(said: Sequence[Classes], classes: int) -> tuple[NDArray[np.intp], Classes]:
    """For each pixel the number of the way in which the models part on it, and (ways, M) what they say then.

    said: of each model; below `classes`.
    """
    every = np.arange(classes, dtype=np.min_scalar_type(classes - 1))
    way, ways = said[0].astype(np.intp), every[:, None]
    for each in said[1:]:
        way *= classes
        way += each
        ways = np.column_stack([ways.repeat(classes, axis=0), np.tile(every, len(ways))])
        if len(ways) > _MOST_WAYS:
            present, way = np.unique(way, return_inverse=True)
            ways = ways[present]
    present = np.flatnonzero(np.bincount(way, minlength=len(ways)))
    numbers = np.zeros(len(ways), np.intp)
    numbers[present] = np.arange(len(present))
    return numbers[way], ways[present]
