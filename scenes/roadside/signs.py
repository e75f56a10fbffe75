"""Traffic signs: discs, triangles, boards; drawn around the middle of the sign, seen from the front or from behind."""

from collections.abc import Callable

from scenes.drawing.canvas import Colour
from scenes.drawing.pen import Pen, Point

RED: Colour = (196, 36, 40)
BLUE: Colour = (32, 82, 156)
GREEN: Colour = (24, 92, 72)
WHITE: Colour = (234, 234, 230)
BLACK: Colour = (34, 34, 36)
YELLOW: Colour = (226, 180, 40)
BACK: Colour = (138, 140, 142)
# The seven strokes of a digit, as on a calculator: from, to, in units of half a digit's width and height.
STROKES = {
    "a": ((-1, 1), (1, 1)), "b": ((1, 1), (1, 0)), "c": ((1, 0), (1, -1)), "d": ((-1, -1), (1, -1)),
    "e": ((-1, 0), (-1, -1)), "f": ((-1, 1), (-1, 0)), "g": ((-1, 0), (1, 0)),
}  # fmt: skip
DIGITS = {"0": "abcdef", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "8": "abcdefg"}
LIMITS = ("20", "30", "40", "50", "60", "80")


def _limit(pen: Pen, y: float, choice: int) -> None:
    _disc(pen, y, RED, WHITE)
    for x, digit in zip((-0.09, 0.09), LIMITS[choice % len(LIMITS)], strict=True):
        for stroke in DIGITS[digit]:
            (x0, y0), (x1, y1) = STROKES[stroke]
            line = [(x + x0 * 0.055, y + y0 * 0.12), (x + x1 * 0.055, y + y1 * 0.12)]
            pen.limb(line, (0.045, 0.045), BLACK, label=False)


def _no_entry(pen: Pen, y: float, _: int) -> None:
    _disc(pen, y, RED, RED)
    pen.rectangle((-0.2, y - 0.05, 0.2, y + 0.05), WHITE, label=False)


def _keep_to_the_side(pen: Pen, y: float, choice: int) -> None:
    _disc(pen, y, WHITE, BLUE)
    side = -1 if choice % 2 else 1
    pen.limb([(-0.12 * side, y + 0.13), (0.1 * side, y - 0.1)], (0.06, 0.06), WHITE, label=False)
    head = [(0.16 * side, y - 0.16), (0.16 * side, y + 0.02), (-0.02 * side, y - 0.16)]
    pen.shape(head, WHITE, label=False)


def _no_parking(pen: Pen, y: float, choice: int) -> None:
    _disc(pen, y, RED, BLUE)
    for side in (-1, 1) if choice % 2 else (1,):
        pen.limb([(-0.17 * side, y + 0.17), (0.17 * side, y - 0.17)], (0.06, 0.06), RED, label=False)


def _warning(pen: Pen, y: float, choice: int) -> None:
    pen.shape([(-0.44, y - 0.3), (0.44, y - 0.3), (0.0, y + 0.44)], RED)
    pen.shape([(-0.29, y - 0.22), (0.29, y - 0.22), (0.0, y + 0.26)], WHITE, label=False)
    if choice % 2:
        pen.rectangle((-0.03, y - 0.08, 0.03, y + 0.1), BLACK, label=False)
        pen.oval((0.0, y - 0.14), (0.035, 0.035), BLACK, label=False)
        return
    pen.oval((0.0, y + 0.08), (0.035, 0.035), BLACK, label=False)
    pen.limb([(0.0, y + 0.03), (0.0, y - 0.06), (0.06, y - 0.18)], (0.06, 0.04), BLACK, label=False)
    pen.limb([(0.0, y - 0.06), (-0.06, y - 0.18)], (0.05, 0.04), BLACK, label=False)


def _give_way(pen: Pen, y: float, _: int) -> None:
    pen.shape([(-0.44, y + 0.36), (0.44, y + 0.36), (0.0, y - 0.4)], RED)
    pen.shape([(-0.28, y + 0.27), (0.28, y + 0.27), (0.0, y - 0.21)], WHITE, label=False)


def _parking(pen: Pen, y: float, _: int) -> None:
    pen.rectangle((-0.3, y - 0.4, 0.3, y + 0.4), WHITE)
    pen.rectangle((-0.27, y - 0.37, 0.27, y + 0.37), BLUE, label=False)
    pen.rectangle((-0.12, y - 0.25, -0.04, y + 0.26), WHITE, label=False)
    pen.oval((0.0, y + 0.13), (0.15, 0.13), WHITE, label=False)
    pen.oval((0.0, y + 0.13), (0.07, 0.055), BLUE, label=False)


def _crossing(pen: Pen, y: float, _: int) -> None:
    pen.rectangle((-0.33, y - 0.33, 0.33, y + 0.33), BLUE)
    pen.shape([(-0.26, y - 0.24), (0.26, y - 0.24), (0.0, y + 0.25)], WHITE, label=False)
    pen.oval((0.0, y + 0.08), (0.035, 0.035), BLACK, label=False)
    pen.limb([(0.0, y + 0.02), (-0.05, y - 0.17)], (0.05, 0.04), BLACK, label=False)
    pen.limb([(0.0, y - 0.04), (0.07, y - 0.17)], (0.04, 0.04), BLACK, label=False)


def _priority(pen: Pen, y: float, _: int) -> None:
    for size, colour in ((0.4, WHITE), (0.29, YELLOW)):
        pen.shape([(0.0, y + size), (size, y), (0.0, y - size), (-size, y)], colour, label=size > 0.3)


def _directions(pen: Pen, y: float, choice: int) -> None:
    """A board with names and arrows."""
    colour = (GREEN, BLUE, (64, 66, 68))[choice % 3]
    wide, tall = 0.75 + 0.1 * (choice % 4), 0.8 + 0.2 * (choice % 2)
    pen.rectangle((-wide, y - 0.3, wide, y - 0.3 + tall), WHITE)
    pen.rectangle((-wide + 0.035, y - 0.265, wide - 0.035, y - 0.335 + tall), colour, label=False)
    for line in range(3 if tall > 0.9 else 2):
        level = y - 0.4 + tall - line * 0.26
        pen.rectangle(
            (-wide + 0.3, level - 0.09, wide - 0.14 - 0.23 * ((line + choice) % 3), level), WHITE, label=False
        )
        tip: list[Point] = [(-wide + 0.08, level - 0.05), (-wide + 0.2, level + 0.02), (-wide + 0.2, level - 0.12)]
        pen.shape(tip, WHITE, label=False)


def _disc(pen: Pen, y: float, rim: Colour, inside: Colour) -> None:
    pen.oval((0.0, y), (0.33, 0.33), rim)
    pen.oval((0.0, y), (0.25, 0.25), inside, label=False)


DESIGNS: tuple[Callable[[Pen, float, int], None], ...] = (
    _limit, _limit, _no_entry, _keep_to_the_side, _no_parking, _no_parking, _warning, _give_way, _parking, _crossing,
    _priority, _directions, _directions,
)  # fmt: skip


def draw_sign(pen: Pen, y: float, face: int, *, from_behind: bool) -> None:
    """face: any number; it chooses the design and what is written on it."""
    if not from_behind:
        DESIGNS[face % len(DESIGNS)](pen, y, face // len(DESIGNS))
        return
    if face % 2:
        pen.oval((0.0, y), (0.33, 0.33), BACK)
    else:
        pen.rectangle((-0.3, y - 0.35, 0.3, y + 0.35), BACK)
