"""COCO: one document for the whole job, as run lengths or as polygons. What comes back may hold both.

A region with holes is one polygon, whose line goes to each hole and back: pycocotools counts crossings within a polygon
and joins several, so holes cannot be polygons of their own. Source: https://cocodataset.org/#format-data.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segmentation.errors import UnreadableExport
from segmentation.exports.documents import compact, is_outermost, joined, loaded
from segmentation.exports.export import Drawn, Exported, File, Ids, Labelled, Returned, names_before
from segmentation.exports.shapes import Mask, mask_of, placed, regions_of, single_ring
from segmentation.formats.coco import annotations_of, counts_from_text, counts_to_text
from segmentation.formats.contours import Region
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace

DOCUMENT = "annotations/instances_default.json"
_BOX = 4  # numbers, or fewer: no outline
Found = dict[str, Any]


class Part(NamedTuple):
    """What an annotation covers of a picture: the rows and columns around it, and its pixels within them. beyond: all
    of its outlines lie beyond the picture's borders."""

    rows: slice
    columns: slice
    inside: Mask
    beyond: bool = False


class Coco:
    by_rows = False

    def __init__(self, name: str, title: str, *, polygons: bool) -> None:
        self.name, self.title = name, title
        self._polygons = polygons

    def check(self, space: LabelSpace) -> None: ...

    def files(self, exported: Exported) -> Iterator[File]:
        yield File(DOCUMENT, self._document(exported))

    def _document(self, exported: Exported) -> Iterator[bytes]:
        labels = exported.labels
        categories = [
            {"id": each.number, "name": each.name, "supercategory": exported.space.by_id[each.id].group}
            for each in labels.all
        ]
        info = {"description": exported.about, "version": exported.software}
        yield b'{"info":' + compact(info) + b',"licenses":[],"categories":' + compact(categories) + b',"images":['
        yield from joined(compact(_image(each)) for each in exported.images())
        yield b'],"annotations":['
        yield from joined(self._annotations(exported))
        yield b"]}\n"

    def _annotations(self, exported: Exported) -> Iterator[bytes]:
        labels, number = exported.labels, 0
        for image in exported.images():
            for each in self._of_map(image.read(), exported):
                number += 1
                category = labels.by_id[each["category_id"]].number
                yield compact({**each, "id": number, "image_id": image.number, "category_id": category})

    def _of_map(self, label_map: LabelMap, exported: Exported) -> Iterator[Found]:
        """With class ids for categories."""
        instances = exported.instances
        if not instances and not self._polygons:
            yield from annotations_of(label_map)
            return
        regions: dict[int, list[Region]] = {}
        found = regions_of(label_map)
        for count, region in enumerate(exported.outlines.of(found) if self._polygons else found):
            regions.setdefault(count if instances else region.class_id, []).append(region)
        for members in regions.values():
            if self._polygons:
                shape: object = [np.array(single_ring(each)).ravel().tolist() for each in members]
            else:
                shape = _runs(members[0], label_map)
            yield {
                "category_id": members[0].class_id,
                "segmentation": shape,
                "area": sum(each.area for each in members),
                "bbox": _box(members),
                "iscrowd": 0,
            }

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"images/default/{name}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(_is_document(name) for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        for path, read in returned.files.items():
            if _is_document(path) or is_outermost(path):
                document = loaded(read(), path)
                if isinstance(document, dict) and document.keys() >= {"annotations", "categories"}:
                    yield from _read(document, returned)


def _is_document(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".json") and ("/annotations/" in f"/{path}" or name.startswith(("instances", "_annotations")))


def is_coco(document: bytes) -> bool:
    """Whether a JSON file that any tool may have written looks so: Label Studio's `result.json` does."""
    return document.lstrip()[:1] == b"{" and all(key in document for key in (b'"annotations"', b'"categories"'))


def _read(document: Mapping[str, Any], returned: Returned) -> Iterator[Drawn]:
    try:
        names = {key: each["name"] for key, each in _by_id(document, "categories").items()}
        by_image: dict[object, list[Found]] = {}
        for each in document["annotations"]:
            by_image.setdefault(each["image_id"], []).append(each)
        images = _by_id(document, "images")
        returned.unknown += [f"image_id {each!r}" for each in by_image if each not in images]
        for number, image in images.items():
            known = returned.file(str(image["file_name"]), *names_before(str(image["file_name"])))
            if known is None:
                continue
            known.check_size(image.get("width"), image.get("height"))
            ids = returned.blank(known)
            for each in by_image.get(number, ()):
                class_id = returned.labels.id_of(names[each["category_id"]], where=known.name)
                _paint(ids, each["segmentation"], class_id, known.name)
            yield Drawn(known, ids)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableExport(f"no COCO annotations: {type(error).__name__} {error}") from error


def _by_id(document: Mapping[str, Any], what: str) -> dict[object, Found]:
    """Raises UnreadableExport where two have one id, as in documents that were put together: the annotations of either
    would be drawn on both."""
    found: dict[object, Found] = {}
    for each in document[what]:
        if found.setdefault(each["id"], each) != each:
            raise UnreadableExport(f"two of its {what} have the id {each['id']!r}")
    return found


def _paint(ids: Ids, shape: Any, class_id: int, name: str) -> None:
    height, width = ids.shape
    if not is_outlined(shape):
        raise UnreadableExport("an annotation has no outline: boxes say nothing of what is in them")
    part = part_of(shape, height=height, width=width)
    if part.beyond:
        raise UnreadableExport(f"{name}: an annotation lies beyond the picture, which has {width}×{height} pixels")
    ids[part.rows, part.columns][part.inside] = class_id


def is_outlined(shape: object) -> bool:
    """Whether an annotation's `segmentation` tells of more than a box."""
    if not isinstance(shape, list):
        return bool(shape)
    return any(not isinstance(each, list) or len(each) > _BOX for each in shape)


def part_of(shape: Any, *, height: int, width: int) -> Part:
    """What an annotation's `segmentation` covers: polygons, which are joined, or run lengths, plain or compressed.

    Raises UnreadableExport for what is neither, and for run lengths of another size.
    """
    try:
        return _polygons(shape, height, width) if isinstance(shape, list) else _decoded(shape, height, width)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UnreadableExport(f"neither polygons nor run lengths: {type(error).__name__} {error}") from error


def _polygons(shape: Sequence[Sequence[float]], height: int, width: int) -> Part:
    rings = [np.array(each, np.float64).reshape(-1, 2) for each in shape if len(each) > _BOX]
    corners = np.concatenate(rings)
    if not np.isfinite(corners).all():
        raise UnreadableExport("a polygon must be a list of finite numbers")
    lowest, highest = corners.min(axis=0), corners.max(axis=0)
    size = (width, height)
    left, top = np.clip(np.floor(lowest), 0, size).astype(int).tolist()
    right, bottom = np.clip(np.ceil(highest), 0, size).astype(int).tolist()
    inside: Mask = np.zeros((bottom - top, right - left), bool)
    for ring in rings:
        inside |= mask_of([ring - (left, top)], height=bottom - top, width=right - left)
    # a line along a border, as contours of a region one pixel wide are, is not beyond it
    before, behind = (highest <= 0) & (lowest < 0), (lowest >= size) & (highest > size)
    beyond = bool(before.any() or behind.any())
    return Part(slice(top, bottom), slice(left, right), inside, beyond)


def _decoded(shape: Mapping[str, Any], height: int, width: int) -> Part:
    counts = shape["counts"]
    lengths = counts_from_text(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    if list(shape["size"]) != [height, width] or lengths.min(initial=0) < 0 or lengths.sum() != height * width:
        raise UnreadableExport(f"run lengths of another size than the picture's {width}×{height}")
    ends = lengths.cumsum()[: len(lengths) // 2 * 2].reshape(-1, 2)  # of each run outside, of the one inside after it
    ends = ends[ends[:, 0] < ends[:, 1]]
    if not len(ends):
        return Part(slice(0, 0), slice(0, 0), np.zeros((0, 0), bool))
    left, right = int(ends[0, 0] // height), int(-(-ends[-1, 1] // height))
    runs = np.diff(ends.ravel() - left * height, prepend=0, append=(right - left) * height)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Part(slice(0, height), slice(left, right), inside.reshape(right - left, height).T)


def _image(image: Labelled) -> Found:
    return {"id": image.number, "file_name": image.file_name, "width": image.width, "height": image.height}


def _runs(region: Region, label_map: LabelMap) -> Found:
    rows, columns, own = placed(region)
    inside: Mask = np.zeros(label_map.ids.shape, bool)
    inside[rows, columns] = own
    flat = inside.T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(changes, prepend=0, append=flat.size)
    return {"size": [label_map.height, label_map.width], "counts": counts_to_text(counts)}


def _box(regions: Iterable[Region]) -> list[int]:
    corners = np.concatenate([np.array(each.rings[0]) for each in regions])
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return [left, top, right - left, bottom - top]
