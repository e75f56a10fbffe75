"""Which ground-truth mask belongs to which image: by file stem, with the endings that datasets use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from jobs.errors import FieldFault, InvalidOptions

_TRUTH_ENDINGS = ("_gtfine_labelids", "_gtcoarse_labelids", "_labelids", "_mask", "_label", "_labels", "_gt")
_IMAGE_ENDINGS = ("_leftimg8bit",)
_NAMED_FAULTS = 5


def match_masks(images: Sequence[str], masks: Sequence[str]) -> Mapping[int, int]:
    """File names → {index of the image: index of its mask}. Images without a mask are fine.

    Several images of one stem need as many masks of it, taken in order.
    Raises InvalidOptions when a mask matches no image, or not clearly.
    """
    if not masks:
        return {}
    by_stem: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(images):
        by_stem[_stem(name, _IMAGE_ENDINGS)].append(index)
    truths: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(masks):
        truths[_stem(name, _TRUTH_ENDINGS)].append(index)
    faults = [_fault(masks[found[0]], len(by_stem[stem]), len(found)) for stem, found in truths.items()
              if len(by_stem[stem]) != len(found)]  # fmt: skip
    if faults:
        raise InvalidOptions(faults[:_NAMED_FAULTS])
    return {image: mask for stem, found in truths.items() for image, mask in zip(by_stem[stem], found, strict=True)}


def _fault(name: str, images: int, masks: int) -> FieldFault:
    if images == 0:
        return FieldFault("masks", f"{name} matches no image by its file stem")
    return FieldFault("masks", f"{name}: {masks} masks for {images} images of that file stem")


def _stem(name: str, endings: Sequence[str]) -> str:
    stem = PurePosixPath(name).stem.lower()
    for ending in endings:
        if stem.endswith(ending) and len(stem) > len(ending):
            return stem.removesuffix(ending)
    return stem
