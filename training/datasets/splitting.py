"""A part held back for validation where a data set brings no split of its own."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from training.datasets.pairs import DatasetError

Pair = tuple[Path, Path]
SPLITS = ("train", "val", "all")


def part_of(pairs: Sequence[Pair], split: str, *, validation_share: float) -> list[Pair]:
    """val: that share of the pairs; train: the others; all: every one. In the order given.

    Who is held back follows from the pictures' names alone, whatever the machine and the order; a picture that is added
    later moves few others. Raises DatasetError for another split, and for a share that leaves a split empty.
    """
    if split not in SPLITS:
        raise DatasetError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    if split == "all":
        return list(pairs)
    by_hash = sorted(range(len(pairs)), key=lambda index: _hash(pairs[index]))
    held_back = set(by_hash[: round(validation_share * len(pairs))])
    part = [pair for index, pair in enumerate(pairs) if (index in held_back) == (split == "val")]
    if not part:
        raise DatasetError(f"split {split!r} is empty: {validation_share:g} of {len(pairs)} pictures are held back")
    return part


def _hash(pair: Pair) -> str:
    return hashlib.sha256(pair[0].name.encode()).hexdigest()
