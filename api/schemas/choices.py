"""What may be chosen of options, orders and exports, with words for people: what a page offers without a list of its
own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field

from jobs.options import PALETTES, PRIORITIES
from segmentation.exports import EXPORTS
from segmentation.formats import FORMATS, OVERLAY_FORMATS
from segmentation.picture_files.deep_pixels import DEPTHS

Sort = Literal["index", "confidence", "entropy", "low_confidence", "class_drift", "miou", "disagreement"]
SORTS: Mapping[Sort, str] = {
    "index": "input order",
    "confidence": "least certain first",
    "entropy": "largest mean entropy first",
    "low_confidence": "most pixels below 0.5 first",
    "class_drift": "whose classes have the most unusual shares first",
    "miou": "worst mIoU first",
    "disagreement": "where several models differ most first",
}


class Choices(BaseModel):
    """Names as requests take them."""

    artifacts: list[str] = Field(examples=[["overlay", "mask"]])
    overlay_formats: list[str] = Field(examples=[["jpeg", "png"]])
    palettes: list[str] = Field(examples=[["published", "colour_blind"]])
    bit_depths: list[int] = Field(examples=[[10, 12]])
    priorities: list[str] = Field(examples=[["interactive", "bulk"]])
    exports: dict[str, str] = Field(description="name → title", examples=[{"cvat": "CVAT 1.1 masks"}])
    sorts: dict[str, str] = Field(
        description="of a job's images: name → what comes first", examples=[{"confidence": "least certain first"}]
    )


def choices() -> Choices:
    return Choices(
        artifacts=list(FORMATS),
        overlay_formats=list(OVERLAY_FORMATS),
        palettes=list(PALETTES),
        bit_depths=list(DEPTHS),
        priorities=list(PRIORITIES),
        exports={name: each.title for name, each in EXPORTS.items()},
        sorts=dict(SORTS),
    )
