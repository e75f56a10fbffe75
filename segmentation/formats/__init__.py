"""The artifact formats. To add one: write its file, list it here; the contract tests and the options then cover it."""

from segmentation.formats.coco import Coco
from segmentation.formats.confidence import Confidence
from segmentation.formats.format import (
    OVERLAY_FORMATS,
    Encoded,
    Format,
    FormatOptions,
    MergeableFormat,
    ReadableFormat,
    Source,
)
from segmentation.formats.geotiff import GeoTiff
from segmentation.formats.mask import Mask
from segmentation.formats.overlay import Overlay
from segmentation.formats.polygons import Polygons

__all__ = [
    "FORMATS",
    "OVERLAY_FORMATS",
    "READABLE",
    "Encoded",
    "Format",
    "FormatOptions",
    "MergeableFormat",
    "ReadableFormat",
    "Source",
]

_ALL: tuple[Format, ...] = (Overlay(), Mask(), Confidence(), Polygons(), Coco(), GeoTiff())
FORMATS: dict[str, Format] = {each.name: each for each in _ALL}
READABLE = frozenset(name for name, each in FORMATS.items() if isinstance(each, ReadableFormat))
