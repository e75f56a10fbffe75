"""The outlines of a label map's regions, along the edges of pixels, and back again. No loss in either direction.

A region is a set of pixels of one class that touch at their sides (not at corners only). Coordinates are corners of
pixels: x to the right, y down, (0, 0) the upper left corner of the picture.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ring = list[list[int]]  # [x, y] corners, the first repeated at the end

TOP, RIGHT, BOTTOM, LEFT = range(4)  # the sides of a pixel, in the order in which an outline goes round it

# By side: where its edge begins, as seen from the pixel's upper left corner; and the step (x, y) along it.
BEGINNING = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
ALONG = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True, slots=True)
class Region:
    """rings: the outline, then the holes; none touches itself, though two may touch at a corner, as OGC's simple
    features ask for. By the shoelace formula an outline's area is positive, a hole's negative."""

    class_id: int
    area: int
    rings: list[Ring]


def trace_regions(ids: NDArray[np.uint8]) -> list[Region]:
    """ids: (H, W) class ids. Every region, in the order of its first pixel (row by row)."""
    edges = _edges(ids)
    rings, ring_of_edge = _rings(edges, _following(ids, edges), ids.shape[1])
    areas = _areas(edges, ring_of_edge, ids.shape[1])
    outlines = _outlines(edges, ring_of_edge, areas, ids.shape[1])
    regions: dict[int, list[int]] = {}
    for ring, outline in enumerate(outlines):  # an outline is met before its holes: its first edge comes first
        regions.setdefault(outline, []).append(ring)
    _, first_edge = np.unique(ring_of_edge, return_index=True)
    class_of = ids.ravel()[edges[first_edge] // 4].tolist()
    return [
        Region(class_of[outline], sum(areas[each] for each in members), _simple([rings[each] for each in members]))
        for outline, members in regions.items()
    ]


def fill_regions(regions: list[Region], *, height: int, width: int, background: int) -> NDArray[np.int64]:
    """(H, W) class ids, `background` where no region is. Regions must not overlap.

    Raises ValueError for a corner outside the picture, or a line that is neither horizontal nor vertical.
    """
    steps = np.zeros((height + 1, width + 1), dtype=np.int64)
    for region in regions:
        for ring in region.rings:
            _add_ring(steps, np.array(ring), region.class_id - background)
    return background + steps.cumsum(axis=0).cumsum(axis=1)[:height, :width]


def _edges(ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    """4 · pixel + side of each side that borders another class or the picture's border; ascending."""
    borders = np.ones((*ids.shape, 4), dtype=bool)
    borders[1:, :, TOP] = borders[:-1, :, BOTTOM] = ids[1:] != ids[:-1]
    borders[:, 1:, LEFT] = borders[:, :-1, RIGHT] = ids[:, 1:] != ids[:, :-1]
    return np.flatnonzero(borders)


def _following(ids: NDArray[np.uint8], edges: NDArray[np.int64]) -> list[int]:
    """For each edge the index of the one that follows it, with the region on the right hand."""
    width = ids.shape[1]
    padded = np.pad(ids.astype(np.int16), 1, constant_values=-1)
    following = np.empty_like(edges)
    pixels, sides = np.divmod(edges, 4)
    for side, (dx, dy) in enumerate(ALONG):
        own = np.flatnonzero(sides == side)
        y, x = np.divmod(pixels[own], width)
        class_id = padded[y + 1, x + 1]
        ahead = padded[y + 1 + dy, x + 1 + dx] == class_id
        outer = padded[y + 1 + dy - dx, x + 1 + dx + dy] == class_id  # ahead, then one to the left hand
        straight = pixels[own] + dy * width + dx
        turned_left = straight - dx * width + dy
        following[own] = np.where(
            ahead & outer,
            turned_left * 4 + (side - 1) % 4,
            np.where(ahead, straight * 4 + side, pixels[own] * 4 + (side + 1) % 4),
        )
    indices: list[int] = np.searchsorted(edges, following).tolist()
    return indices


def _rings(edges: NDArray[np.int64], following: list[int], width: int) -> tuple[list[Ring], NDArray[np.int64]]:
    """The closed paths along the edges, and for each edge the index of its path."""
    pixels, sides = np.divmod(edges, 4)
    y, x = np.divmod(pixels, width)
    corners: list[list[int]] = (np.stack([x, y], axis=1) + BEGINNING[sides]).tolist()
    side_of: list[int] = sides.tolist()
    ring_of_edge = [-1] * len(side_of)
    rings: list[Ring] = []
    for first in range(len(side_of)):
        if ring_of_edge[first] >= 0:
            continue
        ring: Ring = []
        edge, side = first, -1
        while ring_of_edge[edge] < 0:
            ring_of_edge[edge] = len(rings)
            if side_of[edge] != side:
                ring.append(corners[edge])
                side = side_of[edge]
            edge = following[edge]
        rings.append(_closed(ring, straight=side == side_of[first]))
    return rings, np.array(ring_of_edge, dtype=np.int64)


def _closed(ring: Ring, *, straight: bool) -> Ring:
    if straight:  # the walk began in the middle of a line
        ring = ring[1:]
    return [*ring, ring[0]]


def _simple(rings: list[Ring]) -> list[Ring]:
    """The same lines as rings that pass no corner twice. An outline that touches itself there encloses a hole, and a
    hole that does is two: the region lies on the right hand throughout, and hangs together by sides of pixels."""
    pieces = [piece for ring in rings for piece in _pieces(ring)]
    if len(pieces) > len(rings):
        pieces.sort(key=_shoelace, reverse=True)  # the outline alone is positive
    return pieces


def _pieces(ring: Ring) -> list[Ring]:
    corners = [(x, y) for x, y in ring[:-1]]
    if len(set(corners)) == len(corners):
        return [ring]
    pieces: list[Ring] = []
    walked: list[list[int]] = []
    place: dict[tuple[int, int], int] = {}
    for corner in [*corners, corners[0]]:
        first = place.get(corner)
        if first is not None:
            loop = walked[first:]
            pieces.append([*loop, loop[0]])
            for x, y in loop:
                del place[x, y]
            del walked[first:]
        place[corner] = len(walked)
        walked.append(list(corner))
    return pieces


def _shoelace(ring: Ring) -> int:
    """Twice the area."""
    return sum(x * to_y - to_x * y for (x, y), (to_x, to_y) in pairwise(ring))


def _areas(edges: NDArray[np.int64], ring_of_edge: NDArray[np.int64], width: int) -> list[int]:
    """The shoelace sum of each ring: x · step in y, which only the left and right sides have."""
    pixels, sides = np.divmod(edges, 4)
    x = pixels % width
    shares = np.where(sides == RIGHT, x + 1, np.where(sides == LEFT, -x, 0))
    sums = np.zeros(int(ring_of_edge.max()) + 1, dtype=np.int64)
    np.add.at(sums, ring_of_edge, shares)
    areas: list[int] = sums.tolist()
    return areas


def _outlines(edges: NDArray[np.int64], ring_of_edge: NDArray[np.int64], areas: list[int], width: int) -> list[int]:
    """For each ring the outline of its region: itself, or for a hole the ring to its left, and so on.

    From the leftmost side of a hole the region goes on to the left, up to its outline or another of its holes, which
    reaches further to the left; so every chain ends at the outline.
    """
    left_edges = edges[edges % 4 == LEFT]
    outlines = list(range(len(areas)))
    holes = [ring for ring, area in enumerate(areas) if area < 0]
    for hole, pixel in zip(holes, _leftmost_pixels(edges, ring_of_edge, np.array(holes), width), strict=True):
        reached = left_edges[np.searchsorted(left_edges, pixel * 4 + LEFT, side="right") - 1]
        outlines[hole] = int(ring_of_edge[np.searchsorted(edges, reached)])
    for hole in holes:
        while areas[outlines[hole]] < 0:
            outlines[hole] = outlines[outlines[hole]]
    return outlines


def _leftmost_pixels(
    edges: NDArray[np.int64], ring_of_edge: NDArray[np.int64], holes: NDArray[np.int64], width: int
) -> list[int]:
    """For each hole the pixel beside its leftmost side; `holes` ascend."""
    beside = np.flatnonzero((edges % 4 == RIGHT) & np.isin(ring_of_edge, holes))
    pixels, rings = edges[beside] // 4, ring_of_edge[beside]
    order = np.lexsort((pixels % width, rings))
    _, first = np.unique(rings[order], return_index=True)
    leftmost: list[int] = pixels[order][first].tolist()
    return leftmost


def _add_ring(steps: NDArray[np.int64], ring: NDArray[np.int64], value: int) -> None:
    """Add `value` right of what a ring's lines go up along, and take it away right of what they go down along."""
    if ring.ndim != 2 or ring.shape[1] != 2 or ring.dtype.kind != "i":
        raise ValueError("a ring must be a list of [x, y] in whole pixels")
    if ring.min() < 0 or np.any(ring.max(axis=0) >= steps.shape[::-1]):
        raise ValueError("a ring leaves the picture")
    (x, y), (to_x, to_y) = ring[:-1].T, ring[1:].T
    if np.any((x != to_x) & (y != to_y)):
        raise ValueError("a ring has a line that is neither horizontal nor vertical")
    upright = x == to_x
    np.add.at(steps, (to_y[upright], x[upright]), value)
    np.add.at(steps, (y[upright], x[upright]), -value)
