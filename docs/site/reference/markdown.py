"""Markdown as the pages of the reference write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Empty when there are no rows."""
    lines = [_row(each) for each in rows]
    return "\n".join([_row(head), "|" + " --- |" * len(head), *lines, ""]) if lines else ""


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(cell(each) for each in cells) + " |"


def cell(value: object) -> str:
    """One line, whose bars do not end the cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def code(value: object) -> str:
    return f"`{value}`"


def prose(text: str) -> str:
    """Text of a docstring: nothing in it is markup but backticks."""
    parts = text.split("`")
    parts[::2] = [
        part.replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[").replace("_", "\\_") for part in parts[::2]
    ]
    return "`".join(parts)
