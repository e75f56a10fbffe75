"""A plain folder: `images/` + `masks/` with the same stems, or `x.jpg` beside `x_mask.png`."""

from pathlib import Path

from segmentation.label_spaces import get_label_space
from training.datasets.pairs import About, DatasetError, PairDataset

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASK_ENDINGS = ("_mask.png", "_gtFine_labelIds.png")


def folder(root: Path, split: str, *, label_space: str = "cityscapes-34") -> PairDataset:
    """`root/split` where that folder exists, else `root`. Raises DatasetError when no picture has a mask."""
    place = root / split if (root / split).is_dir() else root
    beside = not (place / "images").is_dir()
    pairs = pairs_side_by_side(place) if beside else pairs_by_stem(place / "images", place / "masks")
    about = About(title=f"folder {place.name}", licence="unknown: the owner of the folder knows")
    return PairDataset(pairs, space=get_label_space(label_space), about=about)


def pairs_by_stem(pictures: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Every picture of one folder with the PNG of the same stem in the other, by name. Raises DatasetError."""
    found = _pictures(pictures)
    pairs = [(each, masks / f"{each.stem}.png") for each in found]
    missing = [mask.name for _, mask in pairs if not mask.is_file()]
    if missing:
        raise DatasetError(f"{len(missing)} masks are missing in {masks}, the first is {missing[0]}")
    return pairs


def pairs_side_by_side(place: Path) -> list[tuple[Path, Path]]:
    """Every picture that has a mask beside it; pictures without one are left out. Raises DatasetError."""
    pairs = []
    for each in _pictures(place):
        mask = next((m for m in (place / f"{each.stem}{end}" for end in MASK_ENDINGS) if m.is_file()), None)
        if mask is not None:
            pairs.append((each, mask))
    if not pairs:
        raise DatasetError(f"no picture in {place} has a mask beside it (x.jpg with x_mask.png)")
    return pairs


def _pictures(place: Path) -> list[Path]:
    if not place.is_dir():
        raise DatasetError(f"there is no folder {place}")
    found = sorted(p for p in place.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    found = [p for p in found if not p.name.endswith(MASK_ENDINGS)]
    if not found:
        raise DatasetError(f"no pictures in {place}")
    return found
