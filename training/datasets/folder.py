"""A plain folder: `images/` + `masks/` with the same stems, or `x.jpg` beside `x_mask.png`."""

from functools import partial
from pathlib import Path

from segmentation.label_space import LabelSpace, load_label_space
from training.datasets.colour_masks import read_colour_mask
from training.datasets.pairs import About, DatasetError, PairDataset, is_hidden
from training.datasets.splitting import part_of
from training.spaces import LABEL_SPACE, find_label_space

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASK_ENDINGS = ("_mask.png", "_gtFine_labelIds.png")
DEFAULT_SPACE = "cityscapes-34"


def folder(
    root: Path, split: str, *, label_space: str = "", colours: bool = False, validation_share: float = 0.0
) -> PairDataset:
    """`root/split` where that folder exists, else `root`, undivided or with a share held back for the split val.

    label_space: a name or a JSON file; else `label_space.json` in the root, else cityscapes-34. colours: the masks show
    the space's colours instead of ids. Raises DatasetError when no picture has a mask.
    """
    divided = (root / split).is_dir()
    place = root / split if divided else root
    beside = not (place / "images").is_dir()
    pairs = pairs_side_by_side(place) if beside else pairs_by_stem(place / "images", place / "masks")
    if validation_share and not divided:
        pairs = part_of(pairs, split, validation_share=validation_share)
    space = _space(root, label_space)
    about = About(title=f"folder {place.name}", licence="unknown: the owner of the folder knows")
    reader = partial(read_colour_mask, space=space) if colours else None
    return PairDataset(pairs, space=space, about=about, read_mask_with=reader)


def _space(root: Path, reference: str) -> LabelSpace:
    own = root / LABEL_SPACE
    if not reference and own.is_file():
        return load_label_space(own)
    return find_label_space(reference or DEFAULT_SPACE)


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
