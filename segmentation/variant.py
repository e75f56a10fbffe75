"""Variant: a model in one precision and one engine, with what it was measured to cost and to score."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from segmentation.engines import precisions
from segmentation.errors import InvalidModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Raises InvalidModelCard on construction.

    file: one of the card's; bytes: its size. median_ms, images_per_s: one picture at a time at the served size, None
    where it was not measured (a processor without the instructions). miou: in [0, 1], None likewise.
    machine: the processor and how many threads, for people. note: what a reader must know about the figures.
    """

    precision: str
    engine: str
    file: str
    bytes: int
    median_ms: float | None = None
    images_per_s: float | None = None
    miou: float | None = None
    machine: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        known = precisions()
        _require(self.precision in known, "precision", f"one of {', '.join(known)}", self.precision)
        for name in ("engine", "file"):
            value = getattr(self, name)
            _require(isinstance(value, str) and bool(value), name, "text, not empty", value)
        for name in ("machine", "note"):
            _require(isinstance(getattr(self, name), str), name, "text", getattr(self, name))
        _require(type(self.bytes) is int and self.bytes >= 1, "bytes", "a whole number above 0", self.bytes)
        for name in ("median_ms", "images_per_s"):
            _require(_is_none_or_number(getattr(self, name)), name, "a number above 0 or null", getattr(self, name))
        _require(self.miou is None or _is_share(self.miou), "miou", "a number from 0 to 1 or null", self.miou)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: object) -> "Variant":
        """The inverse of `to_dict`; raises InvalidModelCard for a field that is unknown, missing or wrong."""
        _require(isinstance(value, Mapping), "", "an object", value)
        given = dict(cast(Mapping[str, Any], value))
        unknown = given.keys() - {each.name for each in fields(cls)}
        _require(not unknown, "", "without unknown fields", sorted(unknown))
        for name in ("precision", "engine", "file", "bytes"):
            _require(name in given, name, "given", None)
        return cls(**given)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_none_or_number(value: object) -> bool:
    return value is None or (_is_number(value) and cast(float, value) > 0)


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= cast(float, value) <= 1


def _require(true: bool, name: str, expected: str, got: object) -> None:
    if not true:
        raise InvalidModelCard(f"variants.{name}".rstrip("."), expected=expected, got=got)
