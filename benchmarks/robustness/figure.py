"""The robustness table as a picture: a group of bars for each change, a bar for each model."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

WIDTH, LEFT, RIGHT = 640, 170, 46
BAR, GAP, TOP = 11, 10, 34
COLOURS = ("#3b6fb6", "#e0912f", "#5a9e6f", "#8a6bb1")  # told apart by brightness too


def figure(miou: Mapping[str, Mapping[str, float]]) -> str:
    """SVG. miou: of each model, by the name of the change; the same changes for all."""
    changes = list(next(iter(miou.values())))
    height = TOP + len(changes) * (len(miou) * BAR + GAP)
    parts = [_text(x, 20, name, fill=colour, weight="bold") for x, name, colour in _keys(list(miou))]
    for row, change in enumerate(changes):
        top = TOP + row * (len(miou) * BAR + GAP)
        parts.append(_text(LEFT - 8, top + len(miou) * BAR / 2 + 4, change, anchor="end"))
        for number, (name, scores) in enumerate(miou.items()):
            parts += _bar(top + number * BAR, scores[change], f"{name}, {change}", COLOURS[number])
    told = f"mIoU of {', '.join(miou)} when pictures are changed; the numbers stand in the table"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(told)}"'
        ' font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _keys(names: list[str]) -> list[tuple[float, str, str]]:
    return [(LEFT + 150.0 * number, name, COLOURS[number]) for number, name in enumerate(names)]


def _bar(top: float, value: float, told: str, colour: str) -> list[str]:
    length = round(value * (WIDTH - LEFT - RIGHT), 1)
    bar = f'<rect x="{LEFT}" y="{top}" width="{length}" height="{BAR - 1}" fill="{colour}">'
    return [
        f"{bar}<title>{escape(told)}: {value:.3f}</title></rect>",
        _text(LEFT + length + 4, top + 9, f"{value:.2f}"),
    ]


def _text(
    x: float, y: float, said: str, *, anchor: str = "start", fill: str = "#1b2330", weight: str = "normal"
) -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text {place} fill="{fill}" font-weight="{weight}">{escape(said)}</text>'
