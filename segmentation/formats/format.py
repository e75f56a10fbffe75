"""What an artifact format is: a name, and a label map turned into bytes."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import InvalidFormatOptions, MaskMismatch
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace

OVERLAY_FORMATS = ("jpeg", "png", "webp")
MAX_PIXELS = 1 << 31  # of an artifact that is read back: our own file, so only arithmetic sets a limit


@dataclass(frozen=True, slots=True)
class Encoded:
    """`suffix` begins with a dot."""

    data: bytes
    media_type: str
    suffix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """opacity: of the colours over the picture, 0..1. file_name: of the picture, where a format names it.

    Raises InvalidFormatOptions on construction.
    """

    opacity: float = 0.5
    overlay_format: str = "jpeg"
    colour_blind_safe: bool = False
    file_name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise InvalidFormatOptions(f"opacity must be 0..1, got {self.opacity}")
        if self.overlay_format not in OVERLAY_FORMATS:
            raise InvalidFormatOptions(
                f"the overlay's format must be one of {', '.join(OVERLAY_FORMATS)}, got {self.overlay_format!r}"
            )


class Format(Protocol):
    """One kind of artifact."""

    @property
    def name(self) -> str: ...

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        """rgb: the picture, (H, W, 3) uint8, as large as the label map.

        Raises MaskMismatch when the sizes differ, MissingConfidence when the format needs what the map lacks.
        """
        ...


@runtime_checkable
class ReadableFormat(Format, Protocol):
    """A format that keeps every class id, so that it can be read back."""

    def decode(self, data: bytes, space: LabelSpace) -> LabelMap:
        """The map that `encode` was given, without its confidence. Raises UnreadableArtifact."""
        ...


def check_sizes(label_map: LabelMap, rgb: NDArray[np.uint8]) -> None:
    """Raises MaskMismatch when the picture is not as large as the label map."""
    if rgb.shape != (*label_map.ids.shape, 3):
        raise MaskMismatch(
            f"the label map is {label_map.width}×{label_map.height} pixels, the picture's array {rgb.shape}"
        )
