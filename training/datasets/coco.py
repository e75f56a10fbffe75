"""Annotations in COCO's format, as COCO itself, CVAT, Label Studio and Roboflow have them, and their pictures."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from jobs.comparing.pages.wording import counted
from segmentation.errors import UnreadableExport
from segmentation.picture_files.pictures import decode_picture
from training.datasets.coco_document import Annotated, Document, Painter, read_document
from training.datasets.folder import required_space
from training.datasets.label_names import VOID, LabelNames, one_of
from training.datasets.pairs import MAX_PIXELS, About, DatasetError, Mask, PairDataset
from training.datasets.splitting import called_as, names_split, share_of
from training.datasets.unannotated import are_left_out, check_unannotated
from training.spaces import LABEL_SPACE

FOLDERS = ("annotations", ".")
ROBOFLOW = "_annotations"  # .coco.json, in a folder of each split
INSTANCES = "instances_"
OTHER_KINDS = re.compile(r"captions|keypoints|panoptic|image_info", re.IGNORECASE)

logger = logging.getLogger(__name__)


def coco(
    root: Path,
    split: str,
    *,
    label_space: str = "",
    annotations: str = "",
    pictures: str = "",
    classes: Mapping[str, str] | None = None,
    background: str = "",
    unannotated: str = "",
    boxes: str = "error",
    order: str = "file",
    validation_share: float = 0.2,
) -> PairDataset:
    """A document that is called as the split is that split; any other is divided: val (a share), train, all.

    The options are explained in docs/datasets.md. Raises DatasetError, InvalidLabelSpace, UnknownLabelSpace.
    """
    one_of("boxes", boxes, ("error", VOID))
    one_of("order", order, ("file", "area"))
    check_unannotated(unannotated)
    space = required_space(root, label_space)
    path = _given(root, annotations) if annotations else _found(root, split)
    document = read_document(path)
    names = LabelNames(space, classes, there=document.labels)
    fill = names.background_id(background, annotated=document.used_labels)
    void = names.class_id(VOID) if boxes == VOID else None
    painter = Painter(ids=_ids(path, names, document), background=fill, void=void, smallest_last=order == "area")
    bare = [each.file_name for each in document.pictures if not each.annotations]
    count = len(document.pictures)
    leave_out = are_left_out(bare, count, option=unannotated, background=fill, space=space, where=path)
    kept = [each for each in document.pictures if each.annotations or not leave_out]
    of_file = _files(path, kept, [_given(root, pictures)] if pictures else _places(root, path, split))
    pairs = [(file, file) for file in of_file]
    part = share_of(pairs, split, listed_in=path, name=_stem(path), validation_share=validation_share)
    reader = partial(_drawn, of_file=of_file, painter=painter)
    return PairDataset(part, space=space, about=_about(root, path, document), read_mask_with=reader)


def _given(root: Path, given: str) -> Path:
    """Below the root, else below the working directory. Raises DatasetError."""
    for place in (root / given, Path(given)):
        if place.exists():
            return place
    raise DatasetError(f"there is neither {root / given} nor {given}")


def _found(root: Path, split: str) -> Path:
    """The document of a split, else the one of all. Raises DatasetError where that is not clear."""
    files = {each for folder in FOLDERS for each in (root / folder).glob("[!.]*.json")} - {root / LABEL_SPACE}
    files |= set(root.glob(f"*/{ROBOFLOW}*.json"))
    there = sorted(each for each in files if not OTHER_KINDS.search(each.name))
    wanted = [each for each in there if called_as(_stem(each), split)]
    wanted = wanted or [each for each in there if not names_split(_stem(each))]
    found = [each for each in wanted if each.name.startswith(INSTANCES)] or wanted
    if len(found) != 1:
        listed = ", ".join(str(each.relative_to(root)) for each in found or there) or "no JSON file"
        which = "which of them is meant?" if found else f"none is clearly of the split {split!r}."
        raise DatasetError(f"{root} holds {listed}: {which} Name it with the option annotations")
    return found[0]


def _stem(path: Path) -> str:
    """What a document is called: `instances_val2017`; of Roboflow's, its folder."""
    return path.parent.name if path.name.startswith(ROBOFLOW) else path.name.partition(".")[0]


def _ids(path: Path, names: LabelNames, document: Document) -> Mapping[str, int]:
    try:
        return names.ids_of(document.used_labels)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def _places(root: Path, path: Path, split: str) -> list[Path]:
    """Where pictures are looked for, the likeliest first."""
    subset = _stem(path).removeprefix(INSTANCES)
    images = root / "images"
    return [images / subset, root / subset, images / split, root / split, path.parent, images, root / "data", root]


def _files(path: Path, pictures: Sequence[Annotated], places: Sequence[Path]) -> dict[Path, Annotated]:
    """By the file of each. Raises DatasetError for one that is missing, and for a file that two would have."""
    names = {each.file_name: _relative(each.file_name) for each in pictures}
    bases = Counter(PurePosixPath(name).name for name in names.values())
    found: dict[Path, Annotated] = {}
    missing, shortened = [], []
    for each in pictures:
        name = names[each.file_name]
        base = PurePosixPath(name).name
        tried = [name, base] if bases[base] == 1 else [name]  # else it may be the other's picture
        files = (place / called for called in tried for place in places)
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            missing.append(each.file_name)
        elif found.setdefault(file, each) != each:
            raise DatasetError(f"{path}: {found[file].file_name} and {each.file_name} are both {file}")
        elif not file.as_posix().endswith(name):
            shortened.append((each.file_name, file))
    if missing:
        where = ", ".join(dict.fromkeys(map(str, places)))
        raise DatasetError(
            f"{path}: {len(missing)} of its pictures are missing, the first is {missing[0]} (looked for in {where}); "
            "the option pictures names their folder"
        )
    if shortened:
        told = "%s: %s known by the last part of the name alone, the first is %s for %s"
        logger.warning(told, path, counted(len(shortened), "picture"), shortened[0][1], shortened[0][0])
    return found


def _relative(name: str) -> str:
    """A path below a folder of pictures: tools also write addresses, and paths of the machine they ran on."""
    path = name.replace("\\", "/")
    if "?d=" in path:  # Label Studio's local files
        path = unquote(path.partition("?d=")[2])
    foreign = re.match(r"[A-Za-z][A-Za-z+.-]*:|/", path) or ".." in path.split("/")
    return path.rpartition("/")[2] if foreign else PurePosixPath(path).as_posix()


def _drawn(file: Path, *, of_file: Mapping[Path, Annotated], painter: Painter) -> Mask:
    """Raises SegmentationError, OSError."""
    picture = of_file[file]
    height, width = picture.height, picture.width
    if not (height and width):
        if picture.annotations:
            raise UnreadableExport("its annotations do not say of what size it was when they were drawn")
        height, width = decode_picture(file.read_bytes(), max_pixels=MAX_PIXELS).shape[:2]
    return painter.mask_of(picture, height=height, width=width)


def _about(root: Path, path: Path, document: Document) -> About:
    named = f"; the annotations name {', '.join(document.licences)}" if document.licences else ""
    return About(
        title=f"annotations {path.name} of {root.resolve().name}",
        licence=f"unknown: the owner of the pictures knows{named}",
    )
