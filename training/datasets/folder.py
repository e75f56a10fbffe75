"""A plain folder: `images/` + `masks/` with the same stems, or `x.jpg` beside `x_mask.png`."""

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from segmentation.counting import count_ids
from segmentation.errors import SegmentationError
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.label_spaces import get_label_space
from segmentation.mask_space import space_of_ids, space_of_names
from segmentation.picture_kinds import PICTURE_KINDS
from training.datasets.colour_masks import read_colour_mask
from training.datasets.pairs import About, DatasetError, PairDataset, is_hidden, read_mask
from training.datasets.splitting import part_of
from training.spaces import LABEL_SPACE, find_label_space

PICTURE_SUFFIXES = tuple(suffix for kind in PICTURE_KINDS.values() for suffix in kind.suffixes)
MASK_ENDINGS = ("_mask.png", "_gtFine_labelIds.png")
DEFAULT_COLOURS = "cityscapes-34"
GUESSED_FROM = 64  # masks, spread over the folder

logger = logging.getLogger(__name__)


def folder(
    root: Path, split: str, *, label_space: str = "", colours: bool = False, validation_share: float = 0.0
) -> PairDataset:
    """`root/split` where that folder exists, else `root`, undivided or with a share held back for the split val.

    label_space: a name or a JSON file; else `label_space.json` in the root, else what names and ids of the masks leave
    no doubt about, which is told. colours: the masks show the space's colours (cityscapes-34's where none is given)
    instead of ids. Raises DatasetError when no picture has a mask, and when it is not clear what the ids mean.
    """
    divided = (root / split).is_dir()
    place = root / split if divided else root
    beside = not (place / "images").is_dir()
    pairs = pairs_side_by_side(place) if beside else pairs_by_stem(place / "images", place / "masks")
    if validation_share and not divided:
        pairs = part_of(pairs, split, validation_share=validation_share)
    space = _given_space(root, label_space)
    if space is None:
        masks = [mask for _, mask in pairs]
        space = get_label_space(DEFAULT_COLOURS) if colours else _guessed_space(place, masks)
    about = About(title=f"folder {place.name}", licence="unknown: the owner of the folder knows")
    reader = partial(read_colour_mask, space=space) if colours else None
    return PairDataset(pairs, space=space, about=about, read_mask_with=reader)


def _given_space(root: Path, reference: str) -> LabelSpace | None:
    own = root / LABEL_SPACE
    if not reference and own.is_file():
        return load_label_space(own)
    return find_label_space(reference) if reference else None


def _guessed_space(place: Path, masks: Sequence[Path]) -> LabelSpace:
    """Raises DatasetError."""
    name, told = space_of_names(mask.name for mask in masks), "their names say so"
    if name is None:
        ids = _ids_in(masks[:: max(1, len(masks) // GUESSED_FROM)])
        name, told = space_of_ids(ids), f"their ids are {', '.join(map(str, sorted(ids)))}"
    if name is None:
        raise DatasetError(
            f"nothing says for certain what the masks in {place} mean ({told}): "
            f"give the data set the option label_space (a name or a JSON file), or put a {LABEL_SPACE} there"
        )
    logger.warning("the masks in %s are read as %s: %s", place, name, told)
    return get_label_space(name)


def _ids_in(masks: Iterable[Path]) -> set[int]:
    """Raises DatasetError."""
    found: set[int] = set()
    for mask in masks:
        try:
            found.update(np.flatnonzero(count_ids(read_mask(mask))).tolist())
        except (SegmentationError, OSError) as error:
            raise DatasetError(f"{mask} cannot be used: {error}") from error
    return found


def pairs_by_stem(pictures: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Every picture of one folder with the PNG of the same stem in the other, by name. Raises DatasetError."""
    found = pictures_in(pictures)
    pairs = [(each, masks / f"{each.stem}.png") for each in found]
    missing = [mask.name for _, mask in pairs if not mask.is_file()]
    if missing:
        raise DatasetError(f"{len(missing)} masks are missing in {masks}, the first is {missing[0]}")
    return pairs


def pairs_side_by_side(place: Path) -> list[tuple[Path, Path]]:
    """Every picture that has a mask beside it; pictures without one are left out. Raises DatasetError."""
    pairs = []
    for each in pictures_in(place):
        mask = next((m for m in (place / f"{each.stem}{end}" for end in MASK_ENDINGS) if m.is_file()), None)
        if mask is not None:
            pairs.append((each, mask))
    if not pairs:
        raise DatasetError(f"no picture in {place} has a mask beside it (x.jpg with x_mask.png)")
    return pairs


def pictures_in(place: Path) -> list[Path]:
    """The picture files of a folder by name, without hidden ones and masks beside them. Raises DatasetError."""
    if not place.is_dir():
        raise DatasetError(f"there is no folder {place}")
    found = sorted(p for p in place.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(p))
    found = [p for p in found if not p.name.endswith(MASK_ENDINGS)]
    if not found:
        raise DatasetError(f"no pictures in {place}")
    return found
