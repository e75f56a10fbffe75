"""The ground truth of one image: read, understood and made to fit, or set aside with a warning that says why."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.job import ImageWarning
from segmentation.errors import SegmentationError
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.masks.mask_check import MaskReport, inspect_mask, percent
from segmentation.masks.mask_fit import ids_that_fit
from segmentation.masks.mask_palette import check_palette
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.pictures import is_upright

MISMATCH = "mask_mismatch"
UNKNOWN_IDS = "mask_unknown_ids"
MOSTLY_IGNORED = "mask_mostly_ignored"
ORIENTATION_UNCLEAR = "mask_orientation_unclear"


@dataclass(frozen=True, slots=True)
class Truth:
    """label_map: None when there is none that can be trusted; an image never fails for that."""

    label_map: LabelMap | None = None
    warnings: tuple[ImageWarning, ...] = ()


def unusable(why: str) -> Truth:
    return Truth(warnings=(ImageWarning(MISMATCH, why),))


def read_truth(
    data: FileData,
    *,
    mask_space: LabelSpace,
    space: LabelSpace,
    shape: tuple[int, int],
    turned_unseen: bool = False,
    may_be_open: bool = False,
) -> Truth:
    """data: the mask as a file, its ids in `mask_space`. shape: (height, width) of the picture, as it is looked at.
    turned_unseen: EXIF turns or mirrors it, which leaves that shape. may_be_open: somebody has agreed to pixels of no
    class, also where `mask_space` has no id for such.

    Ids that `mask_space` does not know are never counted as ignored: the mask is set aside, since nobody can tell
    what its other ids mean. So is one whose palette says that they are other classes'.
    """
    try:
        mask = LabelMap(ids_that_fit(data, shape), mask_space)
        report = inspect_mask(mask.ids, mask_space)
        if report.unknown and not (may_be_open and set(report.unknown) == {mask_space.void_id}):
            return Truth(warnings=(ImageWarning(UNKNOWN_IDS, _unknown(report, mask_space)),))
        check_palette(data, mask.ids, mask_space)
        return Truth(mask.remapped(space), _ignored(report) + _unclear(data, turned_unseen=turned_unseen))
    except SegmentationError as error:
        return unusable(str(error))


def _unknown(report: MaskReport, space: LabelSpace) -> str:
    found = f"{space.name} does not know {report.unknown_text()}"
    return f"{found}; {report.hint}" if report.hint else found


def _unclear(data: FileData, *, turned_unseen: bool) -> tuple[ImageWarning, ...]:
    """A mask that EXIF turns as well was drawn before."""
    if not turned_unseen or not is_upright(data):
        return ()
    detail = (
        "EXIF turns or mirrors the picture and leaves its shape: that of the mask does not show whether it was drawn "
        "on the picture as it is looked at, which is assumed, or as it is stored"
    )
    return (ImageWarning(ORIENTATION_UNCLEAR, detail),)


def _ignored(report: MaskReport) -> tuple[ImageWarning, ...]:
    if not report.mostly_ignored:
        return ()
    share = percent(report.ignored_share + report.unknown_share)  # the latter of what may be open
    return (ImageWarning(MOSTLY_IGNORED, f"{share} of the mask's pixels count nowhere"),)
