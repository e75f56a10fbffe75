"""How the classes of a label space are called in annotation tools: numbers from 1, one name and one colour each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import UnreadableExport
from segmentation.label_space import RGB, LabelSpace
from segmentation.palette import BLACK, voc_colours

BACKGROUND = "background"  # what tools call pixels that nobody labelled
IGNORED_COLOUR: RGB = (224, 224, 192)  # of what counts nowhere, in Pascal VOC's masks


class Label(NamedTuple):
    """number: from 1, in the order of the ids; what tools call the category's id."""

    number: int
    id: int
    name: str
    colour: RGB


@dataclass(frozen=True)
class Labels:
    """Every class but that of the void id, whose pixels stay unlabelled."""

    all: Sequence[Label]
    void_id: int

    @classmethod
    def of(cls, space: LabelSpace) -> "Labels":
        """Colours that two classes share, black, which is the background's, and that of what counts nowhere give way to
        others."""
        found: list[Label] = []
        taken, names = {BLACK, IGNORED_COLOUR}, {BACKGROUND}
        free = voc_colours()
        for each in sorted(space.classes, key=lambda each: each.id):
            if each.id == space.void_id:
                continue
            colour = each.colour
            while colour in taken:
                colour = next(free)
            taken.add(colour)
            name = plain = each.name.strip().replace(":", "_").replace("#", "_")
            while name.casefold() in names:
                name = f"{plain} ({each.id})"
                plain = name
            names.add(name.casefold())
            found.append(Label(len(found) + 1, each.id, name, colour))
        return cls(found, space.void_id)

    @cached_property
    def by_id(self) -> Mapping[int, Label]:
        return {each.id: each for each in self.all}

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        return {BACKGROUND: self.void_id, **{each.name.casefold(): each.id for each in self.all}}

    def id_of(self, name: object, *, where: str = "") -> int:
        """where: what names it, for the error. Raises UnreadableExport for a name that is no class of the job."""
        found = self._ids.get(str(name).strip().casefold())
        if found is None:
            told = f"there is no class {str(name)[:80]!r}; there are {', '.join(sorted(self._ids))}"
            raise UnreadableExport(f"{where}: {told}" if where else told)
        return found

    @cached_property
    def numbers(self) -> NDArray[np.uint8]:
        """(256,) from class ids to numbers; 0 for what is unlabelled."""
        table = np.zeros(256, np.uint8)
        for each in self.all:
            table[each.id] = each.number
        return table

    @cached_property
    def palette(self) -> NDArray[np.uint8]:
        """(256, 3) colours by number."""
        table = np.zeros((256, 3), np.uint8)
        for each in self.all:
            table[each.number] = each.colour
        return table
