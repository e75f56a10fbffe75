"""Cityscapes as it is downloaded: `leftImg8bit/<split>/<city>/` and `gtFine/<split>/<city>/`, masks of label ids."""

from pathlib import Path

from jobs.comparing.pages.wording import counted
from segmentation.label_spaces import get_label_space
from training.datasets.pairs import About, DatasetError, PairDataset, is_hidden

ABOUT = About(
    title="Cityscapes fine annotations (Cordts et al. 2016)",
    licence="Cityscapes terms: non-commercial use; registration with the authors.",
    source="https://www.cityscapes-dataset.com/license/",
)
_PICTURE, _MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


def cityscapes(root: Path, split: str) -> PairDataset:
    """Raises DatasetError when the split is not there or a mask is missing."""
    place = root / "leftImg8bit" / split
    pictures = sorted(each for each in place.glob(f"*/*{_PICTURE}") if not is_hidden(each, place))
    if not pictures:
        raise DatasetError(f"no *{_PICTURE} in {place}/<city>; {_splits(root)}")
    pairs = [(each, _mask_of(root, split, each)) for each in pictures]
    missing = [mask for _, mask in pairs if not mask.is_file()]
    if missing:
        raise DatasetError(f"missing: {counted(len(missing), 'mask')}, the first is {missing[0]}")
    return PairDataset(pairs, space=get_label_space("cityscapes-34"), about=ABOUT)


def _mask_of(root: Path, split: str, picture: Path) -> Path:
    return root / "gtFine" / split / picture.parent.name / picture.name.replace(_PICTURE, _MASK)


def _splits(root: Path) -> str:
    place = root / "leftImg8bit"
    found = sorted(each.name for each in place.iterdir() if each.is_dir()) if place.is_dir() else []
    return f"splits there: {', '.join(found) or 'none'}"
