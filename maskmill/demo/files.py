"""The files beside the page of a job: results as the archive named them, and what is written for the page alone."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from jobs.comparing.pages import tiles
from jobs.reporting.names import Names, safe_folders, safe_stem
from maskmill.demo.material import MAX_PIXELS, Item, Material
from maskmill.image import Image
from segmentation.errors import SegmentationError
from segmentation.formats.stripes import STRIPE, stripes
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.measures.agreement import error_map
from segmentation.palette import palette
from segmentation.picture_files.pictures import decode_mask, decode_picture

PICTURES = "pictures"
TRUTH = "truth"
SHOWN_BY_BROWSERS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
SHOWN_PX = 512  # so wide a picture is shown about: stripes are drawn for it
IN_THE_PAGE = 64 * 2**20  # bytes of masks; beyond, they are linked, and a browser shows them but may not read them


@dataclass(frozen=True, slots=True)
class Truth:
    """path: in colours. ids: in the label space of the results."""

    path: Path
    ids: LabelMap


@dataclass(slots=True)
class Files:
    """out: the folder of the page. space: of the results. names: of the images in the archive, by index."""

    out: Path
    material: Material
    space: LabelSpace
    names: Mapping[int, str]
    _taken: int = field(default=0)

    def result(self, image: Image, kind: str) -> Path | None:
        """Where the archive put it."""
        place = self.out / kind / self.names[image.index]
        found = (path for path in place.parent.glob(f"{_literal(place.name)}.*") if path.stem == place.name)
        return next(found, None)

    def layer(self, path: Path) -> str:
        """The address of a PNG, which holds it."""
        self._taken += path.stat().st_size
        if self._taken > IN_THE_PAGE:
            return path.relative_to(self.out).as_posix()
        return tiles.address(path.read_bytes(), "image/png")

    def picture(self, image: Image) -> Path | None:
        """As it was submitted, in a form that browsers show; None for what is no picture, or not at hand."""
        item = self.material.picture_of(image.name)
        return None if item is None else self._written(image, item)

    def truth(self, image: Image) -> Truth | None:
        """None without one, and for one by which the service could not score the image."""
        item, named = self.material.truth_of(image.name), self.material.mask_label_space
        if item is None or named is None or not image.metrics.get("ground_truth"):
            return None
        ids = decode_mask(item.read(), max_pixels=MAX_PIXELS)
        told = LabelMap(ids, get_label_space(named)).remapped(self.space)
        target = self.out / TRUTH / f"{image.index:04d}_{safe_stem(image.name)}.png"
        target.parent.mkdir(exist_ok=True)
        colours = Picture.fromarray(told.ids)
        colours.putpalette(np.ascontiguousarray(palette(self.space)).tobytes())
        colours.save(target, compress_level=1)
        return Truth(target, told)

    def wrong(self, mask: Path, truth: Truth) -> bytes:
        """A PNG, striped where the mask is wrong."""
        ids = LabelMap(decode_mask(mask.read_bytes(), max_pixels=MAX_PIXELS), self.space)
        width = STRIPE * max(1, round(max(ids.ids.shape) / SHOWN_PX))
        return stripes(error_map(ids, truth.ids) > 0, width=width)

    def _written(self, image: Image, item: Item) -> Path | None:
        suffix = Path(item.name).suffix.lower()
        target = self.out / PICTURES / f"{image.index:04d}_{safe_stem(item.name)}{suffix}"
        target.parent.mkdir(exist_ok=True)
        data = item.read()
        if suffix not in SHOWN_BY_BROWSERS:
            try:
                data, target = _as_jpeg(data), target.with_suffix(".jpg")
            except SegmentationError:
                return None  # the job says why
        target.write_bytes(data)
        return target


def archived_names(images: Iterable[Image]) -> dict[int, str]:
    """images: the first ones of a job; what one is called depends on those before it."""
    names = Names()
    return {
        each.index: names.of(each.index, safe_folders(each.name) + (safe_stem(each.name) or f"image_{each.index:06d}"))
        for each in sorted(images, key=lambda image: image.index)
    }


def _literal(name: str) -> str:
    return name.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def _as_jpeg(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(decode_picture(data, max_pixels=MAX_PIXELS)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
