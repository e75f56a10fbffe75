"""Label Studio: tasks with predictions, as brush strokes or polygons, and what annotators made of them.

A brush is RGBA values as run lengths of bits, as the tool's own converter packs them (thi.ng's rle-pack). Points of
polygons are per cent of the picture's size. Sources: Label Studio's documentation ("Import pre-annotations",
"BrushLabels", "PolygonLabels"); label-studio-converter, `brush.py`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch, UnreadableExport
from segmentation.exports.documents import compact, is_outermost, joined, loaded
from segmentation.exports.export import PICTURES, Drawn, Exported, File, Ids, Known, Labelled, Returned, names_before
from segmentation.exports.labels import Labels
from segmentation.exports.shapes import Mask, mask_of, placed, regions_of, single_ring
from segmentation.label_map import LabelMap
from segmentation.label_space import RGB, LabelSpace

TASKS = "tasks.json"
SIZES = (3, 4, 8, 16)  # bits of a run's length
# Areas, too: what they hold would be lost. Without `labels` in their names, another result says what they show.
_UNREAD = frozenset({"rectanglelabels", "ellipselabels", "bitmasklabels", "vectorlabels"})
_UNREAD |= {"brush", "polygon", "rectangle", "ellipse", "bitmask", "vector"}
_HEAD_BITS = 32 + 5 + 4 * len(SIZES)
Result = dict[str, Any]


class LabelStudio:
    by_rows = False

    def __init__(self, name: str, title: str, *, polygons: bool) -> None:
        self.name, self.title = name, title
        self._polygons = polygons

    def check(self, space: LabelSpace) -> None: ...

    def files(self, exported: Exported) -> Iterator[File]:
        yield File("label_config.xml", _config(exported.labels, polygons=self._polygons))
        yield File(TASKS, self._tasks(exported))

    def _tasks(self, exported: Exported) -> Iterator[bytes]:
        yield b"["
        yield from joined(compact(self._task(image, exported)) for image in exported.images())
        yield b"]\n"

    def _task(self, image: Labelled, exported: Exported) -> Result:
        found = list(self._results(image.read(), exported))
        data = {"image": f"/data/local-files/?d={PICTURES}{quote(image.file_name)}", "maskmill": image.name}
        return {"data": data, "predictions": [{"model_version": exported.about, "result": found}]}

    def _results(self, label_map: LabelMap, exported: Exported) -> Iterator[Result]:
        labels = exported.labels
        frame = {"original_width": label_map.width, "original_height": label_map.height, "image_rotation": 0}
        for count, (class_id, value) in enumerate(self._values(label_map, exported)):
            kind = "polygonlabels" if self._polygons else "brushlabels"
            yield {
                "id": f"r{count}",
                "type": kind,
                "from_name": "label",
                "to_name": "image",
                **frame,
                "value": {**value, kind: [labels.by_id[class_id].name]},
            }

    def _values(self, label_map: LabelMap, exported: Exported) -> Iterator[tuple[int, Result]]:
        if self._polygons:
            percent = (100 / label_map.width, 100 / label_map.height)
            for region in exported.outlines.of(regions_of(label_map)):
                yield region.class_id, {"points": (np.array(single_ring(region)) * percent).tolist(), "closed": True}
            return
        for class_id, inside in _masks(label_map, instances=exported.instances):
            yield class_id, {"format": "rle", "rle": encode_brush(inside)}

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"{PICTURES}{name}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(is_outermost(name) for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        for path, read in returned.files.items():
            if is_outermost(path):
                document = loaded(read(), path)
                yield from _read(document if isinstance(document, list) else [document], returned)


def _masks(label_map: LabelMap, *, instances: bool) -> Iterator[tuple[int, Mask]]:
    if not instances:
        for class_id in np.flatnonzero(label_map.pixel_counts).tolist():
            if class_id != label_map.space.void_id:
                yield class_id, label_map.ids == class_id
        return
    for region in regions_of(label_map):
        inside: Mask = np.zeros(label_map.ids.shape, bool)
        rows, columns, own = placed(region)
        inside[rows, columns] = own
        yield region.class_id, inside


def _config(labels: Labels, *, polygons: bool) -> bytes:
    kind = "PolygonLabels" if polygons else "BrushLabels"
    lines = [
        f"    <Label value={quoteattr(each.name)} background={quoteattr(_hex(each.colour))}/>" for each in labels.all
    ]
    inner = [f'  <{kind} name="label" toName="image">', *lines, f"  </{kind}>"]
    head = '  <Image name="image" value="$image" zoom="true"/>'
    return "\n".join(["<View>", head, *inner, "</View>", ""]).encode()


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def encode_brush(inside: Mask) -> list[int]:
    """The bytes of a mask's RGBA values, 0 or 255."""
    flat = inside.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size) * 4
    values = flat[starts] * np.int64(255)
    whole, rest = np.divmod(lengths - 1, 1 << SIZES[-1])  # a long run is several
    order = np.repeat(np.arange(len(lengths)), whole + 1)
    last = np.cumsum(whole + 1) - 1
    pieces = np.full(len(order), (1 << SIZES[-1]) - 1)
    pieces[last] = rest
    sizes = np.array(SIZES)
    kinds = np.searchsorted(1 << sizes, pieces, side="right")
    tokens = (((1 << 2 | kinds) << sizes[kinds]) | pieces) << 8 | values[order]
    bits = _bits(tokens, 1 + 2 + sizes[kinds] + 8)
    head = [(flat.size * 4, 32), (7, 5), *((size - 1, 4) for size in SIZES)]
    told = np.concatenate([_bits(np.array([value]), np.array([count])) for value, count in head])
    packed: list[int] = np.packbits(np.concatenate([told, bits])).tolist()
    return packed


def _bits(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The lowest `counts` bits of each value, the highest first, one behind the other."""
    places = np.arange(int(counts.max()) - 1, -1, -1)
    table = (values[:, None] >> places & 1).astype(np.uint8)
    kept: NDArray[np.uint8] = table[places < counts[:, None]]
    return kept


def decode_brush(packed: Iterable[int], *, height: int, width: int) -> Mask:
    """What is drawn: values that are not transparent. Raises UnreadableExport."""
    bits = np.unpackbits(np.array(list(packed), np.uint8))
    if len(bits) < _HEAD_BITS or _number(bits[:32]) != height * width * 4:
        raise UnreadableExport(f"a brush of another size than the picture's {width}×{height}")
    word = _number(bits[32:37]) + 1
    sizes = [_number(bits[at : at + 4]) + 1 for at in range(37, _HEAD_BITS, 4)]
    values = np.zeros(height * width * 4, np.uint8)
    at, done = _HEAD_BITS, 0
    while done < len(values):
        size = sizes[_number(bits[at + 1 : at + 3])]
        count = _number(bits[at + 3 : at + 3 + size]) + 1
        apart = at >= len(bits) or not bits[at]  # else one value for the whole run
        at += 3 + size
        own = bits[at : at + word * (count if apart else 1)]
        if len(own) < word * (count if apart else 1):
            raise UnreadableExport("a brush ends within a run")
        values[done : done + count] = np.packbits(own.reshape(-1, word), axis=1)[: len(values) - done, 0]
        at, done = at + len(own), done + count
    inside: Mask = values.reshape(height, width, 4)[..., 3] > 0
    return inside


def _number(bits: NDArray[np.uint8]) -> int:
    number = 0
    for bit in bits.tolist():
        number = number << 1 | bit
    return number


def _read(tasks: Iterable[Any], returned: Returned) -> Iterator[Drawn]:
    try:
        for task in tasks:
            image = _image(task.get("data", task), returned)
            if image is not None and (results := _results(task)) is not None:
                yield Drawn(image, _drawn(results, image, returned))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableExport(f"no tasks of Label Studio: {type(error).__name__} {error}") from error


def _image(data: Mapping[str, Any], returned: Returned) -> Known | None:
    """By the name that the export gave it, else by the picture's address."""
    if "maskmill" in data:
        return returned.image(str(data["maskmill"]))
    address = urlsplit(str(data.get("image", "")))
    path = parse_qs(address.query).get("d", [unquote(address.path)])[0].removeprefix("/")
    return returned.file(path, path.removeprefix(PICTURES), *names_before(path))


def _results(task: Mapping[str, Any]) -> Sequence[Result] | None:
    """Of the newest annotation; where nobody annotated, of the prediction; None of a task that has neither, as one that
    was skipped."""
    all_of_them = task.get("annotations", task.get("completions"))
    versions = [each for each in all_of_them or () if not each.get("was_cancelled")]
    if not versions and not task.get("predictions"):
        if all_of_them is not None:
            return None
        raise UnreadableExport("a task has neither annotations nor predictions: of Label Studio's forms JSON has them")
    newest = max(versions, key=lambda each: str(each.get("updated_at", "")), default=None)
    chosen: Sequence[Result] = (newest or task["predictions"][0])["result"]
    return chosen


def _check_upright(degrees: object, image: Known) -> None:
    """Raises MaskMismatch: the points of some versions of the tool lie in the picture as it was turned there."""
    if isinstance(degrees, (int, float)) and degrees % 360:
        said = f"drawn on the picture turned by {degrees:g}° in Label Studio"
        raise MaskMismatch(f"{image.name}: {said}; turn it back there, and export it anew")


def _drawn(results: Sequence[Result], image: Known, returned: Returned) -> Ids:
    ids = returned.blank(image)
    for each in results:
        if (value := each.get("value")) is None:  # a relation between two others
            continue
        image.check_size(each.get("original_width"), each.get("original_height"), scaled="rle" not in value)
        _check_upright(each.get("image_rotation"), image)
        if each["type"] == "brushlabels":
            inside = decode_brush(value["rle"], height=image.height, width=image.width)
        elif each["type"] == "polygonlabels":
            points = np.array(value["points"], float) * (image.width / 100, image.height / 100)
            inside = mask_of([points], height=image.height, width=image.width)
        elif each["type"] in _UNREAD:
            raise UnreadableExport(f"{image.name}: brushes and polygons are read, not {each['type']}")
        else:
            continue
        ids[inside] = returned.labels.id_of(value[each["type"]][0], where=image.name)
    return ids
