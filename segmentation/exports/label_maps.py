"""CVAT's "Segmentation mask 1.1" and Pascal VOC: palette PNGs of classes (and instances), and a list of names.

Sources: CVAT's documentation, "Segmentation Mask"; VOC2012 development kit, section 2.4 (255 counts nowhere).
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from segmentation.errors import UnavailableExport, UnreadableExport
from segmentation.exports.export import Drawn, Exported, File, Ids, Returned
from segmentation.exports.labels import BACKGROUND, IGNORED_COLOUR, Labels
from segmentation.exports.shapes import (
    ids_of_numbers,
    instance_numbers,
    mask_png,
    palette_png,
    read_colours,
    read_ids,
    regions_of,
)
from segmentation.label_space import RGB, LabelSpace
from segmentation.palette import BLACK, voc_palette

IGNORED = 255
MOST = IGNORED - 1  # classes, whose numbers begin at 1
CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"


class LabelMapExport:
    """The index of a pixel is its class's number. unlabelled: what pixels of the void id get, 0 or 255."""

    by_rows = True

    def __init__(self, name: str, title: str, *, unlabelled: int, list_name: str) -> None:
        self.name, self.title = name, title
        self._unlabelled = unlabelled
        self._list = list_name

    def check(self, space: LabelSpace) -> None:
        if (count := len(Labels.of(space).all)) > MOST:
            raise UnavailableExport(f"{self.title} takes {MOST} classes, {space.name} has {count}")

    def files(self, exported: Exported) -> Iterator[File]:
        labels = exported.labels
        yield File("labelmap.txt", _label_map(labels, ignores=self._unlabelled == IGNORED))
        names = (f"{image.name}\n".encode() for image in exported.images())
        yield File(f"ImageSets/Segmentation/{self._list}.txt", names)
        numbers, palette = labels.numbers.copy(), labels.palette.copy()
        numbers[labels.void_id] = self._unlabelled
        palette[IGNORED] = IGNORED_COLOUR
        for image in exported.images():
            yield File(f"{CLASSES}/{image.name}.png", mask_png(image, palette, numbers))
            if exported.instances:
                label_map = image.read()
                objects = instance_numbers(regions_of(label_map), label_map.ids.shape)
                yield File(f"{OBJECTS}/{image.name}.png", palette_png(objects, voc_palette()))

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"JPEGImages/{name}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(f"/{CLASSES}/" in f"/{name}" for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        described = returned.document("labelmap.txt")
        colours = None if described is None else _colours(described, returned.labels)
        for name, read in returned.named(".png", folder=CLASSES):
            image = returned.image(name)
            if image is not None:
                try:
                    ids = _ids(read(), colours, returned.labels)
                except UnreadableExport as error:
                    raise UnreadableExport(f"{CLASSES}/{name}.png: {error}") from error
                yield Drawn(image, ids)


class _Colours(NamedTuple):
    """refused: why a colour is no class's, of those that the list has. A mask may do without them."""

    ids: Mapping[RGB, int]
    refused: Mapping[RGB, str]


def _ids(data: bytes, colours: _Colours | None, labels: Labels) -> Ids:
    if colours is None:
        return ids_of_numbers(read_ids(data), labels)
    return read_colours(data, colours.ids, refused=colours.refused)


def _label_map(labels: Labels, *, ignores: bool) -> bytes:
    lines = ["# label:color_rgb:parts:actions", f"{BACKGROUND}:0,0,0::"]
    lines += [f"{each.name}:{','.join(map(str, each.colour))}::" for each in labels.all]
    if ignores:
        lines.append(f"ignored:{','.join(map(str, IGNORED_COLOUR))}::")
    return "\n".join([*lines, ""]).encode()


def _colours(described: bytes, labels: Labels) -> _Colours:
    """Raises UnreadableExport for a line without a colour."""
    found: dict[RGB, int] = {}
    refused: dict[RGB, str] = {}
    for line in described.decode("utf-8", "replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(part) for part in rest.partition(":")[0].split(","))
        except ValueError as error:
            raise UnreadableExport(f"labelmap.txt: no colour in {line[:80]!r}") from error
        colour = (red, green, blue)
        if colour == IGNORED_COLOUR and name.strip().casefold() == "ignored":
            continue  # a class may be called so, too
        try:
            class_id = labels.id_of(name)
        except UnreadableExport as error:
            refused[colour] = f"labelmap.txt: {error}"
            continue
        if found.setdefault(colour, class_id) != class_id:
            refused[colour] = f"labelmap.txt: {name.strip()} has the colour of another class"
    return _Colours({BLACK: labels.void_id, IGNORED_COLOUR: labels.void_id, **found}, refused)
