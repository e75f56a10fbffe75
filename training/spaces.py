"""Label spaces in training: one of the published or the user's own file, and the one in which models are compared."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from segmentation.errors import InvalidLabelSpace, NoRemapping
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.label_spaces import LABEL_SPACES, LabelSpaces, get_label_space, is_published

_OTHER_SIDE = {"left": "right", "right": "left"}
_SIDE = re.compile("|".join(_OTHER_SIDE))
LABEL_SPACE = "label_space.json"  # in a run, a bundle or a data set: the user's own


def find_label_space(reference: str) -> LabelSpace:
    """The name of a published space, or the path of a JSON file. Raises UnknownLabelSpace, InvalidLabelSpace.

    A file may not give a published space's name to other classes: no reader could tell the two apart.
    """
    if not reference.endswith(".json"):
        return get_label_space(reference)
    if not Path(reference).is_file():
        raise InvalidLabelSpace(f"there is no file {reference}: paths are those of the folder where the command runs")
    space = load_label_space(Path(reference))
    LabelSpaces().with_own(space)
    return space


def write_label_space(space: LabelSpace, folder: Path) -> Path:
    path = folder / LABEL_SPACE
    path.write_text(json.dumps(space.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def what_ids_mean(space: LabelSpace) -> str:
    """The name of a published space; of one's own also a digest of all but its description."""
    if is_published(space):
        return space.name
    content = json.dumps({**space.to_dict(), "description": ""}, sort_keys=True)
    return f"{space.name} {hashlib.sha256(content.encode()).hexdigest()[:16]}"


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
    raise NoRemapping(
        f"there is no label space that tables lead to from all of {names}: mappings in the JSON file of a space of "
        "one's own would be such tables"
    )


def sided_classes(space: LabelSpace) -> list[tuple[str, str]]:
    """Classes that a mirror exchanges by their names: `left arm` and `right arm`. Each pair once."""
    by_text = {each.name.lower(): each.name for each in space.classes}
    mirrored = ((text, _SIDE.sub(lambda found: _OTHER_SIDE[found[0]], text)) for text in sorted(by_text))
    return [(by_text[text], by_text[other]) for text, other in mirrored if text < other and other in by_text]


def _reached(target: LabelSpace, spaces: Sequence[LabelSpace]) -> bool:
    return all(space.name == target.name or target.name in space.mappings for space in spaces)


def _size(space: LabelSpace) -> int:
    return sum(each not in space.void_ids for each in space.class_ids)
