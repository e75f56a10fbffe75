"""What an artifact format is: a name, and a label map turned into bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import InvalidFormatOptions, MaskMismatch
from segmentation.formats.outlines import EXACT, Outlines
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.picture_files.places import NOWHERE, Place

MAX_PIXELS = 1 << 31  # of an artifact that is read back: our own file, so only arithmetic sets a limit


@dataclass(frozen=True, slots=True)
class PictureFile:
    """How a picture is stored: as Pillow's `kind`, with its options. longest: side in pixels that the file can hold."""

    suffix: str
    saving: Mapping[str, int]
    longest: int


# What an overlay may be stored as.
OVERLAY_FORMATS: Mapping[str, PictureFile] = {
    "jpeg": PictureFile(".jpg", {"quality": 90}, 65_500),  # of which libjpeg writes no more
    "png": PictureFile(".png", {"compress_level": 1}, 2**31 - 1),
    "webp": PictureFile(".webp", {"quality": 80, "method": 0}, 16_383),
}


class Encoded(NamedTuple):
    data: bytes
    media_type: str  # one of the format's `files`


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """opacity: of the colours over the picture, 0..1. file_name: of the picture, where a format names it. place:
    where it was taken. shows_void: whether void has a colour over the picture. outlines: of polygons.
    classes: names of those that are drawn; empty: all.

    Raises InvalidFormatOptions on construction.
    """

    opacity: float = 0.5
    overlay_format: str = "jpeg"
    colour_blind_safe: bool = False
    file_name: str = ""
    place: Place = NOWHERE
    shows_void: bool = True
    outlines: Outlines = EXACT
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise InvalidFormatOptions(f"opacity must be 0..1, got {self.opacity}")
        if self.overlay_format not in OVERLAY_FORMATS:
            raise InvalidFormatOptions(
                f"the overlay's format must be one of {', '.join(OVERLAY_FORMATS)}, got {self.overlay_format!r}"
            )

    def drawn(self, space: LabelSpace) -> NDArray[np.bool_]:
        """(256,) by id. Void where it is named, and where nothing is, if it is shown."""
        found = np.array([not self.classes or space.name_of(each) in self.classes for each in range(256)])
        if not self.classes:
            found[space.void_id] = self.shows_void
        return found


class Format(Protocol):
    """One kind of artifact. It carries all that others need to know of it; it is listed in FORMATS and nowhere else.

    files: media type → suffix (with its dot) of what it may give. shown: whether a browser may show these by itself.
    accept: the media type by which `POST /predict` is asked for it; empty where it is not.
    uses: what decides its bytes beside the ids and the picture: fields of FormatOptions, and `confidence`.
    """

    @property
    def name(self) -> str: ...
    @property
    def files(self) -> Mapping[str, str]: ...
    @property
    def shown(self) -> bool: ...
    @property
    def accept(self) -> str: ...
    @property
    def uses(self) -> tuple[str, ...]: ...

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


class Source(NamedTuple):
    """A picture whose artifact goes into a merged document. number: of the picture in its job, from 1. ref: what its
    owner calls it, where that is to be told."""

    number: int
    file_name: str
    width: int
    height: int
    read: Callable[[], bytes]  # the artifact
    ref: str | None = None


@runtime_checkable
class MergeableFormat(Format, Protocol):
    """A format whose artifacts can be one document, called `merged`, in the archive of a job."""

    @property
    def merged(self) -> str: ...

    def merge(self, sources: Callable[[], Iterable[Source]], about: Mapping[str, Any]) -> Iterator[bytes]:
        """The document in pieces; `sources` is walked through as often as needed, one artifact is held at a time.

        about: description and version, and the classes where it holds some alone, for documents that name them.
        Raises what reading an artifact raises.
        """
        ...


def check_sizes(label_map: LabelMap, rgb: NDArray[np.uint8]) -> None:
    """Raises MaskMismatch when the picture is not as large as the label map."""
    if rgb.shape != (*label_map.ids.shape, 3):
        raise MaskMismatch(
            f"the label map is {label_map.width}×{label_map.height} pixels, the picture's array {rgb.shape}"
        )
