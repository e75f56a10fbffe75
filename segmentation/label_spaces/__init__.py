"""The published label spaces. To add one: write its file, list it here; the contract tests then cover it."""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation.errors import InvalidLabelSpace, UnknownLabelSpace
from segmentation.label_space import LabelSpace
from segmentation.label_spaces.camvid_11 import CAMVID_11
from segmentation.label_spaces.cityscapes_8 import CITYSCAPES_8
from segmentation.label_spaces.cityscapes_19 import CITYSCAPES_19
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from segmentation.label_spaces.oxford_pets_3 import OXFORD_PETS_3

LABEL_SPACES: dict[str, LabelSpace] = {
    space.name: space for space in (CITYSCAPES_34, CITYSCAPES_19, CITYSCAPES_8, CAMVID_11, OXFORD_PETS_3)
}


@dataclass(frozen=True, slots=True)
class LabelSpaces:
    """The label spaces that somebody can name: the published ones, and those that models or jobs bring along.

    Two spaces of one name are never both here: masks of one would be read as the other's.
    """

    own: tuple[LabelSpace, ...] = ()

    def __post_init__(self) -> None:
        """Raises InvalidLabelSpace when two that differ have one name."""
        known = dict(LABEL_SPACES)
        for space in self.own:
            if known.setdefault(space.name, space) != space:
                raise InvalidLabelSpace(f"there is another label space called {space.name!r}: call this one otherwise")

    def get(self, name: str) -> LabelSpace:
        """Raises UnknownLabelSpace, which names the choices."""
        found = self.find(name)
        if found is None:
            raise UnknownLabelSpace(f"no label space is called {name!r}; there are {', '.join(self.names())}")
        return found

    def find(self, name: str) -> LabelSpace | None:
        return LABEL_SPACES.get(name) or next((space for space in self.own if space.name == name), None)

    def all(self) -> Sequence[LabelSpace]:
        """The published ones first."""
        return list({space.name: space for space in (*LABEL_SPACES.values(), *self.own)}.values())

    def names(self) -> Sequence[str]:
        return [space.name for space in self.all()]

    def with_own(self, *spaces: LabelSpace) -> "LabelSpaces":
        """Raises InvalidLabelSpace when one has the name of another that differs."""
        added = tuple(dict.fromkeys(space for space in spaces if self.find(space.name) != space))
        return LabelSpaces((*self.own, *added)) if added else self


def is_published(space: LabelSpace) -> bool:
    return LABEL_SPACES.get(space.name) == space


def get_label_space(name: str) -> LabelSpace:
    """A published one. Raises UnknownLabelSpace, which names the choices."""
    return LabelSpaces().get(name)
