"""Classes by the names that annotation tools know them by: which class of a label space a tool's label is."""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from segmentation.label_space import LabelSpace
from segmentation.masks.mask_check import knows
from training.datasets.pairs import DatasetError

VOID = "void"
BACKGROUND = "background"
_CALLED_SO = re.compile(rf"{BACKGROUND}(?: \(\d+\))?")  # with the number that exports give a class of this name
OTHERS = "*"  # in the option `classes`: every label that no class is called as


class LabelNames:
    """Finds ids of classes. space: whose classes they are. classes: of some labels the name of their class, or `void`.

    there: the labels that the annotations know. Raises DatasetError for what `classes` names and nothing is called so.
    """

    def __init__(self, space: LabelSpace, classes: object, *, there: Collection[str]) -> None:
        self.space = space
        given = _table(classes)
        strange = [label for label in given if label not in there and label != OTHERS]
        if strange:
            raise DatasetError(f"classes: no label is called {_named(strange)}; there are {_named(there) or 'none'}")
        self._given = {label: self.class_id(name) for label, name in given.items()}

    def find(self, label: str) -> int | None:
        """As `classes` says, else the class of this name, whatever its capitals; None where there is none."""
        found = self._given.get(label, self._class_called(label))
        return self._given.get(OTHERS) if found is None else found

    def ids_of(self, labels: Iterable[str]) -> dict[str, int]:
        """Raises DatasetError, which names the labels that are no class's."""
        found = {label: self.find(label) for label in labels}
        if unknown := [label for label, class_id in found.items() if class_id is None]:
            raise DatasetError(self.unknown(unknown))
        return {label: class_id for label, class_id in found.items() if class_id is not None}

    def unknown(self, labels: Collection[str]) -> str:
        """What is said of labels that are no class's."""
        return (
            f"{self.space.name} has no class called {_named(labels)}, but {_named(self._names)}: say with the option "
            f'classes which class each is, or "{VOID}" where its pixels shall count nowhere ("{OTHERS}" is all others)'
        )

    def class_id(self, name: str) -> int:
        """Of a class, or of `void`. Raises DatasetError for what is neither."""
        found = self._class_called(name)
        if found is not None:
            return found
        if name != VOID:
            raise DatasetError(f"{self.space.name} has no class called {name!r}, but {_named(self._names)}, and {VOID}")
        if not knows(self.space, self.space.void_id):
            raise DatasetError(f"{self.space.name} has no id for what is void: give it an ignore_id")
        return self.space.void_id

    def background_id(self, option: str, *, annotated: Collection[str] = ()) -> int | None:
        """Of pixels that nobody labelled: the class that is named, or `void`; else that of the label `background`, or
        the class that is called so; None where nothing says what they are. Raises DatasetError.

        annotated: labels that were drawn. Where one of them is called so too, what was not drawn is something else: our
        own documents leave void alone, and nothing else.
        """
        if option:
            return self.class_id(option)
        if BACKGROUND in self._given:
            return self._given[BACKGROUND]
        called = self._class_called(BACKGROUND)
        drawn = any(_CALLED_SO.fullmatch(each.strip().casefold()) and self.find(each) == called for each in annotated)
        return None if drawn else called

    @cached_property
    def _names(self) -> Mapping[str, int]:
        return {each.name: each.id for each in self.space.classes}

    @cached_property
    def _folded(self) -> Mapping[str, int]:
        """Without names that differ in capitals alone."""
        folded = [name.strip().casefold() for name in self._names]
        ids = zip(folded, self._names.values(), strict=True)
        return {name: class_id for name, class_id in ids if folded.count(name) == 1}

    def _class_called(self, name: str) -> int | None:
        return self._names.get(name, self._folded.get(name.strip().casefold()))


def _table(classes: object) -> Mapping[str, str]:
    given: Any = {} if classes is None else classes
    if not isinstance(given, dict) or not all(isinstance(each, str) for pair in given.items() for each in pair):
        raise DatasetError(f"classes: expected a table of labels and names of classes, got {classes!r}")
    return given


def unclear_background(share: float, where: str) -> str:
    """What is said where pixels that nobody labelled are of no class. where: they are, in words."""
    how_many = f"{100 * share:.1f} %" if share >= 0.001 else "some"
    return (
        f"{how_many} of its pixels are {where}: say with the option {BACKGROUND} what they are, the name of a class, "
        f'or "{VOID}" where they shall count nowhere'
    )


def one_of(option: str, value: object, allowed: Collection[str]) -> None:
    """Raises DatasetError."""
    if value not in allowed:
        raise DatasetError(f"{option}: got {value!r}; allowed: {_named(allowed)}")


def _named(names: Iterable[str]) -> str:
    return ", ".join(repr(each) for each in names)
