"""What ids mean in a job, kept with it: a model may go, or bring other classes, while its results stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LabelSpaces

_FLAGS = ("archived", "leaves_out", "unmarked")


@dataclass(frozen=True, slots=True)
class JobSpaces:
    """models: the name of each model's own label space, in their order; empty where an older row does not tell.

    own: the label spaces that the job names and that are not published. archived: whether its archive has that of its
    results, which those of older jobs have not: an archive stays the same bytes. leaves_out: likewise, whether means
    between two models are taken without the classes that one of them has no way to give. unmarked: likewise, whether
    means are taken without the classes that its masks have no way to show.
    """

    models: tuple[str, ...] = ()
    own: tuple[LabelSpace, ...] = ()
    archived: bool = False
    leaves_out: bool = False
    unmarked: bool = False

    def get(self, name: str) -> LabelSpace:
        """Raises UnknownLabelSpace."""
        return LabelSpaces(self.own).get(name)

    def missing_from(self, target: str, model: int) -> tuple[LabelClass, ...]:
        """The classes of a label space that the model at this position has no way to give."""
        if model >= len(self.models):
            return ()
        return self.get(target).missing_from(self.get(self.models[model]))

    def to_dict(self) -> dict[str, Any] | None:
        """None where there is nothing to tell."""
        if self == JobSpaces():
            return None
        told = {"models": list(self.models), "own": [space.to_dict() for space in self.own]}
        return told | {name: True for name in _FLAGS if getattr(self, name)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any] | None) -> JobSpaces:
        if value is None:
            return cls()
        own = tuple(LabelSpace.from_dict(each) for each in value["own"])
        flags = {name: value.get(name, False) for name in _FLAGS}
        return cls(tuple(value["models"]), own, **flags)
