"""The shapes of plants, in grey: a small library that is grown once per process and coloured per scene."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from scenes.drawing.noise import value_noise

SIZE = 448  # pixels from the foot to the top
VARIANTS = {"leafy": 10, "tall": 3, "conifer": 3, "bush": 4, "bare": 6}
TRUNK_SHARE = {"leafy": 0.3, "tall": 0.1, "conifer": 0.1, "bush": 0.0, "bare": 0.28}
CLUSTERS = 74  # of leaves on each ball of a crown


@dataclass(frozen=True, slots=True)
class Shape:
    """Grey pictures of one size: brightness and coverage of leaves, brightness of wood; light comes from the left."""

    leaves: Image.Image
    leaf_cover: Image.Image
    wood: Image.Image
    cover: Image.Image  # of both
    outline: Image.Image  # small; what a person would mark as the plant

    @property
    def ratio(self) -> float:
        """Width over height."""
        return self.leaves.width / self.leaves.height


@cache
def shape(kind: str, variant: int) -> Shape:
    """kind: a key of VARIANTS; the same arguments always give the same plant."""
    rng = np.random.Generator(np.random.PCG64([SIZE, variant, *kind.encode()]))
    ratio = {
        "leafy": (0.72, 1.0),
        "tall": (0.34, 0.46),
        "conifer": (0.4, 0.52),
        "bush": (1.1, 1.7),
        "bare": (0.7, 0.95),
    }
    width = round(SIZE * rng.uniform(*ratio[kind]))
    wood, wood_cover = _grow_wood(rng, kind, width)
    leaves, leaf_cover = Image.new("L", (width, SIZE)), Image.new("L", (width, SIZE))
    if kind != "bare":
        _grow_crown(rng, kind, leaves, leaf_cover)
        leaves, leaf_cover = _ruffle(rng, leaves, leaf_cover)
    cover = Image.fromarray(np.maximum(np.asarray(leaf_cover), np.asarray(wood_cover)))
    return Shape(leaves, leaf_cover, wood, cover, _outline(cover))


def _outline(cover: Image.Image) -> Image.Image:
    """Small holes between leaves and twigs are closed."""
    small = cover.resize((max(4, cover.width // 6), cover.height // 6), Image.Resampling.BOX)
    solid = small.point([0] * 30 + [255] * 226)
    return solid.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))


def _grow_crown(rng: np.random.Generator, kind: str, leaves: Image.Image, cover: Image.Image) -> None:
    """Balls of leaf clusters from back to front; each starts as a dark disc, which leaves shade between the balls."""
    paint, mask = ImageDraw.Draw(leaves), ImageDraw.Draw(cover)
    for x, y, radius in _balls(rng, kind, leaves.width):
        _disc(paint, mask, (x, y, radius * 0.86), 34)
        for _ in range(CLUSTERS):
            turn, away = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            nx, ny = np.cos(turn) * away, np.sin(turn) * away
            nz = np.sqrt(max(0.0, 1 - nx * nx - ny * ny))
            facing = max(0.0, -0.5 * nx - 0.62 * ny + 0.5 * nz)
            low = 0.75 + 0.25 * (1 - y / SIZE)
            light = (52 + 150 * facing) * low + rng.normal(0, 16)
            spot = (x + nx * radius, y + ny * radius, radius * rng.uniform(0.09, 0.2))
            _disc(paint, mask, spot, int(np.clip(light, 12, 250)))


def _disc(paint: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, disc: tuple[float, float, float], light: int) -> None:
    x, y, radius = disc
    box = (x - radius, y - radius * 0.8, x + radius, y + radius * 0.8)
    paint.ellipse(box, fill=light)
    mask.ellipse(box, fill=255)


def _balls(rng: np.random.Generator, kind: str, width: int) -> list[tuple[float, float, float]]:
    """Centre x, y and radius in pixels, from back to front."""
    crown = SIZE * (1 - TRUNK_SHARE[kind] * 0.9)
    middle = width / 2
    balls = []
    for _ in range(int(rng.integers(20, 30)) if kind != "bush" else 22):
        down, side = rng.random(), rng.uniform(-1, 1)
        if kind == "conifer":
            reach = (0.1 + 0.9 * down) * width * 0.36
            radius = width * (0.07 + 0.09 * down)
        else:
            round_share = np.sqrt(max(0.0, 1 - (2 * down - 1) ** 2))
            radius = min(width, crown) * rng.uniform(0.13, 0.2)
            reach = max(0.0, round_share * width / 2 - radius)
        y = radius + down * (crown - 2 * radius)
        balls.append((middle + side * reach, y, radius))
    return balls


def _ruffle(rng: np.random.Generator, leaves: Image.Image, cover: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Move every pixel a little, at random, which turns discs into leaves; prick holes; add grain."""
    width, height = leaves.size
    rows, columns = np.mgrid[0:height, 0:width]
    moves = []
    for cells, reach in ((3, 6.0), (9, 14.0)):
        for _ in range(2):
            field = value_noise(rng, height, width, (height // cells, width // cells)) - 0.5
            moves.append(np.rint(field * reach).astype(np.int64))
    down, right = moves[0] + moves[2], moves[1] + moves[3]
    source = (np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1))
    grain = value_noise(rng, height, width, (height // 2, width // 2)) - 0.5
    light = np.clip(np.asarray(leaves, np.float32)[source] * (1 + 0.6 * grain), 0, 255)
    holes = value_noise(rng, height, width, (height // 5, width // 5))
    full = np.asarray(cover)[source] * (holes > 0.1)
    return Image.fromarray(light.astype(np.uint8)), Image.fromarray(full.astype(np.uint8))


Stroke = tuple[NDArray[np.float64], NDArray[np.float64], float]


def _grow_wood(rng: np.random.Generator, kind: str, width: int) -> tuple[Image.Image, Image.Image]:
    """Trunk and branches, drawn at twice the size so that twigs come out thin."""
    paint = Image.new("L", (width * 2, SIZE * 2), 70)
    mask = Image.new("L", paint.size)
    if kind != "bush":
        girth = SIZE * 2 * (0.05 if kind == "bare" else 0.042)
        start = np.array([width + rng.normal(0, 4), SIZE * 2.0])
        strokes: list[Stroke] = []
        _branch(rng, strokes, start, (-np.pi / 2 + rng.normal(0, 0.04), SIZE * 0.5, girth), 7 if kind == "bare" else 3)
        for stroke in strokes:
            _draw_branch(ImageDraw.Draw(paint), ImageDraw.Draw(mask), stroke)
    return paint.reduce(2), mask.reduce(2)


def _branch(
    rng: np.random.Generator,
    strokes: list[Stroke],
    start: NDArray[np.float64],
    limb: tuple[float, float, float],
    generations: int,
) -> None:
    """limb: direction, length and thickness in pixels."""
    angle, length, thick = limb
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    strokes.append((start, end, thick))
    if generations == 0 or length < 8:
        return
    children = int(rng.integers(2, 4)) if generations < 6 else 3
    for turn in (np.linspace(-0.55, 0.55, children) + rng.normal(0, 0.22, children)).tolist():
        upwards = turn - 0.12 * (angle + turn + np.pi / 2)
        _branch(rng, strokes, end, (angle + upwards, length * rng.uniform(0.58, 0.82), thick * 0.62), generations - 1)


def _draw_branch(paint: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, stroke: Stroke) -> None:
    """Tapered, lighter on the left."""
    start, end, thick = stroke
    along = (end - start) / max(1e-6, float(np.hypot(*(end - start))))
    across = np.array([-along[1], along[0]]) * thick / 2
    corners = [start + across, end + across * 0.65, end - across * 0.65, start - across]
    outline = [(float(x), float(y)) for x, y in corners]
    if thick < 3:
        mask.line([outline[0], outline[1]], fill=255, width=max(1, round(thick)))
        return
    mask.polygon(outline, fill=255)
    paint.polygon(outline, fill=92)
    shade = [corners[0], corners[1], end, start] if across[0] > 0 else [start, end, corners[2], corners[3]]
    paint.polygon([(float(x), float(y)) for x, y in shade], fill=52)
