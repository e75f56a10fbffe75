"""Preprocessing: from an RGB picture to a network's input. The same code in training and in serving."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import InvalidModelCard

Resize = Literal["fit", "exact"]
Triple = tuple[float, float, float]

LONGEST_SIDE = 16_384  # pixels of what a network sees: more than fits into any memory
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a picture becomes an input tensor; part of a model's card.

    resize: "fit" keeps the proportions and scales the long side (up or down) to `long_side`, then rounds both sides
    to `multiple_of`; "exact" scales to `height` × `width` whatever the proportions.
    mean, std: of each RGB channel, for values scaled to 0..1.
    Raises InvalidModelCard on construction.
    """

    resize: Resize = "fit"
    long_side: int | None = None
    height: int | None = None
    width: int | None = None
    multiple_of: int = 32
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD

    def __post_init__(self) -> None:
        _require(self.multiple_of >= 1, "multiple_of", "1 or more", self.multiple_of)
        _require(self.resize in ("fit", "exact"), "resize", "'fit' or 'exact'", self.resize)
        _require(all(each > 0 for each in self.std), "std", "three numbers above 0", self.std)
        needed = ("long_side",) if self.resize == "fit" else ("height", "width")
        for name in ("long_side", "height", "width"):
            value = getattr(self, name)
            if name in needed:
                fits = value is not None and value >= self.multiple_of and value % self.multiple_of == 0
                _require(fits, name, f"a multiple of {self.multiple_of} for resize {self.resize!r}", value)
                _require(cast(int, value) <= LONGEST_SIDE, name, f"at most {LONGEST_SIDE}", value)
            else:
                _require(value is None, name, f"null for resize {self.resize!r}", value)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the network's input for a picture of this height and width in pixels."""
        if self.height is not None and self.width is not None:
            return self.height, self.width
        scale = cast(int, self.long_side) / max(height, width)
        return self._rounded(height * scale), self._rounded(width * scale)

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """rgb: (H, W, 3) uint8, RGB. Returns (3, h, w) float32, C-contiguous, normalised."""
        return normalised(self.scaled(rgb), mean=self.mean, std=self.std)

    def scaled(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """rgb: (H, W, 3) uint8. Returns (h, w, 3) uint8, as large as the network's input.

        Every source pixel counts: shrinking averages whole boxes of pixels first (2×2, 3×3, …; six times as fast as
        the filter alone), then Pillow's bilinear filter, with its support scaled, does the rest.
        """
        height, width = self.input_size(*rgb.shape[:2])
        if rgb.shape[:2] == (height, width):
            return rgb
        scaled = Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
        return np.asarray(scaled)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, value: object) -> "Preprocessing":
        """The inverse of `to_dict`; raises InvalidModelCard for a field that is unknown, missing or wrong."""
        _require(isinstance(value, Mapping), "preprocessing", "an object", value)
        fields = dict(cast(Mapping[str, Any], value))
        taken = cls(
            resize=fields.pop("resize", None),
            long_side=_side(fields, "long_side"),
            height=_side(fields, "height"),
            width=_side(fields, "width"),
            multiple_of=_side(fields, "multiple_of") or 0,
            mean=_triple(fields, "mean"),
            std=_triple(fields, "std"),
        )
        _require(not fields, "preprocessing", "without other fields", sorted(fields))
        return taken

    def _rounded(self, side: float) -> int:
        return max(1, round(side / self.multiple_of)) * self.multiple_of


def normalised(
    rgb: NDArray[np.uint8], *, mean: Triple = IMAGENET_MEAN, std: Triple = IMAGENET_STD
) -> NDArray[np.float32]:
    """rgb: (H, W, 3) uint8. Returns (3, H, W) float32, C-contiguous, (value / 255 - mean) / std, rounded at each step.

    Training and serving see the same numbers.
    """
    tensor = np.empty((3, *rgb.shape[:2]), dtype=np.float32)
    for channel in range(3):
        np.divide(rgb[:, :, channel], np.float32(255), out=tensor[channel])
        tensor[channel] -= np.float32(mean[channel])
        tensor[channel] /= np.float32(std[channel])
    return tensor


def _side(fields: dict[str, Any], name: str) -> int | None:
    value = fields.pop(name, None)
    fits = value is None or (isinstance(value, int) and not isinstance(value, bool))
    _require(fits, name, "a whole number or null", value)
    return cast(int | None, value)


def _triple(fields: dict[str, Any], name: str) -> Triple:
    value = fields.pop(name, None)
    fits = isinstance(value, list) and len(value) == 3 and all(type(each) in (int, float) for each in value)
    _require(fits, name, "three numbers", value)
    red, green, blue = cast(list[float], value)
    return float(red), float(green), float(blue)


def _require(true: bool, name: str, expected: str, got: object) -> None:
    if not true:
        field = name if name == "preprocessing" else f"preprocessing.{name}"
        raise InvalidModelCard(field, expected=expected, got=got)
