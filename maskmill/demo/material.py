"""What the demo submits: the bundled samples or a folder of the user's, as one ZIP, with a ZIP of ground truth."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from jobs.errors import InvalidOptions
from jobs.submitting.matching import Matches, masks_among, match_masks
from maskmill.errors import InvalidInput
from maskmill.inputs import LocalFile, is_archive_name, sort_out, sort_out_masks
from segmentation.masks.mask_space import space_of_ids

LOOKED_AT = 24  # masks that are opened to guess what their ids mean
MAX_PIXELS = 200_000_000
NAMED_IDS = 8


@dataclass(frozen=True, slots=True)
class Item:
    """A picture or a mask: a file, or bytes that lie in the sample library."""

    name: str
    source: Path | bytes

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True, kw_only=True)
class Material:
    """mask_label_space: what the ids in the masks mean; guessed: nobody said so, their names or the ids did."""

    pictures: Sequence[Item]
    masks: Sequence[Item] = ()
    mask_label_space: str | None = None
    guessed: bool = False

    def limited(self, count: int | None) -> Material:
        if count is None or count >= len(self.pictures):
            return self
        pictures = self.pictures[:count]
        masks = [truth for item in pictures if (truth := self.truth_of(item.name)) is not None]
        return Material(pictures=pictures, masks=masks, mask_label_space=self.mask_label_space, guessed=self.guessed)

    def truth_of(self, picture: str) -> Item | None:
        """The mask of a picture, matched as the server does; None when there is none."""
        return self._truths.get(picture)

    def picture_of(self, name: str) -> Item | None:
        return self._pictures.get(name)

    @cached_property
    def _pictures(self) -> Mapping[str, Item]:
        return {each.name: each for each in self.pictures}

    @cached_property
    def _truths(self) -> Mapping[str, Item]:
        pairs = _matched(self.pictures, self.masks, self.mask_label_space).pairs
        return {self.pictures[picture].name: self.masks[mask] for picture, mask in pairs.items()}

    def pack(self, folder: Path) -> tuple[Path, Path | None]:
        """One ZIP of pictures and, when there are masks, one of them."""
        pictures = _zip(folder / "pictures.zip", self.pictures)
        return pictures, _zip(folder / "masks.zip", self.masks) if self.masks else None


def samples() -> Material:
    """The bundled scenes with their ground truth. Raises InvalidInput when they were not installed."""
    from data.sample_library import LABEL_SPACE, MASK_ENDING, open_samples

    library = open_samples()
    ids = library.ids()
    if not ids:
        raise InvalidInput("this installation has no sample scenes; give pictures of yours with --images")
    return Material(
        pictures=[Item(f"{name}.jpg", library.picture(name)) for name in ids],
        masks=[Item(name + MASK_ENDING, library.mask(name)) for name in ids],
        mask_label_space=LABEL_SPACE,
    )


def own(images: Path, masks: Path | None, mask_label_space: str | None) -> Material:
    """Pictures of the user's. Raises InvalidInput, also when the masks' ids fit no label space."""
    pictures = _items(sort_out(images).files)
    among = set(masks_among([item.name for item in pictures]))
    pictures = [item for index, item in enumerate(pictures) if index not in among]
    if masks is None:
        return Material(pictures=pictures)
    truth = [item for item in _items(sort_out_masks(masks)) if item.source not in {each.source for each in pictures}]
    found = _matched(pictures, truth, mask_label_space)
    truth = [truth[mask] for mask in found.pairs.values()]
    space = found.space or _guess(truth)
    return Material(pictures=pictures, masks=truth, mask_label_space=space, guessed=mask_label_space is None)


def _items(files: Sequence[LocalFile]) -> list[Item]:
    for file in files:
        if is_archive_name(file.name):
            raise InvalidInput(f"{file.path}: the demo takes images, not archives; `maskmill submit` takes both")
    return [Item(file.name, file.path) for file in files]


def _matched(pictures: Sequence[Item], masks: Sequence[Item], space: str | None) -> Matches:
    try:
        return match_masks([item.name for item in pictures], [item.name for item in masks], space=space)
    except InvalidOptions as error:
        raise InvalidInput(str(error)) from error


def _guess(masks: Sequence[Item]) -> str:
    """From the ids that occur. Raises InvalidInput when they may mean several things."""
    ids = {int(value) for item in islice(masks, LOOKED_AT) for value in _ids(item)}
    space = space_of_ids(ids)
    if space is None:
        some = ", ".join(str(each) for each in sorted(ids)[:NAMED_IDS]) + (", …" if len(ids) > NAMED_IDS else "")
        raise InvalidInput(f"the masks hold the ids {some}: say what they mean with --mask-label-space")
    return space


def _ids(item: Item) -> Iterator[int]:
    import numpy as np

    from segmentation.errors import SegmentationError
    from segmentation.picture_files.pictures import decode_mask

    try:
        yield from np.unique(decode_mask(item.read(), max_pixels=MAX_PIXELS)).tolist()
    except SegmentationError as error:
        raise InvalidInput(f"{item.name}: {error}") from error


def _zip(target: Path, items: Sequence[Item]) -> Path:
    """Stored, not compressed: pictures are compressed already. Names that occur twice get their position."""
    target.parent.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    with zipfile.ZipFile(target, "w") as bundle:
        for position, item in enumerate(items):
            path = PurePosixPath(item.name)
            name = item.name if item.name not in taken else str(path.with_stem(f"{path.stem}_{position}"))
            taken.add(name)
            if isinstance(item.source, bytes):
                bundle.writestr(name, item.source)
            else:
                bundle.write(item.source, name)
    return target
