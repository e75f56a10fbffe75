"""LabelMap: a class id per pixel, in one label space, with the model's confidence where there was a model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch, MissingConfidence
from segmentation.label_space import LabelSpace
from segmentation.measures.counting import count_ids, look_up
from segmentation.measures.once import once

Plane = NDArray[np.uint8]  # (H, W)


def class_fractions(space: LabelSpace, counts: NDArray[np.int64]) -> dict[str, float]:
    """Name of each class that occurs → its share of all pixels, by ascending id; the shares sum to 1.

    counts: (256,) pixels of each id.
    """
    total = int(np.add.reduce(counts))
    return {space.name_of(each): int(counts[each]) / total for each in counts.nonzero()[0].tolist()}


def coverage(space: LabelSpace, fractions: Mapping[str, float]) -> float:
    """Share of the pixels of a class that counts. fractions: as `class_fractions` gives them."""
    counted = {each.name for each in space.classes if each.id not in space.void_ids}
    return 1 - sum(share for name, share in fractions.items() if name not in counted)


def confidence_sum(confidence: NDArray[np.uint8]) -> int:
    """confidence: (H, W)."""
    return int(np.add.reduce(np.add.reduce(confidence, axis=1, dtype=np.uint32), dtype=np.int64))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """ids: (H, W) uint8 class ids of `space`. confidence: (H, W) uint8, 255 = certain; None when nothing predicted it.

    Raises MaskMismatch on construction when an array has another shape or type.
    """

    ids: NDArray[np.uint8]
    space: LabelSpace
    confidence: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.dtype != np.uint8 or not self.ids.size:
            raise MaskMismatch(f"a label map must be (H, W) uint8, got {self.ids.shape} {self.ids.dtype}")
        other = self.confidence
        if other is not None and (other.shape != self.ids.shape or other.dtype != np.uint8):
            raise MaskMismatch(f"the confidence must be {self.ids.shape} uint8, got {other.shape} {other.dtype}")

    @property
    def height(self) -> int:
        return int(self.ids.shape[0])

    @property
    def width(self) -> int:
        return int(self.ids.shape[1])

    def remapped(self, target: LabelSpace) -> "LabelMap":
        """The same map in another label space; raises NoRemapping."""
        if target == self.space:
            return self
        table = self.space.remapping_to(target)
        remapped = replace(self, ids=look_up(self.ids, table), space=target)
        if (counts := LabelMap.pixel_counts.known(self)) is not None:
            there = np.zeros_like(counts)
            np.add.at(there, table, counts)
            LabelMap.pixel_counts.note(remapped, there)
        return remapped

    def with_confidence(self, confidence: NDArray[np.uint8] | None) -> "LabelMap":
        """confidence: (H, W) uint8. Raises MaskMismatch."""
        certain = replace(self, confidence=confidence)
        if (counts := LabelMap.pixel_counts.known(self)) is not None:
            LabelMap.pixel_counts.note(certain, counts)
        return certain

    def abstaining(self, min_confidence: float) -> "LabelMap":
        """The same map, void where its confidence is below this, in [0, 1]. Raises MissingConfidence."""
        if self.confidence is None:
            raise MissingConfidence("this label map has no confidence: no model predicted it")
        least = np.count_nonzero(np.arange(256) / 255 < min_confidence)
        ids = self.ids.copy()
        ids[self.confidence < least] = self.space.void_id
        return replace(self, ids=ids)

    @once
    def pixel_counts(self) -> NDArray[np.int64]:
        """(256,) pixels of each id."""
        return count_ids(self.ids)

    def class_fractions(self) -> dict[str, float]:
        """As `class_fractions` of this module."""
        return class_fractions(self.space, self.pixel_counts)

    @once
    def mean_confidence(self) -> float | None:
        """Mean over all pixels, in [0, 1]; None without confidence."""
        if self.confidence is None:
            return None
        return confidence_sum(self.confidence) / (255 * self.confidence.size)


class RowTotals:
    """What `LabelMap` tells of all its pixels, of a map that comes some rows at a time. mean_confidence: None when some
    rows came without."""

    def __init__(self, space: LabelSpace) -> None:
        self._space = space
        self._counts = np.zeros(256, np.int64)
        self._confidence = 0
        self._is_sure = True

    def add(self, rows: LabelMap) -> None:
        """rows: in the same label space."""
        self._counts += rows.pixel_counts
        if rows.confidence is None:
            self._is_sure = False
        else:
            self._confidence += confidence_sum(rows.confidence)

    def class_fractions(self) -> dict[str, float]:
        return class_fractions(self._space, self._counts)

    @property
    def mean_confidence(self) -> float | None:
        return self._confidence / (255 * int(self._counts.sum())) if self._is_sure else None
