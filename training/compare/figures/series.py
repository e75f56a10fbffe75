"""How a model looks in every figure: letter, colour, hatching, dash and marker, so that none is needed alone.

Colours are the style sheet's (`--series-0`, …), so that they can differ on a dark screen and on paper.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup

from jobs.comparing.pages.parts import LETTERS
from training.compare.figures.svg import element, joined

COLOURS = 6
DASHES = ("", "7 4", "2 3", "10 3 2 3", "12 4", "5 2 1 2 1 2")
MARKERS = ("circle", "square", "triangle", "diamond", "down", "cross", "star")
MOST_SERIES = len(LETTERS)

# Strokes within a tile of 8 × 8; the tile's ground is a tint of the series' colour.
_HATCHES = (
    "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4",  # rising
    "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4",  # falling
    "M0,4 h8",  # level
    "M4,0 v8",  # upright
    "M0,0 l8,8 M8,0 l-8,8",  # crossed
    "M2,2 h1 M6,6 h1",  # dotted
    "M0,2 h8 M2,0 v8",  # chequered
)


@dataclass(frozen=True, slots=True)
class Series:
    """The look of the model with this number on the page, from 0."""

    number: int

    @property
    def letter(self) -> str:
        return LETTERS[self.number]

    @property
    def css(self) -> str:
        return f"s{self.number % COLOURS}"

    @property
    def dash(self) -> str | None:
        return DASHES[self.number % len(DASHES)] or None

    @property
    def hatch(self) -> str:
        """Of no two models the same."""
        return f"hatch-{self.number}"

    def marker(self, x: float, y: float, size: float = 4.0) -> Markup:
        """size: half of the marker's width."""
        shape = MARKERS[self.number % len(MARKERS)]
        if shape == "circle":
            return element("circle", cx=x, cy=y, r=size, class_=f"mark {self.css}")
        return element("path", d=_path(shape, x, y, size), class_=f"mark {self.css}")

    def swatch(self) -> Markup:
        """Bar, line and marker of the model, for a legend beside which its name stands."""
        parts = (
            element("rect", x=1, y=2, width=18, height=12, fill=f"url(#{self.hatch})", class_=f"bar {self.css}"),
            element("line", x1=24, y1=8, x2=52, y2=8, class_=f"curve {self.css}", stroke_dasharray=self.dash),
            self.marker(38, 8),
        )
        return element("svg", *parts, class_="swatch", viewBox="0 0 54 16", width=54, height=16, aria_hidden="true")


def hatchings(count: int) -> Markup:
    """The patterns of so many models, once for the whole page."""
    patterns = [_pattern(Series(number)) for number in range(count)]
    return element("svg", element("defs", *patterns), class_="patterns", width=0, height=0, aria_hidden="true")


def _pattern(series: Series) -> Markup:
    strokes = _HATCHES[(series.number + series.number // COLOURS) % len(_HATCHES)]
    parts = (
        element("rect", width=8, height=8, class_=f"ground {series.css}"),
        element("path", d=strokes, class_=f"strokes {series.css}"),
    )
    return element("pattern", *parts, id=series.hatch, width=8, height=8, patternUnits="userSpaceOnUse")


def _path(shape: str, x: float, y: float, size: float) -> str:
    corners = [(x + dx * size, y + dy * size) for dx, dy in _CORNERS[shape]]
    return joined(f"{'L' if number else 'M'}{cx:.2f},{cy:.2f}" for number, (cx, cy) in enumerate(corners)) + "Z"


def _star() -> list[tuple[float, float]]:
    turns = [(math.pi * (number / 5 - 0.5), 1.3 if number % 2 == 0 else 0.55) for number in range(10)]
    return [(math.cos(angle) * radius, math.sin(angle) * radius) for angle, radius in turns]


_THIRD = 0.4  # half the width of a cross's arm
_CORNERS: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "triangle": [(0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
    "diamond": [(0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)],
    "down": [(0, 1.2), (1.15, -0.9), (-1.15, -0.9)],
    "cross": [
        *((-_THIRD, -1.1), (_THIRD, -1.1), (_THIRD, -_THIRD), (1.1, -_THIRD), (1.1, _THIRD), (_THIRD, _THIRD)),
        *((_THIRD, 1.1), (-_THIRD, 1.1), (-_THIRD, _THIRD), (-1.1, _THIRD), (-1.1, -_THIRD), (-_THIRD, -_THIRD)),
    ],
    "star": _star(),
}
