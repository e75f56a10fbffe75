"""What is drawn on: a picture and a label map, both supersampled, with the same outlines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scenes.drawing.camera import SUPERSAMPLING, Points

Colour = tuple[float, float, float]
Box = tuple[float, float, float, float]


class Canvas:
    """Positions are supersampled pixels; colours 0..255; a label of None leaves the label map as it is."""

    def __init__(self, rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        height, width = labels.shape
        self.size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        self.picture = Image.fromarray(rgb).resize(self.size, Image.Resampling.NEAREST)
        self.labels = Image.fromarray(labels).resize(self.size, Image.Resampling.NEAREST)
        self._paint = ImageDraw.Draw(self.picture)
        self._mark = ImageDraw.Draw(self.labels)

    def polygon(self, points: Points | Sequence[tuple[float, float]], colour: Colour, label: int | None) -> None:
        if len(points) < 3:
            return
        flat = points.ravel().tolist() if isinstance(points, np.ndarray) else points
        self._paint.polygon(flat, fill=rounded(colour))
        if label is not None:
            self._mark.polygon(flat, fill=label)

    def polygons(self, outlines: list[list[float]], colours: list[list[int]], label: int) -> None:
        """Many polygons at once, each as x, y, x, y, …, in this order."""
        for outline, colour in zip(outlines, colours, strict=True):
            self._paint.polygon(outline, fill=tuple(colour))
            self._mark.polygon(outline, fill=label)

    def mark(self, points: Points, label: int) -> None:
        """An outline in the label map alone."""
        self._mark.polygon(np.clip(points, -20000, 20000).ravel().tolist(), fill=label)

    def mark_ellipse(self, box: Box, label: int) -> None:
        """An ellipse in the label map alone."""
        self._mark.ellipse(box, fill=label)

    def ellipse(self, box: Box, colour: Colour, label: int | None) -> None:
        self._paint.ellipse(box, fill=rounded(colour))
        if label is not None:
            self._mark.ellipse(box, fill=label)

    def line(self, points: Sequence[tuple[float, float]], width: float, colour: Colour, label: int | None) -> None:
        flat = [value for point in points for value in point]
        wide = max(1, round(width))
        self._paint.line(flat, fill=rounded(colour), width=wide, joint="curve")
        if label is not None:
            self._mark.line(flat, fill=label, width=wide, joint="curve")

    def sprite(self, images: tuple[Image.Image, Image.Image], box: Box, label: int, table: list[int] | None) -> None:
        """Paste a picture (RGB) and its coverage (L), scaled into box (left, top, right, bottom).

        The label goes where at least half is covered; table: applied to the picture's values (Image.point).
        """
        picture, cover = images
        cut = _cut(box, self.size, picture.size)
        if cut is None:
            return
        visible, source = cut
        size = (visible[2] - visible[0], visible[3] - visible[1])
        part = picture.resize(size, Image.Resampling.BILINEAR, box=source, reducing_gap=2.0)
        alpha = cover.resize(size, Image.Resampling.BILINEAR, box=source, reducing_gap=2.0)
        self.picture.paste(part if table is None else part.point(table), visible[:2], alpha)
        self.labels.paste(label, visible, alpha.point(_HALF))

    def stencil(self, mask: Image.Image, box: Box, label: int) -> None:
        """A grey picture, scaled into box, in the label map alone: labelled where it is at least half bright."""
        cut = _cut(box, self.size, mask.size)
        if cut is not None:
            visible, source = cut
            size = (visible[2] - visible[0], visible[3] - visible[1])
            self.labels.paste(label, visible, mask.resize(size, Image.Resampling.BILINEAR, box=source).point(_HALF))

    def textured(self, corners: Points, texture: Image.Image, label: int | None, outline: Points | None = None) -> None:
        """Map a picture onto a quadrilateral in perspective.

        corners: (4, 2) where the texture's top left, top right, bottom right and bottom left come to lie.
        outline: what of it is painted (M, 2); all of it by default.
        """
        shape = corners if outline is None else outline
        if len(shape) < 3:
            return
        low, high = shape.min(axis=0), shape.max(axis=0)
        visible = _visible((low[0], low[1], high[0] + 1, high[1] + 1), self.size)
        coefficients = _homography(corners, texture.size) if visible else None
        if visible is None or coefficients is None:
            return
        left, top, right, bottom = visible
        size = (right - left, bottom - top)
        moved = _moved(coefficients, left, top)
        edge = texture.getpixel((0, texture.height // 2))  # for pixels that lie partly beside it
        fine = texture.width * texture.height > size[0] * size[1]  # supersampling smooths what is scaled down
        resampling = Image.Resampling.NEAREST if fine else Image.Resampling.BILINEAR
        part = texture.transform(size, Image.Transform.PERSPECTIVE, moved, resampling, fillcolor=edge)
        mask = Image.new("L", size)
        flat = (shape - (left, top)).ravel().tolist()
        ImageDraw.Draw(mask).polygon(flat, fill=255)
        self.picture.paste(part, (left, top), mask)
        if label is not None:
            self.labels.paste(label, (left, top, right, bottom), mask)

    def finished(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture (H, W, 3) and the label map (H, W) at their final size."""
        picture = np.asarray(self.picture.reduce(SUPERSAMPLING))
        labels = np.asarray(self.labels)[SUPERSAMPLING // 2 :: SUPERSAMPLING, SUPERSAMPLING // 2 :: SUPERSAMPLING]
        return picture, np.ascontiguousarray(labels)


_HALF = [0] * 128 + [255] * 128


def rounded(colour: Colour) -> tuple[int, int, int]:
    """Whole numbers for Pillow, which cuts them to 0..255 itself."""
    return int(colour[0]), int(colour[1]), int(colour[2])


def _visible(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    right, bottom = min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _cut(
    box: Box, size: tuple[int, int], image: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[float, float, float, float]] | None:
    """The part of a box that lies on the canvas, and the part of an image, scaled into that box, that comes there."""
    visible = _visible(box, size)
    if visible is None or box[2] - box[0] < 1 or box[3] - box[1] < 1:
        return None
    across, down = image[0] / (box[2] - box[0]), image[1] / (box[3] - box[1])
    source = (
        max(0.0, (visible[0] - box[0]) * across),
        max(0.0, (visible[1] - box[1]) * down),
        min(float(image[0]), (visible[2] - box[0]) * across),
        min(float(image[1]), (visible[3] - box[1]) * down),
    )
    return (visible, source) if source[2] - source[0] > 1e-2 and source[3] - source[1] > 1e-2 else None


def _homography(corners: Points, size: tuple[int, int]) -> Points | None:
    """The eight numbers that take canvas positions to texture positions; None for a quadrilateral without area."""
    width, height = size
    targets = ((0, 0), (width, 0), (width, height), (0, height))
    rows, values = [], []
    for (x, y), (u, v) in zip(corners.tolist(), targets, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        values += [u, v]
    try:
        return np.linalg.solve(np.array(rows), np.array(values, dtype=np.float64))
    except np.linalg.LinAlgError:
        return None


def _moved(c: Points, left: int, top: int) -> list[float]:
    """The same map for positions counted from (left, top)."""
    scale = c[6] * left + c[7] * top + 1
    moved = [
        c[0], c[1], c[0] * left + c[1] * top + c[2],
        c[3], c[4], c[3] * left + c[4] * top + c[5],
        c[6], c[7],
    ]  # fmt: skip
    return [float(value / scale) for value in moved]
