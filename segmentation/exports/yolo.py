"""YOLO's segmentation labels: one text file for each picture, a polygon in each line, corners as shares of the size.

Ids count from 0, as the form asks for. Tools that draw a polygon's line too (OpenCV's `fillPoly`) give it up to a pixel
more at its right and lower edges. Source: Ultralytics' documentation, "Instance Segmentation Datasets Overview".

What comes back has the tool's own order of classes: `data.yaml` tells it (`dataset.yaml` of FiftyOne), or `classes.txt`
(Label Studio) or `obj.names` (darknet), a name in each line.
"""

import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import unquote

import numpy as np

from segmentation.errors import UnreadableExport
from segmentation.exports.export import Drawn, Exported, File, Ids, Known, Returned, names_before, without_suffix
from segmentation.exports.labels import Labels
from segmentation.exports.shapes import mask_of, regions_of, single_ring
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace

LABELS, LIST = "labels", "data.yaml"
_DESCRIPTIONS = (LIST, "dataset.yaml")
_LINES = ("classes.txt", "obj.names")
_PARTS = frozenset({"train", "val", "valid", "test"})  # of a data set, each with a folder below `labels`
_BOX = 2  # pairs of numbers: centre and size, as of detections
_NAMES = re.compile(r"^names:[ \t]*", re.MULTILINE)
_QUOTED = r""""(?:\\.|[^"\\])*"|'(?:''|[^'])*'"""
_ITEM = re.compile(rf"\s*(?:(\d+)\s*:\s*)?({_QUOTED}|[^,\[\]{{}}]+?)\s*([,\]}}])")
_ENTRY = re.compile(rf"\s*(?:-|(\d+)\s*:)\s+({_QUOTED}|.*?)\s*(?:\s#.*)?")


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
        classes: list[str] | None = None
        for name, read in returned.named(".txt", folder=LABELS):
            if f"{name}.txt" in _LINES:
                continue
            image = returned.image(*_called(name))
            if image is not None:
                data = read()
                if classes is None and data.strip():  # where nothing is drawn, nobody has to tell what numbers mean
                    classes = _classes(returned)
                yield Drawn(image, _drawn(data, image, classes or [], returned))


def _description(labels: Labels) -> bytes:
    names = [f"  {each.number - 1}: {json.dumps(each.name, ensure_ascii=False)}" for each in labels.all]
    return "\n".join(["path: .", "train: images/train", "val: images/train", "names:", *names, ""]).encode()


def _lines(label_map: LabelMap, exported: Exported) -> Iterator[str]:
    labels = exported.labels
    size = (label_map.width, label_map.height)
    for region in exported.outlines.of(regions_of(label_map)):
        corners = (np.array(single_ring(region)) / size).ravel().tolist()
        yield " ".join([str(labels.by_id[region.class_id].number - 1), *(f"{each:.9g}" for each in corners)]) + "\n"


def _called(name: str) -> list[str]:
    """What the picture of `train/cam_a/1` may be called, the likeliest first: some tools have a folder for each part of
    the data set, and some gave pictures names of their own, or those of their addresses."""
    part, _, rest = name.partition("/")
    names = [rest, name] if rest and part in _PARTS else [name]
    return [*names, *map(unquote, names), *map(without_suffix, names_before(f"{name}.jpg"))]


def _classes(returned: Returned) -> list[str]:
    """Names in the order that the tool gave its classes. Raises UnreadableExport where nothing tells it, or two files
    tell it differently: the one may be ours, beside what a tool made of it."""
    there = {name: data for name in (*_DESCRIPTIONS, *_LINES) if (data := returned.document(name)) is not None}
    if not there:
        told = " or ".join((*_DESCRIPTIONS, *_LINES))
        raise UnreadableExport(f"nothing tells what the numbers of the classes mean: send {told} along")
    lists = {name: _names(name, data.decode("utf-8-sig", "replace")) for name, data in there.items()}
    (first, names), *others = lists.items()
    for name, each in others:
        if any(one.casefold() != other.casefold() for one, other in zip(names, each, strict=False)):
            raise UnreadableExport(f"{first} and {name} give the classes other numbers; send the one that is right")
    return names


def _names(name: str, described: str) -> list[str]:
    if name in _DESCRIPTIONS:
        return _listed(described, name)
    return [each for line in described.splitlines() if (each := line.strip())]


def _listed(described: str, name: str) -> list[str]:
    """`names` of a description in the order of their numbers: a list or a table, in brackets or in lines."""
    head = _NAMES.search(described)
    rest = "" if head is None else described[head.end() :]
    try:
        found = _in_brackets(rest) if rest.startswith(("[", "{")) else _in_lines(rest.partition("\n")[2])
    except ValueError as error:
        raise UnreadableExport(f"{name}: a name cannot be read: {error}") from error
    if not found or sorted(found) != list(range(len(found))):
        raise UnreadableExport(f"{name}: no names of classes were found, numbered from 0")
    return [found[number] for number in range(len(found))]


def _in_brackets(rest: str) -> dict[int, str]:
    found: dict[int, str] = {}
    at = 1
    while (item := _ITEM.match(rest, at)) is not None:
        number, text, behind = item.groups()
        found[len(found) if number is None else int(number)] = _plain(text)
        if behind != ",":
            break
        at = item.end()
    return found


def _in_lines(rest: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in rest.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = _ENTRY.fullmatch(line)
        if entry is None or (entry[1] is not None and not line[0].isspace()):
            break  # another key of the document
        found[len(found) if entry[1] is None else int(entry[1])] = _plain(entry[2])
    return found


def _plain(text: str) -> str:
    """What a text of YAML says. Raises ValueError."""
    if text.startswith('"'):
        return str(json.loads(text))
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _drawn(data: bytes, image: Known, classes: list[str], returned: Returned) -> Ids:
    ids, known = returned.blank(image), dict(enumerate(classes))
    for count, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            number, *shares = line.split()
            name = known[int(number)]
            corners = np.array(shares, float).reshape(-1, 2) * (image.width, image.height)
            if len(corners) <= _BOX:
                raise ValueError(line)
        except (KeyError, ValueError) as error:
            raise UnreadableExport(f"{image.name}.txt, line {count}: no class and polygon") from error
        class_id = returned.labels.id_of(name, where=f"{image.name}.txt, line {count}")
        ids[mask_of([corners], height=image.height, width=image.width)] = class_id
    return ids
