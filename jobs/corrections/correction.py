"""What a correction is, and how its bytes are read: class ids of the job's label space, as large as its picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from jobs.errors import MaskUnknownIds, UnsupportedMedia
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.masks.mask_check import inspect_mask, newly_open
from segmentation.masks.mask_fit import ids_that_fit
from segmentation.masks.mask_palette import check_palette
from segmentation.picture_files.pictures import sniff_media_type

MEDIA_TYPE = "image/png"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionFile:
    """The bytes of a correction, as they lie in the store. size in bytes; sha256: hex."""

    key: str
    size: int
    crc32: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One version of an image's correction; they count from 1 and all are kept. made_by: the key with which it came,
    None where the service asks for none."""

    job_id: str
    index: int
    version: int
    file: CorrectionFile
    made_at: datetime
    made_by: str | None = None


def read_correction(
    data: bytes, *, space: LabelSpace, shape: tuple[int, int], before: Callable[[], Iterable[LabelMap]] | None = tuple
) -> LabelMap:
    """shape: (height, width) of the picture; as a mask the correction may lie otherwise and say so in its EXIF.
    before: what was said of it; pixels without a class there may stay so where `space` has no id for such; None: any.

    Raises UnsupportedMedia (no PNG), UnreadableImage, MaskMismatch (another size, colours, a palette in another order),
    MaskUnknownIds.
    """
    if sniff_media_type(data[:64]) != MEDIA_TYPE:
        raise UnsupportedMedia("a correction is a PNG whose pixels are class ids (grey or palette)")
    ids = ids_that_fit(data, shape, called="correction")
    check_palette(data, ids, space)
    report = inspect_mask(ids, space)
    if set(report.unknown) == {space.void_id} and (before is None or not newly_open(ids, space, before()).any()):
        return LabelMap(ids, space)
    if report.unknown:
        hint = f"; {report.hint}" if report.hint else ""
        raise MaskUnknownIds(f"{space.name} does not know {report.unknown_text()}{hint}")
    return LabelMap(ids, space)
