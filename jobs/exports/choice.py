"""Which export of a job is wanted, and how: chosen with the job, or when its archive is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segmentation.exports import EXPORTS

SWITCHES = ("instances", "pictures", "corrected")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportChoice:
    """instances: regions that hang together are told apart, where the form can. pictures: those that the service has
    come along. corrected: the newest correction takes the place of the prediction, where there is one."""

    name: str
    instances: bool = False
    pictures: bool = False
    corrected: bool = True

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "instances": self.instances, "pictures": self.pictures, "corrected": self.corrected}


def export_fault(value: object) -> str | None:
    """What is wrong with `"cvat"` or `{"name": "cvat", "instances": true}`; None when nothing is."""
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        return f"must be a name or an object, got {type(value).__name__}"
    if not isinstance(given.get("name"), str) or given["name"] not in EXPORTS:
        return f"unknown export {given.get('name')!r}; known are {', '.join(EXPORTS)}"
    for name, switch in given.items():
        if name != "name" and (name not in SWITCHES or not isinstance(switch, bool)):
            return f"takes name, and {', '.join(SWITCHES)} as true or false; got {name}: {switch!r}"
    return None


def read_choice(value: object) -> ExportChoice:
    """Of a value without a fault."""
    return ExportChoice(name=value) if isinstance(value, str) else ExportChoice(**dict(value))  # type: ignore[call-overload]
