"""Tables, sentences and badges of a page. Text that comes in is escaped here; what is `Html` has been."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NewType

Html = NewType("Html", str)

LETTERS = string.ascii_uppercase  # one for each model: a page can tell so many apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """said: as printed. value: to sort by; None when there is none. best: of its column. note: in small print below."""

    said: str
    value: float | None = None
    best: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """badge: the letter of the model that the row is about. colour: of the class, `#rrggbb`."""

    name: str
    cells: Sequence[Cell]
    badge: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """head: of the first column and of those of the cells. label: what a screen reader calls the table's frame."""

    caption: str
    label: str
    head: Sequence[str]
    rows: Sequence[Row]
    kind: str = ""
    sortable: bool = False

    def html(self) -> Html:
        """On a narrow screen each row is a card, with the column's head beside each value: nothing is cut off."""
        names = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.head)
        body = "\n".join(self._row(row) for row in self.rows)
        kind = f' class="{f"{self.kind} cards".strip()}"{" data-sortable" if self.sortable else ""}'
        table = f"<table{kind}>\n<caption>{escape(self.caption)}</caption>\n<thead><tr>{names}</tr></thead>\n"
        return scrolled(self.label, Html(f"{table}<tbody>\n{body}\n</tbody>\n</table>"))

    def _row(self, row: Row) -> str:
        cells = "".join(_cell(cell, head) for cell, head in zip(row.cells, self.head[1:], strict=True))
        badge = f"{badge_of(row.badge)} " if row.badge else ""
        badge += f'<span class="colour" style="background:{row.colour}"></span>' if row.colour else ""
        kind = ' class="named"' if row.badge else ""
        return f'<tr><th scope="row"{kind}>{badge}{escape(row.name)}</th>{cells}</tr>'


def scrolled(label: str, content: Html) -> Html:
    """What may be wider than the screen scrolls by itself, by keys too."""
    return Html(f'<div class="scrolled" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>')


def text(content: str) -> Html:
    return Html(escape(content))


def badge_of(letter: str) -> Html:
    return Html(f'<b class="badge">{letter}</b>')


def paragraph(text: str) -> Html:
    return Html(f"  <p>{escape(text)}</p>")


def summary(sentences: Sequence[str]) -> Html:
    """The first section's list."""
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return Html(f'  <ul class="short">{items}</ul>')


def reading(sentences: Sequence[str]) -> Html:
    """What a figure or a table says; empty without sentences."""
    if not sentences:
        return Html("")
    told = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    content = f"<ul>{told}</ul>" if len(sentences) > 3 else f"<p>{escape(' '.join(sentences))}</p>"
    return Html(f'<div class="reading"><h3 class="reading-head">Reading</h3>{content}</div>')


def joined(*parts: str) -> Html:
    """parts: Html each."""
    return Html("\n".join(part for part in parts if part))


def best(values: Sequence[float], *, lowest: bool = False) -> list[int]:
    """As `leaders`; nowhere when all are alike."""
    found = leaders(values, lowest=lowest)
    return [] if len(found) == len(values) else found


def leaders(values: Sequence[float], *, lowest: bool) -> list[int]:
    """Where the best value stands, as it is printed, to a tenth of a per cent; NaN is not known."""
    known = {place: round(value, 3) for place, value in enumerate(values) if math.isfinite(value)}
    wanted = (min if lowest else max)(known.values(), default=math.nan)
    return [place for place, value in known.items() if value == wanted]


def _cell(cell: Cell, head: str) -> str:
    value = "" if cell.value is None else f' data-value="{cell.value}"'
    said = escape(cell.said)
    said = f'<strong>{said}</strong> <span class="tag">best</span>' if cell.best else said
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td data-head="{escape(head)}"{value}>{said}{note}</td>'
