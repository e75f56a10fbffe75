"""A part held back for validation where a data set brings no split of its own, and what files of splits are called."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from jobs.comparing.pages.wording import counted
from training.datasets.pairs import DatasetError

Pair = tuple[Path, Path]
SPLITS = ("train", "val", "all")
# As tools call the files and folders of splits.
_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "trainval": ("trainval",),
    "test": ("test", "testing"),
}


def part_of(pairs: Sequence[Pair], split: str, *, validation_share: float) -> list[Pair]:
    """val: that share of the pairs; train: the others; all: every one. In the order given.

    Who is held back follows from the pictures' names alone, whatever the machine and the order; a picture that is added
    later moves few others. Raises DatasetError for another split, for what is no share, and for one that leaves a split
    empty.
    """
    if not 0 <= validation_share <= 1:
        raise DatasetError(f"validation_share must be 0 to 1, got {validation_share:g}")
    if split not in SPLITS:
        raise DatasetError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    if split == "all":
        return list(pairs)
    by_hash = sorted(range(len(pairs)), key=lambda index: _hash(pairs[index]))
    held_back = set(by_hash[: round(validation_share * len(pairs))])
    part = [pair for index, pair in enumerate(pairs) if (index in held_back) == (split == "val")]
    if not part:
        pictures = counted(len(pairs), "picture")
        raise DatasetError(f"split {split!r} is empty: {validation_share:g} is held back of {pictures}")
    return part


def called_as(name: str, split: str) -> bool:
    """Whether a file or folder is called as a split is: `instances_val2017`, `Validation` and `valid` as val."""
    wanted = "|".join(map(re.escape, _NAMES.get(split, (split.casefold(),))))
    return re.search(rf"(?:^|[^a-z])(?:{wanted})(?:\d{{4}})?$", name.casefold()) is not None


def names_split(name: str) -> bool:
    """Whether it is called as one of the usual splits."""
    return any(called_as(name, each) for each in _NAMES)


def share_of(pairs: Sequence[Pair], split: str, *, listed_in: Path, name: str, validation_share: float) -> list[Pair]:
    """What a split has of a list of pictures: all where the list is called as the split is, else a part, as `part_of`.

    listed_in: for errors. Raises DatasetError, also for a list that is called as another split: who takes a part of it
    for validation would train on the whole of it.
    """
    if called_as(name, split):
        return list(pairs)
    if names_split(name) and split != "all":
        raise DatasetError(
            f'{listed_in} is called as another split than {split!r}: with split = "all" it is read as a whole, '
            "and under another name it is divided"
        )
    return part_of(pairs, split, validation_share=validation_share)


def listed(path: Path) -> list[str]:
    """The lines of a list of pictures that say something. Raises DatasetError for a file that is no text."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is no list of pictures: {error}") from error
    return [each.strip() for each in lines if each.strip()]


def _hash(pair: Pair) -> str:
    return hashlib.sha256(pair[0].name.encode()).hexdigest()
