"""LabelSpace: which classes exist, what their ids mean, and how ids turn into another space's ids.

The published spaces are in `label_spaces/`; colours for drawing are made in `palette.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import InvalidLabelSpace, NoRemapping

RGB = tuple[int, int, int]

MAX_ID = 255  # ids are stored as uint8
MAX_NAME = 64
VOID_GROUP = "void"


@dataclass(frozen=True)
class LabelClass:
    """One class. `colour` is RGB in 0..255; classes of the group "void" count in no metric."""

    id: int
    name: str
    colour: RGB
    group: str


@dataclass(frozen=True)
class LabelSpace:
    """The classes of a data set or model, and where their ids go in other spaces.

    ignore_id: the id of pixels that count nowhere; it may, but need not, be listed among the classes.
    mappings: name of a target space → (own id → id there). Ids that a mapping leaves out become void there.
    Raises InvalidLabelSpace on construction.
    """

    name: str
    classes: tuple[LabelClass, ...]
    ignore_id: int | None = None
    mappings: Mapping[str, Mapping[int, int]] = field(default_factory=dict, hash=False)
    description: str = ""

    def __post_init__(self) -> None:
        _check_classes(self)
        _check_mappings(self)

    @cached_property
    def by_id(self) -> Mapping[int, LabelClass]:
        return {each.id: each for each in self.classes}

    @cached_property
    def class_count(self) -> int:
        """1 + the highest id that is not ignored: the side of a confusion matrix."""
        return 1 + max(each.id for each in self.classes if each.id != self.ignore_id)

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        """The ids of all classes but the ignored one, ascending: channel i of a model's logits is class_ids[i]."""
        return tuple(sorted(each.id for each in self.classes if each.id != self.ignore_id))

    @cached_property
    def void_ids(self) -> frozenset[int]:
        """Every id that counts in no metric: the ignored one, the void group, and ids of no class."""
        counted = {each.id for each in self.classes if each.group != VOID_GROUP and each.id != self.ignore_id}
        return frozenset(range(MAX_ID + 1)) - counted

    @cached_property
    def void_id(self) -> int:
        """The id for "nothing known": ignore_id, else the first void class, else the highest one that is no class's."""
        if self.ignore_id is not None:
            return self.ignore_id
        unused = next((each for each in range(MAX_ID, -1, -1) if each not in self.by_id), MAX_ID)
        return next((each.id for each in self.classes if each.group == VOID_GROUP), unused)

    def names(self) -> tuple[str, ...]:
        """The name of each id from 0 to class_count - 1, in that order (`id 7` where an id is unused)."""
        return tuple(self.name_of(each) for each in range(self.class_count))

    def name_of(self, class_id: int) -> str:
        found = self.by_id.get(class_id)
        return f"id {class_id}" if found is None else found.name

    def remapping_to(self, target: "LabelSpace") -> NDArray[np.uint8]:
        """(256,) table from own ids to the target's; what has no counterpart becomes `target.void_id`.

        Identity when the target is this space. Raises NoRemapping when no mapping leads there, when one leads to ids
        that the target does not have (255 is void anywhere), and when the target is another space of the same name: its
        ids mean something else.
        """
        table = _table(self, target)
        told = {} if target == self else self.mappings[target.name]
        if nowhere := sorted({*told.values()} - {*target.by_id, target.ignore_id, MAX_ID}):
            raise NoRemapping(
                f"the mapping from {self.name} to {target.name} leads to ids that are none there: "
                f"{', '.join(map(str, nowhere))}"
            )
        return table

    def goes_on_in(self, later: "LabelSpace") -> bool:
        """Whether every id means there what it means here: another space of this name may have more classes, colours
        or mappings."""
        here, there = (
            {each.id: (each.name, each.id in space.void_ids) for each in space.classes} for space in (self, later)
        )
        return here.items() <= there.items() and self.ignore_id in (None, later.ignore_id)

    def missing_from(self, source: "LabelSpace") -> tuple[LabelClass, ...]:
        """The classes that count here and that no map of `source` has after remapping: a model of `source` cannot give
        them. Of a mapping that leads to ids that are none here too: jobs from when those were taken are still read.
        Raises NoRemapping when no mapping leads here."""
        given = set(_table(source, self)[list(source.class_ids)].tolist())
        return tuple(each for each in self.classes if each.id not in given and each.id not in self.void_ids)

    def to_dict(self) -> dict[str, Any]:
        """The form that `load_label_space` reads."""
        return {
            "name": self.name,
            "description": self.description,
            "ignore_id": self.ignore_id,
            "classes": [
                {"id": each.id, "name": each.name, "colour": list(each.colour), "group": each.group}
                for each in self.classes
            ],
            "mappings": {
                target: {str(own): there for own, there in mapping.items()} for target, mapping in self.mappings.items()
            },
        }

    @classmethod
    def from_dict(cls, value: object) -> "LabelSpace":
        """Raises InvalidLabelSpace when a field is missing or of another type."""
        try:
            return _from_dict(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidLabelSpace(
                "a label space needs name, classes [{id, name, colour: [r, g, b], group}], ignore_id, "
                f"mappings {{space: {{id: id}}}}; {type(error).__name__}: {error}"
            ) from error


def load_label_space(path: Path) -> LabelSpace:
    """Read a label space from a JSON file. Raises InvalidLabelSpace, also when the file is no JSON or not there, and
    when no id is left for pixels of which nothing is known: they would be a class. Of jobs from when such were taken
    `from_dict` still reads them."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidLabelSpace(f"{path.name} cannot be read as JSON: {error}") from error
    space = LabelSpace.from_dict(value)
    _require(
        space.void_id in space.void_ids,
        f"{space.name}: all {MAX_ID + 1} ids are classes that count; one has to stay for pixels of which nothing is "
        'known: take a class out, give it the group "void", or name it as ignore_id',
    )
    return space


def _from_dict(value: Any) -> LabelSpace:
    return LabelSpace(
        name=_text(value["name"]),
        classes=tuple(_class_from_dict(each) for each in value["classes"]),
        ignore_id=None if value.get("ignore_id") is None else _whole(value["ignore_id"]),
        mappings={
            target: {int(own): _whole(there) for own, there in mapping.items()}
            for target, mapping in value.get("mappings", {}).items()
        },
        description=_text(value.get("description", "")),
    )


def _class_from_dict(value: Any) -> LabelClass:
    red, green, blue = value["colour"]
    return LabelClass(
        id=_whole(value["id"]),
        name=_text(value["name"]),
        colour=(_whole(red), _whole(green), _whole(blue)),
        group=_text(value["group"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _check_classes(space: LabelSpace) -> None:
    _require(0 < len(space.name) <= MAX_NAME, f"a label space needs a name of 1 to {MAX_NAME} letters")
    ids = [each.id for each in space.classes]
    names = [each.name for each in space.classes]
    _require(len(set(ids)) == len(ids), f"{space.name}: class ids must be unique, got {ids}")
    _require(len(set(names)) == len(names), f"{space.name}: class names must be unique, got {names}")
    _require(any(each != space.ignore_id for each in ids), f"{space.name}: needs a class that is not ignored")
    for each in space.classes:
        _require(_is_id(each.id), f"{space.name}: ids must be 0..{MAX_ID}, got {each.id} for {each.name!r}")
        _require(bool(each.name), f"{space.name}: class {each.id} needs a name")
        fits = all(0 <= part <= 255 for part in each.colour)
        _require(fits, f"{space.name}: colours must be three numbers 0..255, got {each.colour} for {each.name!r}")
    fits = space.ignore_id is None or _is_id(space.ignore_id)
    _require(fits, f"{space.name}: ignore_id must be 0..{MAX_ID} or null, got {space.ignore_id}")


def _table(source: LabelSpace, target: LabelSpace) -> NDArray[np.uint8]:
    """As `remapping_to`, wherever the mapping leads."""
    if target == source:
        return np.arange(MAX_ID + 1, dtype=np.uint8)
    if target.name == source.name:
        raise NoRemapping(f"there are two label spaces called {source.name}, and their classes differ")
    mapping = source.mappings.get(target.name)
    if mapping is None:
        raise NoRemapping(
            f"no remapping from {source.name} to {target.name}; from it there are {sorted(source.mappings) or 'none'}"
        )
    table = np.full(MAX_ID + 1, target.void_id, dtype=np.uint8)
    table[list(mapping.keys())] = list(mapping.values())
    return table


def _check_mappings(space: LabelSpace) -> None:
    for target, mapping in space.mappings.items():
        wrong = [pair for pair in mapping.items() if not all(_is_id(each) for each in pair)]
        _require(not wrong, f"{space.name}: the mapping to {target} must hold ids 0..{MAX_ID}, got {wrong}")


def _is_id(value: int) -> bool:
    return 0 <= value <= MAX_ID


def _require(true: bool, message: str) -> None:
    if not true:
        raise InvalidLabelSpace(message)
