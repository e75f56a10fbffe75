"""What docs/watching.md and the files of deploy/ say of metrics."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "watching.md"

_ROW = re.compile(r"^\| `(maskmill_\w+)`", re.MULTILINE)
_NAME = re.compile(r"\b(?:maskmill|process|python)_\w+")
_ENDINGS = re.compile(r"_(?:total|bucket|count|sum|created)$")


def documented_metrics() -> set[str]:
    """Names of families, as the parser gives them."""
    return {family_of(name) for name in _ROW.findall(PAGE.read_text("utf-8"))}


def metrics_in(expression: str) -> set[str]:
    return {family_of(name) for name in _NAME.findall(expression)}


def family_of(sample: str) -> str:
    return _ENDINGS.sub("", sample)
