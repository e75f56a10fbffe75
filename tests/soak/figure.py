"""Samples as a picture: one chart below the other, a line for each part."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.soak.samples import Sample

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 720, 110, 64, 120, 24, 44
COLOURS = ("#3b6fb6", "#e0912f", "#5a9e6f", "#8a6bb1", "#c0504d", "#555555")


def figure(samples: Sequence[Sample]) -> str:
    """SVG with a chart for each quantity."""
    quantities = list(samples[-1].values)
    height = TOP + len(quantities) * (HEIGHT + GAP)
    minutes = samples[-1].at / 60
    parts: list[str] = []
    for row, quantity in enumerate(quantities):
        parts += _chart(samples, quantity, TOP + row * (HEIGHT + GAP), minutes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="what the parts hold over {minutes:.0f} minutes of work"'
        ' font-family="system-ui" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _chart(samples: Sequence[Sample], quantity: str, top: float, minutes: float) -> list[str]:
    most = max((value for each in samples for value in each.values[quantity].values()), default=0.0) or 1.0
    bottom, right = top + HEIGHT, WIDTH - RIGHT
    parts = [
        _text(LEFT, top - 8, quantity, weight="bold"),
        f'<path d="M{LEFT} {top}V{bottom}H{right}" fill="none" stroke="#9aa3ad"/>',
        _text(LEFT - 6, top + 4, f"{most:.0f}", anchor="end"),
        _text(LEFT - 6, bottom + 4, "0", anchor="end"),
        _text(right, bottom + 16, f"{minutes:.1f} min", anchor="end"),
    ]
    for number, part in enumerate(samples[-1].values[quantity]):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{LEFT + each.at / samples[-1].at * (right - LEFT):.1f},"
            f"{bottom - each.values[quantity][part] / most * HEIGHT:.1f}"
            for each in samples
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(right + 8, top + 14 * number + 6, part, fill=colour))
    return parts


def _text(
    x: float, y: float, said: str, *, anchor: str = "start", fill: str = "#1b2330", weight: str = "normal"
) -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text {place} fill="{fill}" font-weight="{weight}">{escape(said)}</text>'
