"""What an attempt at an image needs from outside: its bytes, its pixels, what a model says of them, a second thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from jobs.job import ModelIdentity, Source
from jobs.options import TileOptions
from segmentation.label_map import LabelMap, Plane
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.picture_rows import PictureRows, RowSource
from segmentation.picture_files.pictures import DecodedPicture, Picture

T = TypeVar("T")


class Sources(Protocol):
    def read(self, source: Source, *, tenant: str, check: Callable[[], None]) -> FileData:
        """A large file lies on disk. What may be read is asked again: a right of the tenant may have been withdrawn
        since it submitted. check: called while it is read, may raise to end it.

        Raises ObjectNotFound, InputNotFound, DownloadFailed, StorageUnavailable.
        """


class Doubts(NamedTuple):
    """mean_entropy in [0, 1], relative to log C; low_confidence: share of the pixels below 0.5, at the size of the
    model's answer."""

    mean_entropy: float | None
    low_confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a segmenter says of one picture, beside its label map."""

    doubts: Doubts
    timings_ms: Mapping[str, float]
    identity: ModelIdentity


Certainty = Callable[[], tuple[Plane | None, Doubts]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """label_map: at the picture's own size, in the model's own label space.

    certainty: works out how sure the model is, which nothing has to wait for but what shows it: (H, W) uint8 of the
    picture's size, 255 = certain, and the doubts.
    """

    label_map: LabelMap
    certainty: Certainty
    timings_ms: Mapping[str, float]
    identity: ModelIdentity


class Extent(NamedTuple):
    """passes: how often decoding goes over the pixels. weight: how many times the memory of others they take."""

    width: int
    height: int
    passes: int = 1
    weight: int = 1

    @property
    def pixels(self) -> int:
        return self.width * self.height


class Decoder(Protocol):
    """Bytes → picture. max_pixels: of one that is decoded whole."""

    @property
    def max_pixels(self) -> int: ...

    def size(self, data: FileData, *, tiled: bool) -> Extent:
        """In pixels as stored, from the header alone. Raises UnreadableImage, UnsupportedImage, and
        ImageTooLarge for what would cost too much to decode; `tiled`: by rows, if it is too large as a whole."""

    def decode(self, data: FileData, *, bit_depth: int | None) -> DecodedPicture:
        """Upright, (H, W, 3) uint8 RGB. Raises UnreadableImage, UnsupportedImage, ImageTooLarge."""

    def open_rows(self, data: FileData, *, bit_depth: int | None) -> RowSource:
        """Raises as `segmentation.picture_files.picture_rows.open_rows`."""


class Segmenter(Protocol):
    """Picture → label map. Safe to call from many threads at once: calls are joined into device batches."""

    def check_budget(self, width: int, height: int, *, models: Sequence[str], tile: TileOptions | None) -> None:
        """Before a picture is decoded. Raises ImageTooLarge for one that would take too many runs of the models, or
        too much memory; ModelNotFound, ModelFailed."""

    def identity(self, model: str) -> ModelIdentity:
        """What would run now under this name. Raises what loading it raises."""

    def segment(
        self, picture: Picture, *, model: str, tile: TileOptions | None, check: Callable[[], None]
    ) -> Prediction:
        """check: called between tiles, may raise to end it. Raises ModelNotFound, ModelFailed, OutOfMemory,
        TimedOut."""

    def segment_rows(
        self,
        picture: PictureRows,
        *,
        model: str,
        tile: TileOptions,
        check: Callable[[], None],
        take: Callable[[LabelMap], None],
    ) -> Said:
        """The same of a picture that is never held as a whole. take: is given its label map from top to bottom, some
        rows at a time, in the model's own label space. Raises as `segment`, and what the rows and `take` raise."""


class Aside(Protocol):
    """For a picture that is alone, on a machine with a processor to spare."""

    def __call__(self, work: Callable[[], T], /) -> Callable[[], T]:
        """Begin the work in another thread, if one is idle. What this gives waits for its result, or does the work when
        nobody has begun it; it raises what the work raises."""


def later(work: Callable[[], T]) -> Callable[[], T]:
    """An `Aside` where nobody is idle."""
    return work
