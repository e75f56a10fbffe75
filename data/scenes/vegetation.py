"""Trees, bushes and hedges: sprites with leaves or bare branches, painted once per scene and pasted where they stand."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data.scenes.canvas import Colour
from data.scenes.ids import VEGETATION
from data.scenes.mood import Mood
from data.scenes.noise import fractal_noise, value_noise
from data.scenes.stage import Place, Shadow, Stage

LEAVES: tuple[Colour, ...] = ((74, 104, 44), (92, 112, 52), (58, 88, 46), (112, 116, 54), (70, 96, 60))
AUTUMN: tuple[Colour, ...] = ((158, 110, 46), (170, 88, 40), (150, 128, 54))
BARK: Colour = (86, 72, 60)


@dataclass(frozen=True, slots=True)
class Plant:
    """A sprite (RGBA) and its mask for the label map, which is coarser: people label a bare crown as a whole."""

    picture: Image.Image
    ratio: float  # width over height
    trunk: float  # share of the height under the crown


def grow(rng: np.random.Generator, mood: Mood, kind: str, size: int = 320) -> Plant:
    """kind: "leafy", "tall", "bare" or "bush"; the sprite is `size` pixels high."""
    if kind == "bare":
        return _bare(rng, mood, size)
    ratio = {"leafy": rng.uniform(0.75, 0.95), "tall": rng.uniform(0.36, 0.48), "bush": rng.uniform(1.1, 1.6)}[kind]
    trunk = {"leafy": rng.uniform(0.25, 0.36), "tall": 0.1, "bush": 0.0}[kind]
    width = round(size * ratio)
    colour, alpha = _crown(rng, mood, (size, width), trunk)
    picture = Image.new("RGBA", (width, size))
    if trunk:
        _trunk(picture, mood, trunk, rng)
    crown = Image.merge("RGBA", (*colour.split(), alpha))
    picture.alpha_composite(crown)
    return Plant(picture, ratio, trunk)


def _crown(
    rng: np.random.Generator, mood: Mood, size: tuple[int, int], trunk: float
) -> tuple[Image.Image, Image.Image]:
    """Leaf colours and coverage: overlapping balls lit from the sun's side, broken up by noise."""
    height, width = size
    crown = height * (1 - trunk * 0.85)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    best = np.full(size, -1.0, np.float32)
    light = np.zeros(size, np.float32)
    side = float(np.clip(mood.to_sun[0], -0.8, 0.8))
    for _ in range(int(rng.integers(14, 22))):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * 0.66
        radius = rng.uniform(0.22, 0.4) * min(width, crown) / 2
        x = width / 2 + np.cos(angle) * reach * (width / 2 - radius * 0.4)
        y = crown / 2 + np.sin(angle) * reach * (crown / 2 - radius * 0.4)
        across, down = (columns - x) / radius, (rows - y) / radius
        inside = 1 - across * across - down * down
        lit = 0.5 + 0.32 * (side * across - 0.8 * down) + rng.normal(0, 0.06)
        nearer = inside > best
        light[nearer], best[nearer] = lit[nearer], inside[nearer]
    ragged = fractal_noise(rng, height, width, (14, max(4, 14 * width // height)), 3) - 0.5
    leaves = value_noise(rng, height, width, (height // 4, width // 4)) - 0.5
    covered = best + ragged * 1.5 + leaves * 0.7 > 0.0
    depth = np.clip(0.62 - 0.5 * (rows / crown - 0.5), 0.3, 1)
    value = np.clip(light * 0.9 + depth * 0.35 + leaves * 0.55 + ragged * 0.45, 0.16, 1.5)
    palette = AUTUMN if rng.random() < 0.12 else LEAVES
    base = np.array(palette[rng.integers(len(palette))], np.float32) * rng.uniform(0.9, 1.15)
    factor = (mood.light(np.array([0.25 * side, 0.75, -0.3])) * 1.12).astype(np.float32)
    warm = np.array([18, 14, -4], np.float32) * np.clip(value - 0.8, 0, 1)[..., None]
    colour = np.clip((base * value[..., None] + warm) * factor, 0, 255).astype(np.uint8)
    return Image.fromarray(colour), Image.fromarray(covered.astype(np.uint8) * 255)


def _trunk(picture: Image.Image, mood: Mood, share: float, rng: np.random.Generator) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    top, middle = height * (1 - share) - height * 0.25, width / 2 + rng.normal(0, width * 0.01)
    half = height * 0.017 + width * 0.008
    light = mood.light(np.array([0.0, 0.3, -0.95]))
    for shift, tone in ((0.0, 0.72), (0.55, 1.05)):
        colour = tuple(int(np.clip(c * f * tone, 0, 255)) for c, f in zip(BARK, light, strict=True))
        left = middle - half + shift * half
        draw.polygon(
            [(left, height), (middle + half, height), (middle + half * 0.6, top), (left + half * 0.3, top)],
            fill=(*colour, 255),
        )


def _bare(rng: np.random.Generator, mood: Mood, size: int) -> Plant:
    width = round(size * rng.uniform(0.7, 0.95))
    picture = Image.new("RGBA", (width, size))
    light = mood.light(np.array([0.0, 0.4, -0.9]))
    colour = tuple(int(np.clip(c * f * 0.85, 0, 255)) for c, f in zip(BARK, light, strict=True))
    draw = ImageDraw.Draw(picture)
    _branch(draw, rng, (width / 2, float(size)), (-np.pi / 2, size * 0.26, size * 0.035), colour)
    return Plant(picture, width / size, 0.28)


def _branch(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    start: tuple[float, float],
    limb: tuple[float, float, float],
    colour: tuple[int, ...],
) -> None:
    """limb: direction, length and width in pixels."""
    angle, length, width = limb
    end = (start[0] + np.cos(angle) * length, start[1] + np.sin(angle) * length)
    draw.line([start, end], fill=(*colour, 255), width=max(1, round(width)))
    if length < 9:
        return
    for _ in range(int(rng.integers(2, 4))):
        turn = rng.normal(0, 0.5)
        _branch(draw, rng, end, (angle + turn, length * rng.uniform(0.62, 0.84), width * 0.66), colour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    place: Place
    height: float
    plant: int  # index of the scene's sprites
    mirrored: bool

    @property
    def depth(self) -> float:
        return self.place[2]


def draw_tree(stage: Stage, tree: Tree, plants: list[Plant]) -> None:
    spot = stage.upright(tree.place)
    if spot is None or tree.place[2] < 3:
        return
    x, y, scale = spot
    plant = plants[tree.plant % len(plants)]
    tall, wide = tree.height * scale, tree.height * plant.ratio * scale
    picture = _hazed(stage, plant.picture, tree.place[2])
    if tree.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    box = (x - wide / 2, y - tall, x + wide / 2, y)
    _label_crown(stage, picture, box)
    stage.canvas.sprite(picture, box, VEGETATION)


def _label_crown(stage: Stage, picture: Image.Image, box: tuple[float, float, float, float]) -> None:
    """Small holes between leaves and twigs count as tree, as they do for people who draw labels by hand."""
    small = picture.getchannel("A").resize((picture.width // 8, picture.height // 8), Image.Resampling.BOX)
    closed = small.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.MinFilter(3)).point([0] * 40 + [255] * 216)
    left, top, right, bottom = (round(v) for v in box)
    size = (max(1, right - left), max(1, bottom - top))
    if size[0] > 6000 or size[1] > 6000:
        return
    stage.canvas.labels.paste(
        VEGETATION,
        (left, top, left + size[0], top + size[1]),
        closed.resize(size, Image.Resampling.BILINEAR).point([0] * 128 + [255] * 128),
    )


def _hazed(stage: Stage, picture: Image.Image, depth: float) -> Image.Image:
    share = stage.mood.haze_share(depth)
    if share < 0.04:
        return picture
    table: list[int] = []
    for haze in stage.mood.haze:
        table += [int(value * (1 - share) + haze * share) for value in range(256)]
    return picture.point(table + list(range(256)))


def shadow_of(tree: Tree, plants: list[Plant]) -> tuple[Shadow, ...]:
    plant = plants[tree.plant % len(plants)]
    x, _, z = tree.place
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = tree.height * plant.ratio * 0.42
    ring = np.stack([x + radius * np.cos(angles), z + radius * np.sin(angles)], axis=1)
    stem = np.array([[x - 0.15, z], [x + 0.15, z], [x, z + 0.2]])
    return Shadow(stem, tree.height * 0.5), Shadow(ring, tree.height * 0.9, max(0.6, tree.height * plant.trunk))
