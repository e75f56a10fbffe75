"""How exactly polygons follow the pixels: with fewer corners, and without small pieces, where that is wanted."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation.formats.contours import Region, Ring

Corners = NDArray[np.int64]  # (N, 2) x and y
Kept = NDArray[np.bool_]  # (N,) by corner


@dataclass(frozen=True, slots=True)
class Outlines:
    """tolerance: how far, in pixels, what is left out of a line may lie from it. min_area: pixels; smaller regions, and
    smaller holes, are left out. By default all is as it is.

    Polygons stay valid by OGC's simple features. Each is simplified by itself: those of neighbours may overlap, or
    leave gaps, up to the tolerance.
    """

    tolerance: float = 0.0
    min_area: int = 0

    def to_dict(self) -> dict[str, float]:
        return {"tolerance": self.tolerance, "min_area": self.min_area}

    def of(self, regions: Iterable[Region]) -> list[Region]:
        """The area of each is that of its pixels, and of the holes that it lost."""
        large = (_without_small_holes(each, self.min_area) for each in regions if each.area >= self.min_area)
        return [_simplified(each, self.tolerance) if self.tolerance else each for each in large]


EXACT = Outlines()


def _without_small_holes(region: Region, min_area: int) -> Region:
    outline, *holes = region.rings
    areas = [_area(each) for each in holes]
    if not any(area < min_area for area in areas):
        return region
    kept = [hole for hole, area in zip(holes, areas, strict=True) if area >= min_area]
    return replace(region, area=region.area + sum(area for area in areas if area < min_area), rings=[outline, *kept])


def _area(ring: Ring) -> int:
    """Of a ring along the edges of pixels: of its lines every second one is upright."""
    (x, y), (_, to_y) = np.array(ring[:-1]).T, np.array(ring[1:]).T
    return abs(int((x * (to_y - y)).sum()))


def _simplified(region: Region, tolerance: float) -> Region:
    simplifying = _Simplifying(region.rings, tolerance)
    return replace(region, rings=[simplifying.ring(number) for number in range(len(region.rings))])


class _Simplifying:
    """Of one polygon, by Douglas & Peucker (1973), "Algorithms for the reduction of the number of points required to
    represent a digitized line", and one condition more.

    A piece of a ring becomes a straight line only where the rectangle around the piece, along that line, holds no
    other corner of the polygon. What crossed the new line would have to pass through the rectangle from side to side,
    and so cross the piece that lies in it, which nothing does: no line crosses another after it, in whatever order
    pieces are straightened, and no ring changes its side. Rings that touch at a corner keep it; two never touch at a
    second one, which would part the polygon.
    """

    def __init__(self, rings: list[Ring], tolerance: float) -> None:
        self._rings = [np.array(ring, np.int64) for ring in rings]
        self._tolerance = tolerance
        self._first = np.cumsum([0, *(len(ring) - 1 for ring in rings)])
        corners = np.concatenate([ring[:-1] for ring in self._rings])
        order = np.argsort(corners[:, 0], kind="stable")
        self._by_x, self._numbers = corners[order], order
        self._x = np.ascontiguousarray(self._by_x[:, 0])

    def ring(self, number: int) -> Ring:
        ring = self._rings[number]
        keep = np.zeros(len(ring), bool)
        for begin, end in _sides(ring):
            keep[begin] = keep[end] = True
            pieces = [(begin, end)]
            while pieces:
                first, last = pieces.pop()
                at = self._split(number, first, last) if last - first > 1 else None
                if at is not None:
                    keep[at] = True
                    pieces += [(first, at), (at, last)]
        found: Ring = ring[keep].tolist()
        return found

    def _split(self, number: int, first: int, last: int) -> int | None:
        """The corner at which this piece of a ring is two; None where it may be straight."""
        piece = self._rings[number][first : last + 1]
        line = piece[-1] - piece[0]
        along, across = _along(piece - piece[0], line)
        length = float(line @ line)
        beyond = np.maximum(0, np.maximum(-along, along - length))
        away = np.hypot(across, beyond)[1:-1]
        farthest = 1 + int(away.argmax())
        if away[farthest - 1] > self._tolerance * math.sqrt(length):
            return first + farthest
        inner = range(int(self._first[number]) + first + 1, int(self._first[number]) + last)
        return first + farthest if self._is_in_the_way(piece, (along, across), inner) else None

    def _is_in_the_way(self, piece: Corners, places: tuple[Corners, Corners], inner: range) -> bool:
        """places: of the piece's corners, along and across its line. inner: the numbers of those between its ends."""
        begin, end = piece[0], piece[-1]
        (left, top), (right, bottom) = piece.min(axis=0), piece.max(axis=0)
        near = slice(np.searchsorted(self._x, left), np.searchsorted(self._x, right, side="right"))
        others = self._by_x[near]
        within = (others[:, 1] >= top) & (others[:, 1] <= bottom)
        if np.count_nonzero(within) == len(piece):
            return False
        numbers, others = self._numbers[near][within], others[within]
        (along, across), (own_along, own_across) = _along(others - begin, end - begin), places
        within = (along >= own_along.min()) & (along <= own_along.max())
        within &= (across >= own_across.min()) & (across <= own_across.max())
        within &= (numbers < inner.start) | (numbers >= inner.stop)
        at_an_end = (others == begin).all(axis=1) | (others == end).all(axis=1)
        return bool((within & ~at_an_end).any())


def _along(points: Corners, line: Corners) -> tuple[Corners, Corners]:
    """Of points from the line's beginning: how far along it and across it they are, times its length."""
    return points @ line, points[:, 1] * line[0] - points[:, 0] * line[1]


def _sides(ring: Corners) -> Iterator[tuple[int, int]]:
    """Three pieces of a closed ring whose ends are no line: simplified, they still enclose something."""
    from_first = ring[:-1] - ring[0]
    far = int((from_first**2).sum(axis=1).argmax())
    aside = int(np.abs(_along(from_first, from_first[far])[1]).argmax())
    first, second = sorted((far, aside))
    yield from ((0, first), (first, second), (second, len(ring) - 1))
