"""Whether the ids of a mask mean something in a label space: what does not is found and explained, never ignored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import LABEL_SPACES
from segmentation.measures.counting import count_ids

MOSTLY = 0.9  # share of pixels without a class that counts, above which a mask is hardly a truth
_NAMED_IDS = 8
_USUAL_IGNORED = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskReport:
    """unknown: each id that the label space does not know, with its share of all pixels, the largest first.

    ignored_share: of pixels whose id is known and counts nowhere. Shares are in [0, 1]. hint: what the ids look like,
    for people; empty when there is nothing to guess.
    """

    unknown: Mapping[int, float] = field(default_factory=dict)
    ignored_share: float = 0.0
    hint: str = ""

    @property
    def unknown_share(self) -> float:
        return sum(self.unknown.values())

    @property
    def mostly_ignored(self) -> bool:
        return self.ignored_share + self.unknown_share > MOSTLY

    def unknown_text(self) -> str:
        """`id 23 (41.2 %), id 21 (8.0 %)`, and how many more; empty without any."""
        named = [f"id {each} ({percent(share)})" for each, share in self.unknown.items()]
        more = len(named) - _NAMED_IDS
        return ", ".join(named[:_NAMED_IDS]) + (f" and {more} more" if more > 0 else "")


def percent(share: float) -> str:
    """Of pixels, for people: 0.412 → `41.2 %`."""
    return f"{share:.1%}".replace("%", " %")


def inspect_mask(
    ids: NDArray[np.uint8], space: LabelSpace, *, spaces: Iterable[LabelSpace] = LABEL_SPACES.values()
) -> MaskReport:
    """ids: (H, W) uint8, as the mask holds them; spaces: those that hints may name."""
    return inspect_counts(count_ids(ids), space, spaces=spaces)


def inspect_counts(
    counts: NDArray[np.int64], space: LabelSpace, *, spaces: Iterable[LabelSpace] = LABEL_SPACES.values()
) -> MaskReport:
    """counts: (256,) pixels of each id, of one mask or of many together."""
    pixels = int(counts.sum())
    if not pixels:
        return MaskReport()
    present = np.flatnonzero(counts).tolist()
    strange = sorted((each for each in present if not knows(space, each)), key=lambda each: -int(counts[each]))
    ignored = sum(int(counts[each]) for each in present if each in space.void_ids and each not in strange)
    return MaskReport(
        unknown={each: int(counts[each]) / pixels for each in strange},
        ignored_share=ignored / pixels,
        hint=_hint(present, strange, space, spaces) if strange else "",
    )


def newly_open(ids: NDArray[np.uint8], space: LabelSpace, before: Iterable[LabelMap]) -> NDArray[np.bool_]:
    """(H, W): which pixels are of no class, and of one in all that was said of the picture before. ids: (H, W)."""
    found: NDArray[np.bool_] = ids == space.void_id
    for each in before:
        if each.ids.shape == found.shape:
            found = found & (each.ids != space.void_id)
    return found


def knows(space: LabelSpace, class_id: int) -> bool:
    return class_id in space.by_id or class_id == space.ignore_id


def spaces_that_fit(
    present: Iterable[int], spaces: Iterable[LabelSpace] = LABEL_SPACES.values()
) -> Sequence[LabelSpace]:
    """The label spaces that know every one of these ids, those with the fewest classes first."""
    ids = list(present)
    return sorted((each for each in spaces if all(knows(each, i) for i in ids)), key=lambda each: len(each.classes))


def _hint(present: list[int], strange: list[int], space: LabelSpace, spaces: Iterable[LabelSpace]) -> str:
    if strange == [_USUAL_IGNORED] and len(present) > 2:
        ignored = "ignores no id" if space.ignore_id is None else f"ignores {space.ignore_id}"
        return f"255 often stands for what counts nowhere, but {space.name} {ignored}"
    if len(present) <= 2 and max(present) == _USUAL_IGNORED:
        return " and ".join(str(each) for each in present) + ": a two-class mask, its pixels are not class ids"
    names = [each.name for each in spaces_that_fit(present, spaces) if each.name != space.name]
    if names:
        return f"these look like {' or '.join(names)} ids"
    if len(present) > 2 and _is_even(present):
        return "evenly spread values: grey levels that stand for classes, not class ids"
    return ""


def _is_even(present: list[int]) -> bool:
    steps = {after - before for before, after in pairwise(present)}
    return len(steps) == 1 and steps != {1}
