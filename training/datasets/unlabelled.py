"""Pictures without masks: what a model learns from them is what its teacher says of them."""

from pathlib import Path

import numpy as np

from segmentation.masks.mask_names import MASK_FOLDERS, folders
from segmentation.picture_files.pictures import decode_picture
from training.datasets.folder import pictures_in
from training.datasets.pairs import MAX_PIXELS, NO_LABELS, About, DatasetError, Mask, PairDataset


def unlabelled(root: Path, split: str) -> PairDataset:
    """All pictures in and below `root/split` where that folder exists, else `root`. Raises DatasetError.

    Without those in and below folders that are called as masks' folders are, as `masks` or `labels`.
    """
    place = root / split if (root / split).is_dir() else root
    about = About(title=f"folder {place.name}, without masks", licence="unknown: the owner of the folder knows")
    found = pictures_in(place, below=True)
    pairs = [(each, each) for each in found if MASK_FOLDERS.isdisjoint(folders(each.relative_to(place).as_posix()))]
    if not pairs:
        raise DatasetError(f"no pictures in {place}: all {len(found)} lie in folders of masks")
    return PairDataset(pairs, space=NO_LABELS, about=about, read_mask_with=_nothing_known)


def _nothing_known(picture: Path) -> Mask:
    shape = decode_picture(picture.read_bytes(), max_pixels=MAX_PIXELS).shape[:2]
    return np.full(shape, NO_LABELS.void_id, dtype=np.uint8)
