"""Pascal VOC, and CVAT's "Segmentation mask 1.1": `SegmentationClass/`, `ImageSets/Segmentation/`, `labelmap.txt`.

Sources: VOC2012 development kit, section 2.4; CVAT's documentation, "Segmentation Mask".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from jobs.comparing.pages.wording import counted
from segmentation.errors import MaskMismatch
from segmentation.exports.label_maps import CLASSES
from segmentation.exports.labels import IGNORED_COLOUR
from segmentation.label_space import RGB
from segmentation.masks.mask_check import knows
from segmentation.palette import BLACK, voc_colours
from segmentation.picture_files.pictures import decode_picture
from training.datasets.colour_masks import ids_of_colours
from training.datasets.folder import pictures_in, required_space
from training.datasets.label_names import BACKGROUND, LabelNames, unclear_background
from training.datasets.pairs import MAX_PIXELS, About, DatasetError, Mask, PairDataset, is_hidden, read_mask
from training.datasets.splitting import called_as, listed, names_split, share_of
from training.datasets.unannotated import are_left_out, check_unannotated

LABEL_MAP = "labelmap.txt"
LISTS = Path("ImageSets", "Segmentation")
IGNORED = "ignored"
PICTURE_FOLDERS = ("JPEGImages", "images")


def voc(
    root: Path,
    split: str,
    *,
    label_space: str = "",
    pictures: str = "",
    classes: Mapping[str, str] | None = None,
    background: str = "",
    unannotated: str = "",
    validation_share: float = 0.2,
) -> PairDataset:
    """The list that is called as the split; a list of another name is divided: val (a share), train, all.

    With a labelmap.txt masks show its colours, without one ids of the label space. The options are explained in
    docs/datasets.md. Raises DatasetError, InvalidLabelSpace, UnknownLabelSpace.
    """
    check_unannotated(unannotated)
    space = required_space(root, label_space)
    colours = _label_map(root / LABEL_MAP)
    if not colours and (background or classes or unannotated == BACKGROUND):
        raise DatasetError(f"there is no {root / LABEL_MAP}: masks hold ids, which have no labels and no background")
    names = LabelNames(space, classes, there=[*colours.values()])
    drawn = [label for label in colours.values() if label != BACKGROUND]
    fill = names.background_id(background, annotated=drawn) if colours else None
    if not (root / CLASSES).is_dir():
        raise DatasetError(f"there is no folder {root / CLASSES}, where Pascal VOC has its masks")
    listed_in, listed = _listed(root, split)
    masks = {name: _mask_of(root / CLASSES, name) for name in listed}
    bare = [name for name, mask in masks.items() if not mask.is_file()]
    if unannotated != BACKGROUND:
        _require_masks(masks, listed_in)
    if are_left_out(bare, len(listed), option=unannotated, background=fill, space=space, where=listed_in):
        listed, bare = [name for name, mask in masks.items() if mask.is_file()], []
    of_name = _pictures(_picture_folder(root, pictures), listed, listed_in)
    pairs = [(file, masks[name]) for name, file in of_name.items()]
    part = share_of(pairs, split, listed_in=listed_in, name=listed_in.stem, validation_share=validation_share)
    blank = {masks[name]: of_name[name] for name in bare}
    reader = _Reader.of(names, colours, fill, blank) if colours else read_mask
    about = About(
        title=f"masks of {root.resolve().name} ({listed_in.stem})",
        licence="unknown: the owner of the pictures knows",
    )
    return PairDataset(part, space=space, about=about, read_mask_with=reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """ids: by colours, of those that have one. labels: of all colours. blank: masks that do not exist, of pictures that
    show nothing but background, with the pictures."""

    names: LabelNames
    labels: Mapping[RGB, str]
    ids: Mapping[RGB, int]
    background: int | None
    blank: Mapping[Path, Path]

    @classmethod
    def of(
        cls, names: LabelNames, labels: Mapping[RGB, str], background: int | None, blank: Mapping[Path, Path]
    ) -> "_Reader":
        ids = {colour: names.find(label) for colour, label in labels.items() if label != BACKGROUND}
        ids |= {colour: background for colour, label in labels.items() if label == BACKGROUND}
        space = names.space
        if ids[IGNORED_COLOUR] is None and labels[IGNORED_COLOUR] == IGNORED and knows(space, space.void_id):
            ids[IGNORED_COLOUR] = space.void_id
        known = {colour: each for colour, each in ids.items() if each is not None}
        return cls(names=names, labels=labels, ids=known, background=background, blank=blank)

    def __call__(self, path: Path) -> Mask:
        """Raises SegmentationError, OSError."""
        if path in self.blank:
            if self.background is None:
                raise MaskMismatch(unclear_background(1.0, "unlabelled"))
            height, width = decode_picture(self.blank[path].read_bytes(), max_pixels=MAX_PIXELS).shape[:2]
            return np.full((height, width), self.background, np.uint8)
        return ids_of_colours(path, self.ids, complaint=self._complaint)

    def _complaint(self, unknown: Mapping[RGB, float]) -> str:
        strange = [colour for colour in unknown if colour not in self.labels]
        if strange:
            return f"it has {counted(len(strange), 'colour')} that {LABEL_MAP} has not, the first is {strange[0]}"
        unlabelled = sum(share for colour, share in unknown.items() if self.labels[colour] == BACKGROUND)
        if unlabelled:
            return unclear_background(unlabelled, "unlabelled")
        return f"{LABEL_MAP}: {self.names.unknown([self.labels[colour] for colour in unknown])}"


def _label_map(path: Path) -> dict[RGB, str]:
    """Labels by their colours: those of the file, black as background and VOC's colour of borders; nothing where there
    is no file. Raises DatasetError."""
    if not path.is_file():
        return {}
    try:
        lines = [each.strip() for each in path.read_text(encoding="utf-8-sig").splitlines()]
        described = [each.split(":") for each in lines if each and not each.startswith("#")]
        palette = chain([BLACK], voc_colours())  # by number, where the file names no colour
        bare = not any(each[1].strip() for each in described)
        found: dict[RGB, str] = {}
        for name, colour, *_ in described:
            own = next(palette) if bare else _colour(colour)
            if found.setdefault(own, name) != name:
                raise DatasetError(f"{path}: {found[own]} and {name} have one colour, {own}")
    except (ValueError, IndexError) as error:
        raise DatasetError(f"{path} has lines that are not name:red,green,blue:parts:actions ({error})") from error
    return {BLACK: BACKGROUND, IGNORED_COLOUR: IGNORED, **found}


def _colour(text: str) -> RGB:
    red, green, blue = map(int, text.split(","))
    return red, green, blue


def _listed(root: Path, split: str) -> tuple[Path, list[str]]:
    """The list of a split, else the only other one, else all masks; with the names in it. Raises DatasetError."""
    lists = sorted((root / LISTS).glob("[!.]*.txt"))
    if not lists:
        place = root / CLASSES
        masks = sorted(each for each in place.rglob("*") if each.suffix.lower() == ".png")
        names = (each.relative_to(place).with_suffix("").as_posix() for each in masks if not is_hidden(each, place))
        return place, list(dict.fromkeys(names))
    found = [each for each in lists if called_as(each.stem, split)]
    found = found or [each for each in lists if not names_split(each.stem)]
    if len(found) != 1:
        raise DatasetError(f"{root / LISTS} has no list for {split!r}, but {', '.join(each.name for each in lists)}")
    return found[0], list(dict.fromkeys(each.strip('"') for each in listed(found[0])))


def _require_masks(masks: Mapping[str, Path], listed_in: Path) -> None:
    """masks: by the names in a list. Raises DatasetError where there is none: the names may be written otherwise."""
    if masks and not any(each.is_file() for each in masks.values()):
        name, first = next(iter(masks.items()))
        raise DatasetError(
            f"{listed_in} names {counted(len(masks), 'picture')} and none has a mask: of the first, {name}, "
            f"it would be {first}"
        )


def _mask_of(place: Path, name: str) -> Path:
    """Whether it is there or not."""
    files = [place / f"{name}{suffix}" for suffix in (".png", ".PNG")]
    return next((each for each in files if each.is_file()), files[0])


def _picture_folder(root: Path, given: str) -> Path:
    """Raises DatasetError."""
    named = [root / given, Path(given)] if given else [root / each for each in PICTURE_FOLDERS]
    found = next((each for each in named if each.is_dir()), None)
    if found is None:
        looked = " or ".join(map(str, named))
        raise DatasetError(f"there is no folder {looked}: the option pictures names that of the pictures")
    return found


def _pictures(place: Path, names: Collection[str], listed_in: Path) -> dict[str, Path]:
    """By name. Raises DatasetError for one that is missing, or there twice."""
    found: dict[str, list[Path]] = {}
    for each in pictures_in(place, below=True):
        found.setdefault(each.relative_to(place).with_suffix("").as_posix(), []).append(each)
    missing = [name for name in names if name not in found]
    if missing:
        raise DatasetError(
            f"missing in {place}: {counted(len(missing), 'picture')} of {listed_in}, the first is {missing[0]}"
        )
    twice = next((name for name in names if len(found[name]) > 1), None)
    if twice is not None:
        raise DatasetError(f"{twice} in {listed_in} may be {' or '.join(each.name for each in found[twice])}")
    return {name: found[name][0] for name in names}
