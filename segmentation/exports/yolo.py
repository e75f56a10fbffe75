"""YOLO's segmentation labels: one text file for each picture, a polygon in each line, corners as shares of the size.

Ids count from 0, as the form asks for. Tools that draw a polygon's line too (OpenCV's `fillPoly`) give it up to a pixel
more at its right and lower edges. Source: Ultralytics' documentation, "Instance Segmentation Datasets Overview".
"""

import json
from collections.abc import Collection, Iterator

import numpy as np

from segmentation.errors import UnreadableExport
from segmentation.exports.export import Drawn, Exported, File, Ids, Known, Returned
from segmentation.exports.labels import Labels
from segmentation.exports.shapes import mask_of, regions_of, single_ring
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace

LABELS, LIST = "labels", "data.yaml"
_BOX = 2  # pairs of numbers: centre and size, as of detections


class Yolo:
    name = "yolo"
    title = "YOLO segmentation"
    by_rows = False

    def check(self, space: LabelSpace) -> None: ...

    def files(self, exported: Exported) -> Iterator[File]:
        labels = exported.labels
        yield File(LIST, _description(labels))
        for image in exported.images():
            yield File(f"{LABELS}/train/{image.name}.txt", "".join(_lines(image.read(), exported)).encode())

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"images/train/{name}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(f"/{LABELS}/" in f"/{name}" and name.endswith(".txt") for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        described = returned.document(LIST)
        ids = [each.id for each in returned.labels.all] if described is None else _ids(described, returned.labels)
        for name, read in returned.named(".txt", folder=LABELS):
            image = returned.image(name.partition("/")[2] or name)
            if image is not None:
                yield Drawn(image, _drawn(read(), image, ids, returned))


def _description(labels: Labels) -> bytes:
    names = [f"  {each.number - 1}: {json.dumps(each.name, ensure_ascii=False)}" for each in labels.all]
    return "\n".join(["path: .", "train: images/train", "val: images/train", "names:", *names, ""]).encode()


def _lines(label_map: LabelMap, exported: Exported) -> Iterator[str]:
    labels = exported.labels
    size = (label_map.width, label_map.height)
    for region in exported.outlines.of(regions_of(label_map)):
        corners = (np.array(single_ring(region)) / size).ravel().tolist()
        yield " ".join([str(labels.by_id[region.class_id].number - 1), *(f"{each:.9g}" for each in corners)]) + "\n"


def _ids(described: bytes, labels: Labels) -> list[int]:
    """Class ids in the order of `names`: a list, or a table from numbers, as `data.yaml` may have it."""
    found: dict[int, int] = {}
    _, _, names = described.decode("utf-8", "replace").partition("names:")
    if names.lstrip(" ").startswith("["):
        inner = names.partition("[")[2].partition("]")[0]
        found = {count: labels.id_of(each.strip().strip("'\"")) for count, each in enumerate(inner.split(","))}
    else:
        for line in names.splitlines()[1:]:
            key, separator, value = line.strip().partition(":")
            if line.lstrip().startswith("- "):
                found[len(found)] = labels.id_of(line.strip()[2:].strip("'\""))
            elif separator and line.startswith(" ") and key.isdecimal():
                text = value.strip()
                found[int(key)] = labels.id_of(json.loads(text) if text.startswith('"') else text.strip("'"))
            elif line.strip():
                break
    if sorted(found) != list(range(len(found))):
        raise UnreadableExport("data.yaml: the names must be numbered from 0")
    return [found[number] for number in range(len(found))]


def _drawn(data: bytes, image: Known, class_ids: list[int], returned: Returned) -> Ids:
    ids = returned.blank(image)
    for count, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            number, *shares = line.split()
            class_id = class_ids[int(number)]
            corners = np.array(shares, float).reshape(-1, 2) * (image.width, image.height)
            if len(corners) <= _BOX:
                raise ValueError(line)
        except (IndexError, ValueError) as error:
            raise UnreadableExport(f"{image.name}.txt, line {count}: no class and polygon") from error
        ids[mask_of([corners], height=image.height, width=image.width)] = class_id
    return ids
