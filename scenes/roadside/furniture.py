"""Street furniture: lamps, traffic lights, signs on posts, bollards, bins."""

from dataclasses import dataclass, replace

import numpy as np

from scenes.drawing.canvas import Colour
from scenes.drawing.pen import Pen, Point
from scenes.drawing.stage import Place, Shadow, Stage
from scenes.drawing.tones import scaled
from scenes.ids import POLE, STATIC, TRAFFIC_LIGHT, TRAFFIC_SIGN
from scenes.roadside.signs import draw_sign

METAL: tuple[Colour, ...] = ((112, 116, 118), (66, 70, 70), (40, 48, 46), (150, 152, 150))
BINS: tuple[Colour, ...] = ((44, 48, 46), (36, 70, 50), (150, 38, 38), (90, 92, 94))
SIGNALS: tuple[Colour, ...] = ((255, 60, 44), (255, 190, 60), (70, 250, 150))
HEIGHTS = {"lamp": (6, 9), "light": (3.2, 3.8), "sign": (2.3, 3.0), "bollard": (0.9, 1.0), "bin": (0.9, 1.3)}
FIRST_VISIBLE_M = 2.5
GANTRY_M = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """kind: a key of HEIGHTS; reach: how far it stretches to the right, metres; face: which sign or lamp is shown."""

    kind: str
    place: Place
    height: float
    reach: float
    metal: Colour
    face: int
    from_behind: bool

    @property
    def depth(self) -> float:
        return self.place[2]


def choose_post(rng: np.random.Generator, kind: str, place: Place, towards_road: int) -> Post:
    """towards_road: -1 when the road lies to the left of the post, +1 to the right."""
    height = rng.uniform(*HEIGHTS[kind])
    reach = {"lamp": rng.uniform(0.8, 2.4), "light": GANTRY_M if rng.random() < 0.3 else 0.0}.get(kind, 0.0)
    return Post(
        kind=kind,
        place=place,
        height=float(height + (2.2 if reach >= GANTRY_M else 0)),
        reach=float(reach * towards_road),
        metal=METAL[rng.integers(len(METAL))],
        face=int(rng.integers(1000)),
        from_behind=bool(rng.random() < (0.5 if towards_road > 0 else 0.1)),
    )


def shadow_of(post: Post) -> Shadow:
    x, _, z = post.place
    half = 0.26 if post.kind == "bin" else 0.07
    corners = [[x - half, z - half], [x + half, z - half], [x + half, z + half], [x - half, z + half]]
    return Shadow(np.array(corners), post.height)


def draw_post(stage: Stage, post: Post) -> None:
    spot = stage.upright(post.place)
    if spot is None or post.place[2] < FIRST_VISIBLE_M:
        return
    pen = Pen(stage, spot, post.depth, POLE)
    {"lamp": _lamp, "light": _light, "sign": _sign, "bollard": _bollard, "bin": _bin}[post.kind](pen, post)


def _lamp(pen: Pen, post: Post) -> None:
    pen.bar((0, 0), (0, 1.2), 0.2, post.metal)
    pen.bar((0, 1.0), (0, post.height), 0.12, post.metal)
    end = (post.reach, post.height + 0.35)
    pen.bar((0, post.height), end, 0.08, post.metal)
    side = 1 if post.reach > 0 else -1
    outline = ((-0.1, 0.1), (0.65, 0.12), (0.6, -0.06), (-0.1, -0.06))
    head: list[Point] = [(end[0] + x * side, end[1] + y) for x, y in outline]
    pen.shape(head, (128, 130, 130))
    if pen.stage.mood.lamps > 0.2:
        under = [(x, min(y, end[1])) for x, y in head]
        pen.shape(under, (255, 226, 170), glow=True)


def _light(pen: Pen, post: Post) -> None:
    pen.bar((0, 0), (0, post.height), 0.13, post.metal)
    signal = replace(pen, ids=TRAFFIC_LIGHT)
    if post.reach:
        pen.bar((0, post.height - 0.1), (post.reach, post.height - 0.1), 0.1, post.metal)
        _signal(signal, (post.reach, post.height + 0.1), post)
    _signal(signal, (0.0, min(post.height, 3.3) + 0.1), post)


def _signal(pen: Pen, top: Point, post: Post) -> None:
    x, y = top
    pen.rectangle((x - 0.24, y - 1.0, x + 0.24, y + 0.06), (24, 26, 26))
    if post.from_behind:
        return
    on = (0, 0, 2, 2, 2, 1)[post.face % 6]
    for index, colour in enumerate(SIGNALS):
        centre = (x, y - 0.16 - 0.3 * index)
        tone = colour if index == on else scaled(colour, 0.2)
        pen.oval(centre, (0.12, 0.12), tone, label=False, glow=index == on)


def _sign(pen: Pen, post: Post) -> None:
    pen.bar((0, 0), (0, post.height), 0.07, post.metal)
    draw_sign(replace(pen, ids=TRAFFIC_SIGN), post.height - 0.1, post.face, from_behind=post.from_behind)


def _bollard(pen: Pen, post: Post) -> None:
    pen.bar((0, 0), (0, post.height), 0.16, post.metal)
    pen.rectangle((-0.08, 0.72, 0.08, 0.8), (220, 220, 214), label=False)


def _bin(pen: Pen, post: Post) -> None:
    colour, high = BINS[post.face % len(BINS)], post.height
    pen = replace(pen, ids=STATIC)
    pen.shape([(-0.26, 0), (0.26, 0), (0.28, high), (-0.28, high)], colour)
    pen.shape([(-0.31, high), (0.31, high), (0.27, high + 0.1), (-0.27, high + 0.1)], scaled(colour, 1.1))
    pen.rectangle((-0.16, high - 0.28, 0.16, high - 0.14), (18, 18, 20), label=False)
