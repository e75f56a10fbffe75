"""The one guess of what the ids in masks mean: certain, or not made at all."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from segmentation.errors import UnclearMaskSpace
from segmentation.label_space import MAX_ID
from segmentation.masks.mask_check import spaces_that_fit
from segmentation.masks.mask_names import MaskKind, read_mask_name

_TELLING = 3  # ids; two of them are a mask of something against its background
_FILLED = 10  # classes of a space that all occur: a space of fewer is easily filled by another's first ids


def space_of_kinds(kinds: AbstractSet[MaskKind]) -> str | None:
    """What the names say, None when they say nothing. Raises UnclearMaskSpace when they contradict one another."""
    spaces = {kind.space for kind in kinds if kind is not MaskKind.NO_IDS}
    if len(spaces) > 1:
        told = ", ".join(sorted(space or "none" for space in spaces))
        raise UnclearMaskSpace(f"the names of the masks speak of several label spaces ({told})")
    return next(iter(spaces), None)


def space_of_names(names: Iterable[str]) -> str | None:
    """The same for file names: `x_gtFine_labelIds.png`, `x_labelTrainIds.png`."""
    return space_of_kinds({found.kind for name in names if (found := read_mask_name(name)) is not None})


def space_of_ids(ids: AbstractSet[int]) -> str | None:
    """The published label space that the ids in masks must come from; None when it could be another one, or is none.

    ids: all that occur in as many masks as can be had; a few masks say little.
    """
    classes = frozenset(ids) - {
        MAX_ID
    }  # which many data sets write for "nothing known", also beside two classes of their own
    knowing = spaces_that_fit(classes)
    filled = [space for space in knowing if len(space.class_ids) >= _FILLED and classes.issuperset(space.class_ids)]
    certain = filled if len(filled) == 1 else knowing
    return certain[0].name if len(classes) >= _TELLING and len(certain) == 1 else None
