"""Oxford-IIIT Pet: `images/`, `annotations/trimaps/`, and the lists `annotations/trainval.txt` and `test.txt`."""

from pathlib import Path

import numpy as np

from jobs.comparing.pages.wording import counted
from segmentation.label_spaces import get_label_space
from segmentation.measures.counting import look_up
from training.datasets.pairs import About, DatasetError, Mask, PairDataset, read_mask
from training.datasets.splitting import Pair, listed, part_of

ABOUT = About(
    title="Oxford-IIIT Pet, trimaps (Parkhi et al. 2012)",
    licence="Annotations: CC BY-SA 4.0. The copyright of the pictures remains with their owners.",
    source="https://www.robots.ox.ac.uk/~vgg/data/pets/",
)
SPLITS = ("train", "val", "trainval", "test")
# The published values 1 pet, 2 background, 3 border, counted from 0; no other occurs.
IDS = np.full(256, 255, dtype=np.uint8)
IDS[1:4] = (0, 1, 2)


def oxford_pets(root: Path, split: str, *, validation_share: float = 0.2) -> PairDataset:
    """Splits: trainval and test as published; train and val are parts of trainval, of which no official ones exist.

    Raises DatasetError.
    """
    if split not in SPLITS:
        raise DatasetError(f"Oxford-IIIT Pet has no split {split!r}; there are {', '.join(SPLITS)}")
    pairs = _listed(root, "test" if split == "test" else "trainval")
    if split in ("train", "val"):
        pairs = part_of(pairs, split, validation_share=validation_share)
    return PairDataset(pairs, space=get_label_space("oxford-pets-3"), about=ABOUT, read_mask_with=_read_trimap)


def _listed(root: Path, name: str) -> list[Pair]:
    """A line of a list is `Abyssinian_100 1 1 1`: a stem, then numbers of breeds."""
    path = root / "annotations" / f"{name}.txt"
    if not path.is_file():
        raise DatasetError(f"there is no list {path}")
    lines = (line.split() for line in listed(path))
    stems = [words[0] for words in lines if not words[0].startswith("#")]
    pairs = [(root / "images" / f"{stem}.jpg", root / "annotations" / "trimaps" / f"{stem}.png") for stem in stems]
    missing = [file for pair in pairs for file in pair if not file.is_file()]
    if missing or not pairs:
        lack = (
            f"names {counted(len(missing), 'file')} that cannot be found, the first is {missing[0]}"
            if missing
            else "is empty"
        )
        raise DatasetError(f"{path} {lack}")
    return pairs


def _read_trimap(path: Path) -> Mask:
    return look_up(read_mask(path), IDS)
