"""coco: one annotation per class, as COCO does for "stuff", with compressed run lengths that pycocotools reads.

Source: Lin et al. 2014, "Microsoft COCO"; the run-length string is that of its API (`maskApi.c`, rleToString).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import UnreadableArtifact
from segmentation.formats.format import Encoded, FormatOptions, Source, check_sizes
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.picture_files.places import Georeference, Place, Position

Counts = NDArray[np.int64]  # lengths of alternating runs of 0 and 1, down the columns, beginning with 0


class Coco:
    """{images, annotations, categories} of one picture. Pixels of the space's void id have no annotation, unless the
    options name its class. Of some classes alone, `info` names them, others are no categories, and it is not read back.

    The image has `georeference` (its transform leads from corners of pixels to the CRS) and the camera's `position`,
    where it was taken somewhere; annotations are in pixels all the same.
    """

    name = "coco"
    files: ClassVar = {"application/json": ".json"}
    shown = True
    accept = ""
    uses: ClassVar = ("file_name", "place", "classes")
    merged = "coco.json"

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        annotations = annotations_of(label_map, replace(options, shows_void=False).drawn(label_map.space))
        categories = _categories(label_map.space, {each["category_id"] for each in annotations})
        size = {"width": label_map.width, "height": label_map.height}
        document = {
            **({"info": {"classes": options.classes}} if options.classes else {}),
            "images": [{"id": 1, "file_name": options.file_name, **size, **_told(options.place)}],
            "annotations": annotations,
            "categories": [each for each in categories if not options.classes or each["name"] in options.classes],
        }
        return Encoded(_compact(document), "application/json")

    def decode(self, data: bytes, space: LabelSpace) -> LabelMap:
        try:
            document = json.loads(data)
            if "info" in document:
                raise ValueError("they are of some classes, and do not keep every pixel")
            size = document["images"][0] if "images" in document else document["image"]  # as it once was called
            height, width = int(size["height"]), int(size["width"])
            flat = np.full(height * width, space.void_id, dtype=np.uint8)
            for each in document["annotations"]:
                counts = counts_from_text(each["segmentation"]["counts"])
                if counts.min(initial=0) < 0 or counts.sum() != flat.size:
                    raise ValueError(f"the run lengths do not make up {width}×{height} pixels")
                inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
                flat[inside] = np.uint8(each["category_id"])
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise UnreadableArtifact(f"no COCO annotations of one picture: {error}") from error
        return LabelMap(np.ascontiguousarray(flat.reshape(width, height).T), space)

    def merge(self, sources: Callable[[], Iterable[Source]], about: Mapping[str, Any]) -> Iterator[bytes]:
        """Image ids are the pictures' numbers, annotation ids count on from 1."""
        yield b'{"info":' + _compact(dict(about)) + b',"images":['
        yield from _separated(_compact(_image(source)) for source in sources())
        yield b'],"annotations":['
        categories: dict[int, Any] = {}
        yield from _separated(_merged_annotations(sources(), categories))
        yield b'],"categories":' + _compact([categories[each] for each in sorted(categories)]) + b"}\n"


def place_in_coco(data: bytes) -> Place:
    """What `encode` was told of the picture's place; nowhere in what was made when it kept none."""
    image = json.loads(data).get("images", [{}])[0]
    georeference, position = image.get("georeference"), image.get("position")
    return Place(
        None if georeference is None else Georeference.from_dict(georeference),
        None if position is None else Position(*position),
    )


def _told(place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if place.georeference is not None:
        told["georeference"] = place.georeference.to_dict()
    if place.position is not None:
        told["position"] = [each for each in place.position if each is not None]
    return told


def _image(source: Source) -> dict[str, Any]:
    return {
        "id": source.number,
        "file_name": source.file_name,
        "width": source.width,
        "height": source.height,
        **({} if source.ref is None else {"ref": source.ref}),
    }


def _merged_annotations(sources: Iterable[Source], categories: dict[int, Any]) -> Iterator[bytes]:
    """The annotations of each picture, joined by commas. Collects `categories` by id. Raises UnreadableArtifact."""
    next_id = 1
    for source in sources:
        try:
            document = json.loads(source.read())
        except ValueError as error:
            raise UnreadableArtifact(f"no COCO annotations of {source.file_name}: {error}") from error
        categories.update((each["id"], each) for each in document["categories"])
        found = document["annotations"]
        for offset, annotation in enumerate(found):
            annotation.update(id=next_id + offset, image_id=source.number)
        next_id += len(found)
        yield b",".join(map(_compact, found))


def _separated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in pieces:
        if piece:
            yield piece if first else b"," + piece
            first = False


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def counts_to_text(counts: Counts) -> str:
    """COCO's compressed form: from the third on, each count is its difference to the one two before, in base 32."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    digits = np.zeros((len(values), 13), dtype=np.uint8)  # 13 groups of 5 bits hold any 64-bit number
    used = np.zeros(digits.shape, dtype=bool)
    more = np.ones(len(values), dtype=bool)
    for place in range(digits.shape[1]):
        group = values & 0x1F
        values >>= 5
        used[:, place] = more
        more = more & (values != np.where(group & 0x10, -1, 0))
        digits[:, place] = group + 0x20 * more + 48
        if not more.any():
            break
    return digits[used].tobytes().decode("ascii")


def counts_from_text(text: str) -> Counts:
    """The inverse of `counts_to_text`; raises ValueError for text that ends within a number."""
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii"):
        digit = byte - 48
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the run lengths end within a number")
    return np.array(counts, dtype=np.int64)


def annotations_of(label_map: LabelMap, drawn: NDArray[np.bool_] | None = None) -> list[dict[str, Any]]:
    """drawn: (256,) by id; None: all but void."""
    height = label_map.height
    flat = label_map.ids.T.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    values = flat[starts]
    annotations: list[dict[str, Any]] = []
    for class_id in np.unique(values).tolist():
        if not drawn[class_id] if drawn is not None else class_id == label_map.space.void_id:
            continue
        own = values == class_id
        annotations.append(
            {
                "id": len(annotations) + 1,  # 0 means "no match" to COCO's evaluation
                "image_id": 1,
                "category_id": class_id,
                "segmentation": {
                    "size": [height, label_map.width],
                    "counts": counts_to_text(_counts(starts[own], ends[own], flat.size)),
                },
                "area": int((ends[own] - starts[own]).sum()),
                "bbox": _box(starts[own], ends[own] - 1, height),
                "iscrowd": 0,
            }
        )
    return annotations


def _counts(starts: Counts, ends: Counts, size: int) -> Counts:
    counts = np.diff(np.stack([starts, ends], axis=1).ravel(), prepend=0)
    return counts if ends[-1] == size else np.append(counts, size - ends[-1])


def _box(first: Counts, last: Counts, height: int) -> list[int]:
    """[x, y, width, height] around runs down the columns, given the first and last position of each."""
    left, right = int(first[0] // height), int(last[-1] // height)
    if np.any(first // height != last // height):  # a run that goes on in the next column touches both borders
        top, bottom = 0, height - 1
    else:
        top, bottom = int((first % height).min()), int((last % height).max())
    return [left, top, right - left + 1, bottom - top + 1]


def _categories(space: LabelSpace, present: set[int]) -> list[dict[str, Any]]:
    known = [{"id": each.id, "name": each.name, "supercategory": each.group} for each in space.classes]
    strange = sorted(present - space.by_id.keys())
    return known + [{"id": each, "name": space.name_of(each), "supercategory": "void"} for each in strange]
