"""What the demo submits: the bundled samples or a folder of the user's, as one ZIP, with a ZIP of ground truth."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from maskmill.errors import InvalidInput
from maskmill.inputs import is_archive_name, sort_out, sort_out_masks

LOOKED_AT = 8  # masks that are opened to guess what their ids mean
MAX_PIXELS = 200_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """A picture or a mask: a file, or bytes that lie in the sample library."""

    name: str
    source: Path | bytes

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """mask_label_space: what the ids in the masks mean; guessed: nobody said so, the ids themselves did."""

    pictures: Sequence[Item]
    masks: Sequence[Item] = ()
    mask_label_space: str | None = None
    guessed: bool = False

    def limited(self, count: int | None) -> Material:
        if count is None or count >= len(self.pictures):
            return self
        pictures = self.pictures[:count]
        stems = {Path(item.name).stem for item in pictures}
        masks = [item for item in self.masks if any(_belongs(item.name, stem) for stem in stems)]
        return Material(pictures=pictures, masks=masks, mask_label_space=self.mask_label_space, guessed=self.guessed)

    def truth_of(self, picture: str) -> Item | None:
        """The mask of a picture, matched by name as the server does; None when there is none."""
        stem = Path(picture).stem
        exact = next((item for item in self.masks if Path(item.name).stem == stem), None)
        return exact or next((item for item in self.masks if _belongs(item.name, stem)), None)

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
    pictures = [_item(path) for path in sort_out(images).files]
    if masks is None:
        return Material(pictures=pictures)
    truth = [_item(path) for path in sort_out_masks(masks)]
    space = mask_label_space or _guess(truth)
    return Material(pictures=pictures, masks=truth, mask_label_space=space, guessed=mask_label_space is None)


def _item(path: Path) -> Item:
    if is_archive_name(path.name):
        raise InvalidInput(f"{path}: the demo takes images, not archives; `maskmill submit` takes both")
    return Item(path.name, path)


def _belongs(mask: str, stem: str) -> bool:
    """street.jpg has street.png, street_mask.png, street_gtFine_labelIds.png."""
    name = Path(mask).stem
    return name == stem or name.startswith(f"{stem}_")


def _guess(masks: Sequence[Item]) -> str:
    """From the ids that occur. CamVid's end at 11; Cityscapes' label ids at 33, its train ids have 255 for nothing."""
    ids = {int(value) for item in islice(masks, LOOKED_AT) for value in _ids(item)}
    if not ids:
        raise InvalidInput("there are no masks in the folder given with --masks")
    if max(ids) <= 11:
        return "camvid-11"
    if max(ids) <= 33:
        return "cityscapes-34"
    if ids - {255} and max(ids - {255}) <= 18:
        return "cityscapes-19"
    raise InvalidInput(f"the masks hold ids up to {max(ids)}; say what they mean with --mask-label-space")


def _ids(item: Item) -> Iterator[int]:
    import numpy as np

    from segmentation.errors import SegmentationError
    from segmentation.pictures import decode_mask

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
            name = item.name if item.name not in taken else f"{Path(item.name).stem}_{position}{Path(item.name).suffix}"
            taken.add(name)
            if isinstance(item.source, bytes):
                bundle.writestr(name, item.source)
            else:
                bundle.write(item.source, name)
    return target
