"""Cityscapes' layout: `labelIds`, colours and polygons of each picture, `instanceIds` where instances are asked for.

Polygons are painted in their order, one over the other: a region before what lies in its holes. Source:
cityscapesScripts (Cordts et al. 2016), `README.md` and `preparation/json2labelImg.py`.
"""

import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from PIL import Image

from segmentation.errors import UnreadableExport
from segmentation.exports.documents import compact
from segmentation.exports.export import Drawn, Exported, File, Ids, Returned
from segmentation.exports.shapes import colour_png, palette_png, placed, read_ids
from segmentation.formats.contours import Region, trace_regions
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from segmentation.masks.mask_check import inspect_mask
from segmentation.palette import palette

FOLDER, ENDING = "gtFine", "_gtFine_labelIds"
SHOWN = "_leftImg8bit"  # how names of its pictures end
CITY = "maskmill"  # of images without a folder; one that is called so, or so with `_` behind, gets one `_` more
_CITIES = re.compile(rf"{CITY}_*/")
COUNTED_GROUPS = ("human", "vehicle")  # whose instances Cityscapes tells apart
MOST_OF_A_CLASS = 1000


class Cityscapes:
    name = "cityscapes"
    title = "Cityscapes"
    by_rows = False

    def check(self, space: LabelSpace) -> None:
        space.remapping_to(CITYSCAPES_34)

    def files(self, exported: Exported) -> Iterator[File]:
        table = exported.space.remapping_to(CITYSCAPES_34)
        names = {image.name for image in exported.images()}
        for image in exported.images():
            label_ids = LabelMap(table[image.read().ids], CITYSCAPES_34)
            path = f"{FOLDER}/train/{_within(image.name, names)}_gtFine"
            grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
            yield File(f"{path}_labelIds.png", palette_png(label_ids.ids, grey))
            yield File(f"{path}_color.png", colour_png(label_ids.ids, palette(CITYSCAPES_34)))
            regions = trace_regions(label_ids.ids)
            yield File(f"{path}_polygons.json", _polygons(label_ids, regions))
            if exported.instances:
                yield File(f"{path}_instanceIds.png", _instances(label_ids, regions))

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"leftImg8bit/train/{_within(name, names)}{SHOWN}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(name.endswith(f"{ENDING}.png") for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        table = CITYSCAPES_34.remapping_to(returned.space)
        for path, read in returned.files.items():
            if path.endswith(f"{ENDING}.png"):
                bare = path.removesuffix(f"{ENDING}.png")
                _, found, behind = f"/{bare}".partition(f"/{FOLDER}/")
                name = _without_city((behind if found else bare).partition("/")[2]) or path
                image = returned.image(name, f"{name}{SHOWN}")
                if image is not None:
                    yield Drawn(image, table[_known(read_ids(read()), path)])


def _known(ids: Ids, path: str) -> Ids:
    """Raises UnreadableExport for ids that Cityscapes does not have: its table leads them to void."""
    report = inspect_mask(ids, CITYSCAPES_34)
    if report.unknown:
        hint = f"; {report.hint}" if report.hint else ""
        raise UnreadableExport(f"{path}: Cityscapes has no label {report.unknown_text()}{hint}")
    return ids


def _within(name: str, names: Collection[str]) -> str:
    """City and name of an image. Readers take `x_leftImg8bit` and `x_gtFine` for a pair."""
    folder, _, stem = name.rpartition("/")
    plain = stem.removesuffix(SHOWN)
    taken = not plain or (plain != stem and f"{folder}/{plain}".lstrip("/") in names)
    city = folder.replace(CITY, f"{CITY}_", 1) if _CITIES.match(f"{folder}/") else folder or CITY
    return f"{city}/{stem if taken else plain}"


def _without_city(name: str) -> str:
    """A name within its split, as its image is called."""
    city, _, rest = name.partition("/")
    if not _CITIES.match(name):
        return name
    return rest if city == CITY else f"{city[:-1]}/{rest}"


def _polygons(label_map: LabelMap, regions: list[Region]) -> bytes:
    ordered = sorted(regions, key=lambda each: -_enclosed(each))
    objects = [{"label": label_map.space.name_of(each.class_id), "polygon": each.rings[0][:-1]} for each in ordered]
    document: dict[str, Any] = {"imgHeight": label_map.height, "imgWidth": label_map.width, "objects": objects}
    return compact(document)


def _enclosed(region: Region) -> int:
    """Twice the area within the outline, holes included."""
    x, y = np.array(region.rings[0]).T
    return int((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def _instances(label_map: LabelMap, regions: list[Region]) -> bytes:
    """1000 · id + number for what is counted, the plain id for everything else."""
    ids = label_map.ids.astype(np.uint16)
    seen: Counter[int] = Counter()
    for region in sorted(regions, key=lambda each: -each.area):
        class_id = region.class_id
        if label_map.space.by_id[class_id].group in COUNTED_GROUPS and seen[class_id] < MOST_OF_A_CLASS:
            rows, columns, own = placed(region)
            ids[rows, columns][own] = class_id * 1000 + seen[class_id]
            seen[class_id] += 1
    file = io.BytesIO()
    Image.fromarray(ids).save(file, format="png", compress_level=1)
    return file.getvalue()
