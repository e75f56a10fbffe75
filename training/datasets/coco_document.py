"""A COCO document, of one picture or of many: what it says of each, and the mask that its annotations make.

Source: https://cocodataset.org/#format-data. What tools write differently is in `docs/datasets.md`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.comparing.pages.wording import counted
from segmentation.errors import MaskMismatch, UnreadableExport
from segmentation.exports.coco import Part, is_outlined, part_of
from training.datasets.label_names import VOID, unclear_background
from training.datasets.pairs import DatasetError, Mask

Entry = Mapping[str, Any]
_UNPAINTED = -1


@dataclass(frozen=True, slots=True)
class Annotation:
    """One region. shape, box: as the document has them, `segmentation` and `bbox`."""

    number: object
    label: str
    shape: Any
    box: Any


@dataclass(frozen=True, slots=True)
class Annotated:
    """One picture. width, height: in pixels, 0 where the document does not tell."""

    file_name: str
    width: int
    height: int
    annotations: Sequence[Annotation]


@dataclass(frozen=True, slots=True)
class Document:
    """labels: the names of all categories. licences: the names of those that the document tells of."""

    pictures: Sequence[Annotated]
    labels: Sequence[str]
    licences: Sequence[str]

    @property
    def used_labels(self) -> list[str]:
        return list(dict.fromkeys(each.label for picture in self.pictures for each in picture.annotations))


def read_document(path: Path) -> Document:
    """Raises DatasetError for what is no such document, and for one that contradicts itself."""
    try:
        content = json.loads(path.read_bytes())
        labels = _by_id(path, content["categories"], "categories")
        images = _by_id(path, content["images"], "images")
        names = {key: str(each["name"]) for key, each in labels.items()}
        regions = _regions(path, content["annotations"], images, names)
        pictures = [_picture(each, regions.get(key, ())) for key, each in images.items()]
    except (OSError, RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} holds no COCO annotations: {type(error).__name__} {error}") from error
    _require_one_each(path, pictures)
    return Document(pictures, list(dict.fromkeys(names.values())), _licences(content.get("licenses")))


def _by_id(path: Path, entries: Iterable[Entry], what: str) -> dict[object, Entry]:
    found: dict[object, Entry] = {}
    for each in entries:
        if found.setdefault(each["id"], each) != each:
            raise DatasetError(f"{path}: two of its {what} have the id {each['id']!r}")
    return found


def _regions(
    path: Path, entries: Iterable[Entry], images: Mapping[object, Entry], labels: Mapping[object, str]
) -> dict[object, list[Annotation]]:
    """By the ids of their images."""
    found: dict[object, list[Annotation]] = {}
    strays = []
    for each in entries:
        if each["image_id"] not in images or each["category_id"] not in labels:
            strays.append(each)
            continue
        region = Annotation(each.get("id"), labels[each["category_id"]], each.get("segmentation"), each.get("bbox"))
        found.setdefault(each["image_id"], []).append(region)
    if strays:
        first = strays[0]
        raise DatasetError(
            f"{path}: {counted(len(strays), 'annotation')} of images or categories that it does not list, the first is "
            f"{first.get('id')!r} (image_id {first['image_id']!r}, category_id {first['category_id']!r})"
        )
    return found


def _picture(image: Entry, regions: Sequence[Annotation]) -> Annotated:
    name = image["file_name"]
    if not isinstance(name, str) or not name:
        raise ValueError(f"an image's file_name is {name!r}")
    return Annotated(name, int(image.get("width") or 0), int(image.get("height") or 0), regions)


def _require_one_each(path: Path, pictures: Sequence[Annotated]) -> None:
    seen: set[str] = set()
    for each in pictures:
        if each.file_name in seen:
            raise DatasetError(f"{path} lists {each.file_name} twice: its annotations would be of two pictures")
        seen.add(each.file_name)


def _licences(entries: object) -> list[str]:
    """Tools write what they like there."""
    listed = entries if isinstance(entries, list) else []
    names = [str(each.get("name") or "").strip() for each in listed if isinstance(each, dict)]
    return list(dict.fromkeys(filter(None, names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Painter:
    """Annotations → mask, one over the other.

    ids: by labels. background: of pixels in no annotation; None where that is not said. void: what is in a box without
    an outline, None where that is refused. smallest_last: whether a smaller region lies over a larger one, whatever
    their order.
    """

    ids: Mapping[str, int]
    background: int | None
    void: int | None
    smallest_last: bool

    def mask_of(self, picture: Annotated, *, height: int, width: int) -> Mask:
        """Raises UnreadableExport for an annotation that cannot be drawn, MaskMismatch for pixels in none."""
        drawn: Iterable[tuple[Part, int]] = (self._drawn(each, height, width) for each in picture.annotations)
        if self.smallest_last:  # else one is held at a time: of 60 that a brush drew in 12 megapixels all take 750 MB
            drawn = sorted(drawn, key=lambda each: -int(each[0].inside.sum()))
        ids: NDArray[np.int16] = np.full((height, width), _UNPAINTED, np.int16)
        for part, class_id in drawn:
            ids[part.rows, part.columns][part.inside] = class_id
        bare = ids == _UNPAINTED
        if picture.annotations and bare.size > 1 and bare.ravel()[1:].all() and not _are_tiny(picture.annotations):
            raise UnreadableExport(
                f"its annotations ({len(picture.annotations)}) cover nothing beyond its first pixel: coordinates are "
                "pixels, not shares"
            )
        if self.background is None and bare.any():
            raise MaskMismatch(unclear_background(bare.mean(), "in no annotation"))
        ids[bare] = self.background or 0
        return ids.astype(np.uint8)

    def _drawn(self, annotation: Annotation, height: int, width: int) -> tuple[Part, int]:
        try:
            if is_outlined(annotation.shape):
                part = part_of(annotation.shape, height=height, width=width)
                class_id: int | None = self.ids[annotation.label]
            else:
                part, class_id = part_of(_rectangle(annotation.box), height=height, width=width), self.void
            if part.beyond:
                raise UnreadableExport(f"it lies beyond the picture, which has {width}×{height} pixels there")
            if class_id is None:
                raise UnreadableExport(
                    "it is a box without an outline, which does not say which pixels are meant: "
                    f'boxes = "{VOID}" lets those within it count nowhere'
                )
        except UnreadableExport as error:
            raise UnreadableExport(f"annotation {annotation.number!r} ({annotation.label}): {error}") from error
        return part, class_id


def _are_tiny(annotations: Iterable[Annotation]) -> bool:
    """Whether an outline or box among them reaches beyond the first pixel, and is too small for the centre of one."""
    shapes = [each.shape if is_outlined(each.shape) else [each.box] for each in annotations]
    outlines = (shape for shape in shapes if isinstance(shape, list))
    return any(float(number) > 1 for shape in outlines for part in shape for number in part)


def _rectangle(box: Any) -> list[list[float]]:
    """As a polygon. Raises UnreadableExport for what is no box."""
    try:
        left, top, width, height = map(float, box)
    except (TypeError, ValueError):
        raise UnreadableExport("it has neither an outline nor a box") from None
    return [[left, top, left + width, top, left + width, top + height, left, top + height]]
