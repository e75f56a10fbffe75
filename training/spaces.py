"""Label spaces in training: one of the published or the user's own file, and the one in which models are compared."""

from collections.abc import Sequence
from pathlib import Path

from segmentation.errors import NoRemapping
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.label_spaces import LABEL_SPACES, get_label_space


def find_label_space(reference: str) -> LabelSpace:
    """The name of a published space, or the path of a JSON file. Raises UnknownLabelSpace, InvalidLabelSpace."""
    return load_label_space(Path(reference)) if reference.endswith(".json") else get_label_space(reference)


def common_space(spaces: Sequence[LabelSpace]) -> LabelSpace:
    """Where all of them can be scored: the one among them with the fewest classes to which tables lead from all.

    A model with more classes is not blamed for telling apart what the data does not, and the other way round. Only
    where none of them will do, a published space, the one with the most classes. Raises NoRemapping.
    """
    among = [space for space in spaces if _reached(space, spaces)]
    if among:
        return min(among, key=_size)
    published = [space for space in LABEL_SPACES.values() if _reached(space, spaces)]
    if published:
        return max(published, key=_size)
    names = ", ".join(dict.fromkeys(space.name for space in spaces))
    raise NoRemapping(f"there is no label space that tables lead to from all of {names}")


def _reached(target: LabelSpace, spaces: Sequence[LabelSpace]) -> bool:
    return all(space.name == target.name or target.name in space.mappings for space in spaces)


def _size(space: LabelSpace) -> int:
    return sum(each not in space.void_ids for each in space.class_ids)
