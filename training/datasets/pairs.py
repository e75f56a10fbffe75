"""Labelled pictures: pairs of files, kept in memory as far as they fit; and the views of them that a training needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.submitting.names import is_hidden as is_hidden_name
from segmentation.errors import SegmentationError
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.measures.counting import count_ids, look_up
from segmentation.picture_files.pictures import decode_mask, decode_picture
from training.datasets.marks import mark_as_generated, mark_of, mark_of_generated

MAX_PIXELS = 64_000_000
KEPT_BYTES = 1 << 30  # of decoded pictures of one data set; CamVid needs a quarter of it, Cityscapes 25 times as much
NO_CHANNEL = 255  # in channel masks: a pixel that counts nowhere
NO_LABELS = LabelSpace("unlabelled", (LabelClass(0, "anything", (0, 0, 0), "anything"),), ignore_id=255)

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]


class DatasetError(Exception):
    """The files of a data set are not as its layout says; the message names the folder or file."""

    code = "dataset_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a model card must tell of the data that a model was trained on.

    answers_of: the model whose answers the masks are, as far as nobody corrected them; empty: people drew them.
    """

    title: str
    licence: str
    source: str = ""
    answers_of: str = ""

    @property
    def warning(self) -> str:
        """Of whoever is scored on these masks; empty where they are the truth."""
        if not self.answers_of:
            return ""
        return f"the masks are answers of {self.answers_of} where nobody corrected them: scores tell who agrees with it"


def is_hidden(path: Path, place: Path) -> bool:
    """As `._a.png`, which macOS writes beside `a.png` on foreign disks: no picture, whatever it is called. place: the
    folder that was named, which may be hidden itself."""
    return is_hidden_name(path.relative_to(place).as_posix())


class LabelledPictures(Protocol):
    """Picture (H,W,3) uint8 RGB and mask (H,W) uint8 by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Picture, Mask]: ...


class PairDataset:
    """Pictures and masks of class ids of `space`. What was decoded stays in memory, as uint8, up to KEPT_BYTES.

    prepare: called with the two paths before they are read; it may make the files. are_upright: masks are known to be
    of the pictures as these are looked at, however EXIF turns them.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        *,
        space: LabelSpace,
        about: About,
        read_mask_with: Callable[[Path], Mask] | None = None,
        prepare: Callable[[Path, Path], None] | None = None,
        are_upright: bool = False,
    ) -> None:
        self.pairs = tuple(pairs)
        self.space = space
        self.about = about
        self.are_upright = are_upright
        self._read_mask = read_mask_with or read_mask
        self._prepare = prepare
        self._decoded: dict[int, tuple[Picture, Mask]] = {}
        self._room = KEPT_BYTES

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Picture, Mask]:
        """Raises DatasetError, which names the file, for one that cannot be read and for a mask of another size."""
        kept = self._decoded.get(index)
        if kept is not None:
            return kept
        picture, mask = self._decode(*self.pairs[index])
        self._room -= picture.nbytes + mask.nbytes
        if self._room >= 0:
            self._decoded[index] = picture, mask
        return picture, mask

    def mask(self, index: int) -> Mask:
        """The mask alone, of which nothing stays in memory. Raises DatasetError for one that cannot be read."""
        kept = self._decoded.get(index)
        if kept is not None:
            return kept[1]
        picture, path = self.pairs[index]
        if self._prepare is not None:
            self._prepare(picture, path)
        try:
            return self._read_mask(path)
        except (SegmentationError, OSError) as error:
            raise DatasetError(f"{path} cannot be used: {error}") from error

    @property
    def is_generated(self) -> bool:
        """Whether its files are made when they are asked for."""
        return self._prepare is not None

    @property
    def holds_ids(self) -> bool:
        """Whether the pixels of its mask files are ids of its space as they are."""
        return self._read_mask is read_mask

    @property
    def is_unlabelled(self) -> bool:
        """Whether nothing is known of any pixel."""
        return self.space == NO_LABELS

    def read_mask(self, path: Path) -> Mask:
        """A mask file of this data set in ids of its space. Raises SegmentationError, OSError."""
        return self._read_mask(path)

    def names(self) -> list[str]:
        """The pictures' file names, in order: what a run writes down as its split."""
        return [picture.name for picture, _ in self.pairs]

    def marks(self) -> list[str]:
        """By which each picture is known again. What is generated is known by its folder and name, in any size."""
        if self.is_generated:
            return [mark_of_generated(picture.parent.parent.name, picture.name) for picture, _ in self.pairs]
        return [mark_of(picture) for picture, _ in self.pairs]

    def other_marks(self) -> list[str]:
        """By which each picture is known as well, perhaps empty: generated files that another data set reads, where
        they lie or copied."""
        if self.is_generated:
            return [mark_of(picture) if picture.is_file() else "" for picture, _ in self.pairs]
        return [mark_as_generated(picture) for picture, _ in self.pairs]

    def reduced(self, count: int = 0, *, share: float = 1.0, seed: int) -> "PairDataset":
        """A subset drawn with `seed`, in its old order: `count` pairs (0 = all), or that share of them, at least one.

        All of them when there are not more. Raises DatasetError for a share outside (0, 1] and a negative count.
        """
        if not 0 < share <= 1 or count < 0 or (count and share < 1):
            raise DatasetError(f"a subset is a count of 1 or more, or a share in (0, 1]; got {count} and {share:g}")
        count = min(count or len(self), max(1, round(share * len(self))))
        if count >= len(self):
            return self
        return self.at(sorted(np.random.default_rng(seed).permutation(len(self))[:count].tolist()))

    def at(self, indices: Sequence[int]) -> "PairDataset":
        """These pairs alone."""
        pairs = [self.pairs[index] for index in indices]
        return PairDataset(
            pairs,
            space=self.space,
            about=self.about,
            read_mask_with=self._read_mask,
            prepare=self._prepare,
            are_upright=self.are_upright,
        )

    def _decode(self, picture_path: Path, mask_path: Path) -> tuple[Picture, Mask]:
        if self._prepare is not None:
            self._prepare(picture_path, mask_path)
        path = picture_path
        try:
            picture = decode_picture(path.read_bytes(), max_pixels=MAX_PIXELS)
            path = mask_path
            mask = self._read_mask(path)
        except (SegmentationError, OSError) as error:
            raise DatasetError(f"{path} cannot be used: {error}") from error
        if picture.shape[:2] != mask.shape:
            raise DatasetError(f"{picture_path} is {picture.shape[:2]} (height, width), its mask {mask.shape}")
        return picture, mask


class InSpace:
    """The same pictures, their masks in another label space's ids. Raises NoRemapping when no table leads there.

    unmarked: ids of the target's classes that the masks have no way to show.
    """

    def __init__(self, pictures: PairDataset, target: LabelSpace) -> None:
        self._pictures = pictures
        self._table = pictures.space.remapping_to(target)
        self.unmarked = frozenset(each.id for each in target.missing_from(pictures.space))

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Picture, Mask]:
        picture, mask = self._pictures[index]
        return picture, look_up(mask, self._table)


def unmarked_in(pictures: LabelledPictures) -> frozenset[int]:
    """Ids of the classes that the masks have no way to show."""
    return pictures.unmarked if isinstance(pictures, InSpace) else frozenset()


class InChannels:
    """Several data sets in a row, their masks as channel numbers of a model for `space`; NO_CHANNEL elsewhere."""

    def __init__(self, parts: Sequence[PairDataset], space: LabelSpace) -> None:
        self._parts = tuple(parts)
        self._tables = [_table(part, space) for part in parts]

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def __getitem__(self, index: int) -> tuple[Picture, Mask]:
        for part, table in zip(self._parts, self._tables, strict=True):
            if index < len(part):
                picture, mask = part[index]
                return picture, look_up(mask, table)
            index -= len(part)
        raise IndexError(index)

    @cached_property
    def pixel_counts(self) -> NDArray[np.int64]:
        """(256,) pixels of each channel number. Reads every mask."""
        counts = np.zeros(256, dtype=np.int64)
        for part, table in zip(self._parts, self._tables, strict=True):
            ids = sum((count_ids(part.mask(index)) for index in range(len(part))), np.zeros(256, dtype=np.int64))
            np.add.at(counts, table, ids)
        return counts


def _table(pictures: PairDataset, space: LabelSpace) -> NDArray[np.uint8]:
    if pictures.is_unlabelled:
        return np.full(256, NO_CHANNEL, dtype=np.uint8)
    return channel_table(space)[pictures.space.remapping_to(space)]


def channel_table(space: LabelSpace) -> NDArray[np.uint8]:
    """(256,) table from class ids to the channels of a model's logits; NO_CHANNEL for what counts nowhere.

    The void id is that of pixels nobody knows, also where it is a class's: what has no counterpart is no such class.
    """
    table = np.full(256, NO_CHANNEL, dtype=np.uint8)
    table[list(space.class_ids)] = np.arange(len(space.class_ids), dtype=np.uint8)
    if space.void_id in space.void_ids:
        table[space.void_id] = NO_CHANNEL
    return table


def read_mask(path: Path) -> Mask:
    """(H, W) uint8. Raises MaskMismatch when the pixels cannot be ids, UnreadableImage."""
    return decode_mask(path.read_bytes(), max_pixels=MAX_PIXELS)
