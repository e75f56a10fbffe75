"""Trees and bushes of a scene: shapes of the plant library in leaf colours and light, pasted where they stand."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Place, Shadow, Stage
from scenes.ids import VEGETATION
from scenes.mood import Mood
from scenes.roadside.plants import TRUNK_SHARE, VARIANTS, shape

LEAVES: tuple[Colour, ...] = (
    (88, 104, 58), (100, 110, 62), (76, 98, 60), (112, 112, 66), (84, 100, 72), (92, 102, 54),
)  # fmt: skip
AUTUMN: tuple[Colour, ...] = ((160, 116, 60), (156, 88, 52), (146, 126, 66))
DARK: Colour = (66, 86, 64)
BARK: Colour = (112, 98, 84)
STREET, GARDEN, BUSH = (0, 1), (0, 1, 2, 3), (4, 5)  # which of a scene's plants stand where


@dataclass(frozen=True, slots=True)
class Plant:
    """A sprite (RGB), its coverage, and a coarser mask for the label map: people mark a bare crown as a whole."""

    picture: Image.Image
    cover: Image.Image
    outline: Image.Image
    trunk: float  # share of the height under the crown

    @property
    def ratio(self) -> float:
        return self.picture.width / self.picture.height


def grow_plants(rng: np.random.Generator, mood: Mood, wanted: Collection[int]) -> Mapping[int, Plant]:
    """The wanted ones of a scene's plants: few kinds, all in the same season; see STREET, GARDEN and BUSH."""
    season = str(rng.choice(["summer", "autumn", "winter"], p=[0.6, 0.1, 0.3]))
    if season == "winter":
        kinds = ["bare", "bare", "bare", str(rng.choice(["conifer", "leafy", "bare"])), "bush", "bush"]
    else:
        kinds = ["leafy", "leafy", "leafy", str(rng.choice(["tall", "conifer"])), "bush", "bush"]
    seeds = rng.spawn(len(kinds))  # a plant looks the same, whichever others are wanted
    return {index: _dressed(seeds[index], mood, kinds[index], season) for index in sorted(wanted)}


def _dressed(rng: np.random.Generator, mood: Mood, kind: str, season: str) -> Plant:
    grey = shape(kind, int(rng.integers(VARIANTS[kind])))
    palette = AUTUMN if season == "autumn" and kind == "leafy" else LEAVES
    base = DARK if kind == "conifer" else palette[rng.integers(len(palette))]
    tint = np.array(base) * rng.uniform(0.9, 1.12)
    factor = mood.light(np.array([0.0, 0.8, -0.6])) * 1.08
    picture = _ramp(grey.wood, np.array(BARK) * rng.uniform(0.7, 1.15) * mood.light(np.array([0.0, 0.3, -0.95])))
    picture.paste(_ramp(grey.leaves, tint * factor), (0, 0), grey.leaf_cover)
    if mood.to_sun[0] > 0:
        mirror = ImageOps.mirror
        return Plant(mirror(picture), mirror(grey.cover), mirror(grey.outline), TRUNK_SHARE[kind])
    return Plant(picture, grey.cover, grey.outline, TRUNK_SHARE[kind])


def _ramp(grey: Image.Image, colour: NDArray[np.float64]) -> Image.Image:
    """Grey to colour: blue shade at the dark end, yellow light at the bright one."""
    value = np.arange(256) / 255
    bands = []
    for part, warm in zip(colour.tolist(), (0.12, 0.07, -0.16), strict=True):
        curve = part * (0.14 + 1.25 * value) * (1 + warm * (value - 0.45) * 2)
        bands.append(grey.point(np.clip(curve, 0, 255).astype(int).tolist()))
    return Image.merge("RGB", bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    place: Place
    height: float
    plant: int  # index of the scene's plants
    stretch: float  # of the width


def draw_tree(stage: Stage, tree: Tree, plants: Mapping[int, Plant]) -> None:
    spot = stage.upright(tree.place)
    if spot is None or tree.place[2] < 4:
        return
    x, y, scale = spot
    plant = plants[tree.plant]
    tall, wide = tree.height * scale, tree.height * plant.ratio * tree.stretch * scale
    box = (x - wide / 2, y - tall, x + wide / 2, y)
    stage.canvas.stencil(plant.outline, box, VEGETATION)
    stage.canvas.sprite((plant.picture, plant.cover), box, VEGETATION, haze_table(stage.mood, tree.place[2]))


def haze_table(mood: Mood, depth: float) -> list[int] | None:
    """A look-up table for RGB pictures; None when there is next to no haze."""
    share = mood.haze_share(depth)
    if share < 0.03:
        return None
    ramp = np.arange(256)[None, :] * (1 - share) + (np.array(mood.haze) * share)[:, None]
    table: list[int] = ramp.astype(int).ravel().tolist()
    return table


def shadow_of(tree: Tree, plants: Mapping[int, Plant]) -> tuple[Shadow, ...]:
    plant = plants[tree.plant]
    x, _, z = tree.place
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = tree.height * plant.ratio * tree.stretch * 0.42
    ring = np.stack([x + radius * np.cos(angles), z + radius * np.sin(angles)], axis=1)
    stem = np.array([[x - 0.15, z], [x + 0.15, z], [x, z + 0.2]])
    crown = Shadow(ring, tree.height * 0.9, max(0.6, tree.height * plant.trunk), leafy=True)
    return Shadow(stem, tree.height * 0.5), crown
