"""A plain folder: `images/` + `masks/` with the same stems, or `x.jpg` beside `x_mask.png`."""

import logging
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

import numpy as np

from jobs.comparing.pages.wording import counted
from segmentation.errors import SegmentationError
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.label_spaces import get_label_space, is_published
from segmentation.masks.mask_names import LABEL_IDS, TRAIN_IDS, MaskKind, MaskName, picture_stem, read_mask_name
from segmentation.masks.mask_space import space_of_ids, space_of_names
from segmentation.measures.counting import count_ids
from segmentation.picture_files.picture_kinds import PICTURE_KINDS
from training.datasets.colour_masks import first_of_colour, read_colour_mask
from training.datasets.pairs import About, DatasetError, PairDataset, is_hidden, read_mask
from training.datasets.splitting import part_of
from training.spaces import LABEL_SPACE, find_label_space

PICTURE_SUFFIXES = tuple(suffix for kind in PICTURE_KINDS.values() for suffix in kind.suffixes)
# Of several kinds of one truth the first; by the label space that the masks are said to be in.
ORDER = (MaskKind.LABEL_IDS, MaskKind.IDS, MaskKind.TRAIN_IDS)
ORDERS = {LABEL_IDS: (MaskKind.LABEL_IDS, MaskKind.IDS), TRAIN_IDS: (MaskKind.TRAIN_IDS, MaskKind.IDS)}
DEFAULT_COLOURS = "cityscapes-34"
IMAGES = "images"  # beside masks/
GUESSED_FROM = 64  # masks, spread over the folder

logger = logging.getLogger(__name__)


class _NoPairs(DatasetError):
    """Nothing in a folder is a picture, or no picture has a mask. Whatever else is wrong, is so in this very folder."""


def folder(
    root: Path, split: str, *, label_space: str = "", colours: bool = False, validation_share: float = 0.0
) -> PairDataset:
    """`root/split` where that folder exists, else `root`, undivided or with a share held back for the split val.

    label_space: a name or a JSON file; else `label_space.json` in the root, else what names and ids of the masks leave
    no doubt about, which is told. colours: the masks show the space's colours (cityscapes-34's where none is given)
    instead of ids. Raises DatasetError when no picture has a mask, and when it is not clear what the ids mean.
    """
    divided = (root / split).is_dir()
    place = root / split if divided else root
    space = given_space(root, label_space)
    try:
        pairs = _pairs(place, ORDERS.get(space.name, ORDER) if space else ORDER)
    except _NoPairs as error:
        if divided or (root / IMAGES).is_dir() or not (there := _splits(root)):
            raise
        raise DatasetError(f"{root} has no folder {split!r}, but {', '.join(there)}: which split is meant?") from error
    if validation_share and divided:
        text = "%s has a folder for each split: validation_share = %g counts nowhere"
        logger.warning(text, root, validation_share)
    elif validation_share:
        pairs = part_of(pairs, split, validation_share=validation_share)
    if space is None:
        masks = [mask for _, mask in pairs]
        space = get_label_space(DEFAULT_COLOURS) if colours else _guessed_space(place, masks)
    if colours:
        _check_colours(place, space)
    about = About(title=f"folder {place.name}", licence="unknown: the owner of the folder knows")
    reader = partial(read_colour_mask, space=space) if colours else None
    return PairDataset(pairs, space=space, about=about, read_mask_with=reader)


def _pairs(place: Path, order: Sequence[MaskKind]) -> list[tuple[Path, Path]]:
    """In either layout. Raises DatasetError."""
    images = place / IMAGES
    return pairs_by_stem(images, place / "masks", order) if images.is_dir() else pairs_side_by_side(place, order)


def _splits(root: Path) -> list[str]:
    return [each.parent.name for each in sorted(root.glob(f"*/{IMAGES}"))]


def given_space(root: Path, reference: str) -> LabelSpace | None:
    """That which is named, else the user's own in the root, if there is one. Raises what `find_label_space` does."""
    own = root / LABEL_SPACE
    if not reference and own.is_file():
        return load_label_space(own)
    return find_label_space(reference) if reference else None


def required_space(root: Path, reference: str) -> LabelSpace:
    """As `given_space`. Raises DatasetError where none is given."""
    space = given_space(root, reference)
    if space is None:
        raise DatasetError(
            f"which classes are meant by the names in {root}? Give the data set the option label_space (a name or a "
            f"JSON file), or put a {LABEL_SPACE} there"
        )
    return space


def _check_colours(place: Path, space: LabelSpace) -> None:
    """Of classes with one colour the lowest id is read. Raises DatasetError where pixels that count would be taken for
    others; of a published space, whose colours nobody can change, it is told."""
    alike = [
        f"{each.name} has the colour of {first.name}"
        for each in space.classes
        if (first := first_of_colour(space, each.colour)) != each and not {first.id, each.id} <= space.void_ids
    ]
    said = f"in {space.name} {', '.join(alike)}"
    if alike and not is_published(space):
        raise DatasetError(f"the masks in {place} show colours, and {said}: give each class a colour of its own")
    if alike:
        logger.warning("the masks in %s show colours, and %s: it is read so", place, said)


def _guessed_space(place: Path, masks: Sequence[Path]) -> LabelSpace:
    """Raises DatasetError."""
    name, told = space_of_names(mask.name for mask in masks), "their names say so"
    if name is None:
        ids = _ids_in(masks[:: max(1, len(masks) // GUESSED_FROM)])
        name, told = space_of_ids(ids), f"their ids are {', '.join(map(str, sorted(ids)))}"
    if name is None:
        raise DatasetError(
            f"nothing says for certain what the masks in {place} mean ({told}): "
            f"give the data set the option label_space (a name or a JSON file), or put a {LABEL_SPACE} there"
        )
    logger.warning("the masks in %s are read as %s: %s", place, name, told)
    return get_label_space(name)


def _ids_in(masks: Iterable[Path]) -> set[int]:
    """Raises DatasetError."""
    found: set[int] = set()
    for mask in masks:
        try:
            found.update(np.flatnonzero(count_ids(read_mask(mask))).tolist())
        except (SegmentationError, OSError) as error:
            raise DatasetError(f"{mask} cannot be used: {error}") from error
    return found


def pairs_by_stem(pictures: Path, masks: Path, order: Sequence[MaskKind] = ORDER) -> list[tuple[Path, Path]]:
    """Every picture of one folder with the mask of its stem in the other, by name. Raises DatasetError.

    A mask with a picture's whole stem is that picture's, whatever the stem ends in: `0001_L.png` of `0001_L.jpg`.
    """
    found = pictures_in(pictures)
    _tell_of_deeper(pictures)
    truths = _masks_in(masks, order, whole=frozenset(picture_stem(each.name) for each in found))
    _require_one_each(found)
    missing = [each.stem for each in found if picture_stem(each.name) not in truths]
    if missing:
        raise DatasetError(
            f"missing in {masks}: {counted(len(missing), 'mask')}, the first is {missing[0]}.png"
            f"{_of_another_kind(masks)}"
        )
    stems = {picture_stem(each.name) for each in found}
    _tell_of_lonely("mask", masks, [mask for stem, mask in truths.items() if stem not in stems])
    return [(each, truths[picture_stem(each.name)]) for each in found]


def _of_another_kind(masks: Path) -> str:
    """What is said of pictures that lie where masks are looked for, and are none for their kind."""
    others = (each for each in sorted(masks.glob("*")) if each.suffix.lower() in PICTURE_SUFFIXES)
    other = next((each for each in others if each.suffix.lower() != ".png" and not is_hidden(each, masks)), None)
    return "" if other is None else f"; masks are PNG files, which {other.name} is not"


def pairs_side_by_side(place: Path, order: Sequence[MaskKind] = ORDER) -> list[tuple[Path, Path]]:
    """Every picture that has a mask beside it; others are left out, which is told. Raises DatasetError."""
    found, truths = pictures_in(place), _masks_in(place, order, named=True)
    pairs = [(each, truths[stem]) for each in found if (stem := picture_stem(each.name)) in truths]
    if not pairs:
        raise _NoPairs(f"no picture in {place} has a mask beside it (x.jpg with x_mask.png)")
    _require_one_each([picture for picture, _ in pairs])
    _tell_of_lonely("picture", place, [each for each in found if picture_stem(each.name) not in truths])
    return pairs


def _tell_of_lonely(what: str, place: Path, files: Sequence[Path]) -> None:
    """files: of a kind, those that have no counterpart."""
    if files:
        other = "mask" if what == "picture" else "picture"
        told = "%s: %s without a %s left out, the first is %s"
        logger.warning(told, place, counted(len(files), what), other, files[0].name)


def _require_one_each(pictures: Sequence[Path]) -> None:
    """Raises DatasetError for `a.jpg` and `a.png`: a mask is the truth of one picture."""
    found: dict[str, Path] = {}
    for each in pictures:
        other = found.setdefault(picture_stem(each.name), each)
        if other != each:
            raise DatasetError(
                f"{other.name} and {each.name} in {each.parent} would have one mask: rename one, or take it away"
            )


def _masks_in(
    place: Path, order: Sequence[MaskKind], *, named: bool = False, whole: AbstractSet[str] = frozenset()
) -> dict[str, Path]:
    """The masks of class ids in a folder by the stems of their pictures. named: those alone that are named as masks.

    whole: stems of which nothing is taken for an ending.
    Raises DatasetError when two are the truth of one picture.
    """
    files = sorted(each for each in place.iterdir() if each.suffix.lower() == ".png") if place.is_dir() else []
    read = [(path, _mask_name(path, whole)) for path in files if not is_hidden(path, place)]
    found: dict[str, Path] = {}
    for kind in order:
        here: dict[str, Path] = {}
        for path, name in read:
            if name.kind is kind and (name.named or not named) and name.stem not in found:
                other = here.setdefault(name.stem, path)
                if other != path:
                    raise DatasetError(f"{other.name} and {path.name} in {place} are masks of one picture")
        found |= here
    return found


def _mask_name(path: Path, whole: AbstractSet[str] = frozenset()) -> MaskName:
    if picture_stem(path.name) in whole:
        return MaskName(picture_stem(path.name), MaskKind.IDS, False)
    name = read_mask_name(path.name)
    assert name is not None  # without a suffix every name is read
    return name


def pictures_in(place: Path, *, below: bool = False) -> list[Path]:
    """The picture files of a folder by name, without hidden ones and masks beside them. Raises DatasetError.

    below: those in its folders too.
    """
    if not place.is_dir():
        raise DatasetError(f"there is no folder {place}")
    inside = sorted(place.rglob("*") if below else place.iterdir())
    found = [path for path in inside if path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path, place)]
    stems = {(path.parent, picture_stem(path.name)) for path in found if not _mask_name(path).named}
    found = [path for path in found if not _is_mask_beside(path, stems)]
    if not found:
        deeper = "" if below else _deeper(place)
        raise _NoPairs(f"no pictures in {place}{f' itself, and {deeper}' if deeper else ''}")
    return found


def _tell_of_deeper(place: Path) -> None:
    if deeper := _deeper(place):
        logger.warning("%s: %s", place, deeper)


def _deeper(place: Path) -> str:
    """What is said of pictures in the folders of a folder; empty where there are none."""
    folders = [each for each in place.iterdir() if each.is_dir()]
    found = (path for each in folders for path in each.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    inside = sorted(path for path in found if not is_hidden(path, place))
    if not inside:
        return ""
    first = inside[0].relative_to(place)
    return f"what lies in folders of its own is not read ({counted(len(inside), 'file')}, the first is {first})"


def _is_mask_beside(path: Path, stems: AbstractSet[tuple[Path, str]]) -> bool:
    name = _mask_name(path)
    return path.suffix.lower() == ".png" and name.named and (path.parent, name.stem) in stems
