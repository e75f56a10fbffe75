"""Regions as polygons of one ring, as most tools want them, and polygons, also such as people drew, back to pixels."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import SegmentationError, UnreadableExport
from segmentation.exports.export import MAX_PIXELS, Labelled
from segmentation.exports.labels import Labels
from segmentation.formats.contours import Region, Ring, trace_regions
from segmentation.formats.png_file import png_pieces
from segmentation.label_map import LabelMap
from segmentation.label_space import RGB, LabelSpace
from segmentation.masks.mask_colours import decode_colours
from segmentation.masks.mask_palette import check_palette
from segmentation.picture_files.pictures import decode_mask

Mask = NDArray[np.bool_]  # (H, W)
Corners = Sequence[Sequence[float]] | NDArray[np.number[Any]]  # (x, y) each
_CROSSINGS_AT_ONCE = 1 << 18


def regions_of(label_map: LabelMap) -> list[Region]:
    """What is labelled: without regions of the void id."""
    return [each for each in trace_regions(label_map.ids) if each.class_id != label_map.space.void_id]


def single_ring(region: Region) -> Ring:
    """The region as one ring, not closed: each hole is reached from the corner nearest to its first, and left again.

    The line in between encloses nothing, so what counts crossings (COCO, Label Studio, YOLO's tools) sees the hole.
    """
    outline, *holes = ([tuple(corner) for corner in ring[:-1]] for ring in region.rings)
    joined = np.array(outline)
    for hole in holes:
        corners = np.array(hole)
        at = int(((joined - corners[0]) ** 2).sum(axis=1).argmin())
        joined = np.concatenate([joined[: at + 1], corners, corners[:1], joined[at:]])
    ring: Ring = joined.tolist()
    return ring


def mask_of(rings: Iterable[Corners], *, height: int, width: int) -> Mask:
    """Pixels whose centre lies within an odd number of these rings; corners are (x, y), each ring closed or not.

    Raises UnreadableExport for what is no ring.
    """
    crossings = np.zeros((height, width + 1), np.uint8)
    for ring in rings:
        corners = np.array(ring, np.float64)
        if corners.ndim != 2 or corners.shape[1:] != (2,) or not np.isfinite(corners).all():
            raise UnreadableExport("a polygon must be a list of finite [x, y]")
        _cross(crossings, corners, np.roll(corners, -1, axis=0))
    crossings &= 1
    inside: Mask = np.bitwise_xor.accumulate(crossings, axis=1)[:, :width].astype(bool)
    return inside


def _cross(crossings: NDArray[np.uint8], ends: NDArray[np.float64], others: NDArray[np.float64]) -> None:
    """Count, in each row whose middle a line goes through, one at the pixel behind it: modulo 256, as odd is odd.

    crossings: (H, W + 1), in one piece. ends, others: (N, 2) of the lines. A few of them are looked at at a time:
    thousands that go through all rows would not fit into memory.
    """
    height, width = crossings.shape[0], crossings.shape[1] - 1
    at_once = max(1, _CROSSINGS_AT_ONCE // max(1, height))
    for first in range(0, len(ends), at_once):
        pair = np.stack([ends[first : first + at_once], others[first : first + at_once]])
        upper = (pair[0, :, 1] > pair[1, :, 1]).astype(np.intp)
        line = np.arange(len(upper))
        (x, y), (to_x, to_y) = pair[upper, line].T, pair[1 - upper, line].T
        begin, end = (np.clip(np.ceil(each - 0.5), 0, height).astype(np.int64) for each in (y, to_y))
        line = np.repeat(line, end - begin)
        rows = np.arange(len(line)) - np.repeat(np.cumsum(end - begin) - end, end - begin)
        at = x[line] + (rows + 0.5 - y[line]) * ((to_x[line] - x[line]) / (to_y[line] - y[line]))
        columns = np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)
        np.add.at(crossings.reshape(-1), rows * (width + 1) + columns, 1)


def placed(region: Region) -> tuple[slice, slice, Mask]:
    """Rows and columns around a region, and its pixels within them."""
    outline = np.array(region.rings[0])
    (left, top), (right, bottom) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
    moved = [np.array(ring[:-1]) - (left, top) for ring in region.rings]
    return slice(top, bottom), slice(left, right), mask_of(moved, height=bottom - top, width=right - left)


def instance_numbers(regions: Sequence[Region], shape: tuple[int, ...], *, most: int = 255) -> NDArray[np.uint8]:
    """(H, W) a number from 1 for each region; 0 is unlabelled. Beyond `most` the smallest of a class share a number."""
    numbers = np.zeros(shape, np.uint8)
    shared: dict[int, int] = {}
    alone = most if len(regions) <= most else most - len({each.class_id for each in regions})
    for count, region in enumerate(sorted(regions, key=lambda each: -each.area)):
        number = count + 1 if count < alone else shared.setdefault(region.class_id, alone + len(shared) + 1)
        rows, columns, own = placed(region)
        numbers[rows, columns][own] = number
    return numbers


def mask_png(image: Labelled, palette: NDArray[np.uint8], table: NDArray[np.uint8]) -> bytes | Iterator[bytes]:
    """palette: (256, 3). table: (256,) from class ids to what is written; where the map is not held, in pieces."""
    if image.rows is None:
        return palette_png(table[image.read().ids], palette)
    return png_pieces((table[band] for band in image.rows()), (image.height, image.width), palette)


def palette_png(ids: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """palette: (256, 3)."""
    picture = Image.fromarray(ids)
    picture.putpalette(palette.tobytes())
    return _png(picture)


def colour_png(numbers: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """colours: (256, 3)."""
    return _png(Image.fromarray(colours[numbers]))


def read_colours(data: bytes, ids: Mapping[RGB, int], *, refused: Mapping[RGB, str]) -> NDArray[np.uint8]:
    """(H, W) class ids from a picture in these colours. refused: colours that it must not have, and why.

    Raises UnreadableExport, also for another colour and for what is transparent.
    """
    try:
        pixels = decode_colours(data, max_pixels=MAX_PIXELS).astype(np.uint32)
    except SegmentationError as error:
        raise UnreadableExport(str(error)) from error
    codes = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    present, places = np.unique(codes, return_inverse=True)
    known = {_code(colour): class_id for colour, class_id in ids.items() if colour not in refused}
    strange = [code for code in present.tolist() if code not in known]
    if strange:
        told = {_code(colour): f": {why}" for colour, why in refused.items()}.get(strange[0], " is no class's")
        raise UnreadableExport(f"the colour #{strange[0]:06x}{told}")
    return np.array([known[code] for code in present.tolist()], np.uint8)[places].reshape(codes.shape)


def _code(colour: RGB) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def read_ids(data: bytes, space: LabelSpace | None = None) -> NDArray[np.uint8]:
    """space: of the ids, where a palette says what they are. Raises UnreadableExport."""
    try:
        ids = decode_mask(data, max_pixels=MAX_PIXELS)
        if space is not None:
            check_palette(data, ids, space)
        return ids
    except SegmentationError as error:
        raise UnreadableExport(str(error)) from error


def ids_of_numbers(numbers: NDArray[np.uint8], labels: Labels) -> NDArray[np.uint8]:
    """255 counts as unlabelled. Raises UnreadableExport for a number that no class has."""
    known = np.zeros(256, bool)
    table = np.full(256, labels.void_id, np.uint8)
    known[[0, 255]] = True
    for each in labels.all:
        table[each.number], known[each.number] = each.id, True
    if not known[numbers].all():
        raise UnreadableExport(f"the number {int(numbers[~known[numbers]][0])} is no class's")
    return table[numbers]


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="png", compress_level=1)
    return file.getvalue()
