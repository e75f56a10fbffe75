"""How data sets name their masks: the one list of endings, for matching masks to pictures and for what their ids mean.

A name is a file name or a relative path with `/`. Upper and lower case and Unicode's ways to write a letter are one.
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePosixPath
from typing import NamedTuple

LABEL_IDS, TRAIN_IDS = "cityscapes-34", "cityscapes-19"


class MaskKind(Enum):
    """What a mask's name says of its pixels."""

    IDS = "class ids; of which label space the name does not tell"
    LABEL_IDS = "the label ids of Cityscapes"
    TRAIN_IDS = "the train ids of Cityscapes"
    NO_IDS = "colours, instances or outlines: no class ids"

    @property
    def space(self) -> str | None:
        """The label space of the ids, where the name tells."""
        return _SPACES.get(self)


_SPACES: Mapping[MaskKind, str] = {MaskKind.LABEL_IDS: LABEL_IDS, MaskKind.TRAIN_IDS: TRAIN_IDS}

# Without what separates them from the stem. Cityscapes, BDD100K, ACDC, CamVid, and what people write by hand.
ENDINGS: Mapping[str, MaskKind] = {
    **{f"{part}labelids": MaskKind.LABEL_IDS for part in ("", "gtfine_", "gtcoarse_", "gt_")},
    **{f"{part}labeltrainids": MaskKind.TRAIN_IDS for part in ("", "gtfine_", "gtcoarse_", "gt_")},
    **dict.fromkeys(("trainids", "train_id", "train_ids"), MaskKind.TRAIN_IDS),
    **{
        f"{part}{what}": MaskKind.NO_IDS
        for part in ("", "gtfine_", "gtcoarse_", "gt_", "label", "gt_label", "train_")
        for what in ("color", "colour", "instanceids", "instancetrainids", "polygons", "invids")
    },
    **dict.fromkeys(("mask", "masks", "label", "labels", "gt", "groundtruth", "ground_truth", "l"), MaskKind.IDS),
    **dict.fromkeys(("seg", "segmentation", "semantic", "annotation", "annotations"), MaskKind.IDS),
}
PICTURE_ENDINGS = ("leftimg8bit", "rightimg8bit", "rgb_anon")

# Folders that say what lies in them and not of which pictures.
MASK_FOLDERS = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "annotation", "gtfine", "gtcoarse", "gt", "groundtruth"}
    | {"ground_truth", "segmentationclass", "trainannot", "valannot", "testannot"}
)
PICTURE_FOLDERS = frozenset(
    {"images", "image", "imgs", "img", "pictures", "photos", "leftimg8bit", "rgb_anon", "jpegimages"}
)


def _one_of(endings: tuple[str, ...]) -> re.Pattern[str]:
    """Its groups are the stem and the ending; the longest ending counts."""
    listed = "|".join(sorted(map(re.escape, endings), key=len, reverse=True))
    return re.compile(rf"(.+?)[_.-]({listed})", re.DOTALL)


_MASK = _one_of(tuple(ENDINGS))
_PICTURE = _one_of(PICTURE_ENDINGS)


class MaskName(NamedTuple):
    """stem: folded, as the picture's would be. named: whether it ends as a mask's name does."""

    stem: str
    kind: MaskKind
    named: bool


def read_mask_name(name: str, *, suffix: str | None = None) -> MaskName | None:
    """suffix: how the masks of a data set of its own end; None where a name does not end so."""
    stem = folded(PurePosixPath(name).stem)
    if suffix is not None:
        ending = folded(suffix)
        given = stem.endswith(ending) and len(stem) > len(ending)
        return MaskName(stem.removesuffix(ending), MaskKind.IDS, True) if given else None
    found = _MASK.fullmatch(stem)
    return MaskName(stem, MaskKind.IDS, False) if found is None else MaskName(found[1], ENDINGS[found[2]], True)


def picture_stem(name: str) -> str:
    """Folded, without what data sets append to the names of pictures."""
    stem = folded(PurePosixPath(name).stem)
    found = _PICTURE.fullmatch(stem)
    return stem if found is None else found[1]


def telling_folders(name: str) -> tuple[str, ...]:
    """The folders of a path, folded, without those that only say whether pictures or masks lie in them."""
    return tuple(part for part in folders(name) if part not in MASK_FOLDERS and part not in PICTURE_FOLDERS)


def is_mask_path(name: str) -> bool:
    """Whether a path looks like a mask's: by the ending of its name or by a folder."""
    found = read_mask_name(name)
    return (found is not None and found.named) or not MASK_FOLDERS.isdisjoint(folders(name))


def folders(name: str) -> tuple[str, ...]:
    """Folded."""
    head = name.rpartition("/")[0]
    return tuple(folded(head).split("/")) if head else ()


def folded(text: str) -> str:
    """One way to write what reads the same: NFC, without case."""
    return (
        text.casefold()
        if text.isascii()
        else unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    )
