"""A job's own results, as `maskmill download` unpacks them, corrected by hand and learnt from.

The archive holds no pictures: they are given beside it. What was corrected is read from `corrected/` where that folder
is, and nothing else then; otherwise from `mask/`, `polygons/` or `coco/`.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jobs.comparing.pages.wording import counted
from jobs.reporting.names import safe_folders, safe_stem
from segmentation.formats import ReadableFormat
from segmentation.formats.coco import Coco
from segmentation.formats.polygons import Polygons
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.label_spaces import LABEL_SPACES
from segmentation.masks.mask_palette import check_palette
from segmentation.picture_files.pictures import decode_mask
from training.datasets.folder import pictures_in
from training.datasets.pairs import MAX_PIXELS, About, DatasetError, Mask, PairDataset, is_hidden
from training.datasets.splitting import Pair, part_of
from training.spaces import LABEL_SPACE, find_label_space

MANIFEST = "manifest.json"
CORRECTED = "corrected"
LABEL_FOLDERS = (CORRECTED, "mask", "polygons", "coco")
PICTURE_FOLDERS = ("pictures", "images", "inputs")
READERS: dict[str, ReadableFormat] = {".geojson": Polygons(), ".json": Coco()}  # beside masks, which are .png


def job_results(
    root: Path, split: str, *, pictures: str = "", label_space: str = "", validation_share: float = 0.2
) -> PairDataset:
    """Splits: val (a share of the pictures), train (the others), all.

    pictures: folder of what was submitted; else `pictures/`, `images/` or `inputs/` beside the manifest. The label
    space is the job's; one that is not published is read from label_space, a JSON file, or from `label_space.json` in
    the root. Raises DatasetError when the folder is no job's, or a mask has no picture.
    """
    job = _manifest(root)
    space = _space(root, label_space, job["label_space"])
    labels = _label_folder(root)
    pairs = _pairs(labels, _picture_folder(root, pictures))
    about = _about(job, is_corrected=labels.name == CORRECTED)
    part = part_of(pairs, split, validation_share=validation_share)
    reader = partial(_read_labels, space=space)
    return PairDataset(part, space=space, about=about, read_mask_with=reader, are_upright=True)


def _about(job: Mapping[str, str], *, is_corrected: bool) -> About:
    """What a model says is learnt from whatever was not corrected, as from a teacher: its terms count too."""
    model = job["model"] or "a model that nothing tells of"
    corrected = "corrected by hand" if is_corrected else "not corrected"
    return About(
        title=f"results of {job['job']} by {model}, {corrected}",
        licence=f"unknown: the owner of the pictures knows; the masks are {model}'s, whose terms count too",
        answers_of="" if is_corrected else model,
    )


def _space(root: Path, given: str, name: str) -> LabelSpace:
    """Raises DatasetError when what is given is not the job's."""
    own = root / LABEL_SPACE
    if not given and not own.is_file() and name not in LABEL_SPACES:
        raise DatasetError(
            f"{root}: the job's labels are of {name}, classes of the user's own: put their {LABEL_SPACE} beside the "
            f"{MANIFEST}, or name the file with the option label_space"
        )
    space = find_label_space(given or (str(own) if own.is_file() else name))
    if space.name != name:
        raise DatasetError(f"{root}: the job's labels are of {name}, not of {space.name}")
    if own.is_file() and not load_label_space(own).goes_on_in(space):
        raise DatasetError(f"{root}: the job's labels are of {name} as {own} has it, whose ids are others in {given}")
    return space


def _manifest(root: Path) -> dict[str, str]:
    path = root / MANIFEST
    if not path.is_file():
        raise DatasetError(f"there is no {path}: a folder that `maskmill download` unpacked has one")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"job": content["job"], "label_space": content["label_space"], "model": _model_of(content)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is no manifest of a job: {error}") from error


def _model_of(manifest: Mapping[str, Any]) -> str:
    """Whose masks they were, with versions; empty where the manifest does not tell."""
    model = manifest.get("model", {})
    versions = ", ".join(dict.fromkeys(str(each) for each in model.get("versions", ())))
    return f"{model['name']} (version {versions})" if versions else str(model.get("name", ""))


def _label_folder(root: Path) -> Path:
    for name in LABEL_FOLDERS:
        if (root / name).is_dir():
            return root / name
    raise DatasetError(f"{root} holds no labels: none of {', '.join(f'{name}/' for name in LABEL_FOLDERS)}")


def _picture_folder(root: Path, given: str) -> Path:
    if given:
        return Path(given)
    for name in PICTURE_FOLDERS:
        if (root / name).is_dir():
            return root / name
    raise DatasetError(
        f"{root} holds no pictures (an archive has none): put them into {root / PICTURE_FOLDERS[0]}, "
        f"or name their folder with the option `pictures`"
    )


def _pairs(labels: Path, pictures: Path) -> list[Pair]:
    """Every file of labels with the picture whose name it got in the archive. Pictures without labels are left out."""
    by_name = _by_archived_name(pictures)
    suffixes = (".png", *READERS)
    found = sorted(
        each for each in labels.rglob("*") if each.suffix.lower() in suffixes and not is_hidden(each, labels)
    )
    names = [each.relative_to(labels).with_suffix("").as_posix() for each in found]
    lonely = [f"{name}{each.suffix}" for name, each in zip(names, found, strict=True) if name not in by_name]
    if lonely:
        raise DatasetError(
            f"{counted(len(lonely), 'mask')} in {labels} without a picture in {pictures}, the first is {lonely[0]}"
        )
    if not found:
        raise DatasetError(f"no labels in {labels}")
    label_of: dict[str, Path] = {}
    for name, each in zip(names, found, strict=True):
        other = label_of.setdefault(name, each)
        if other != each:
            raise DatasetError(f"{other} and {each.name} are labels of one picture: take one away")
    return [(by_name[name], each) for name, each in label_of.items()]


def _by_archived_name(pictures: Path) -> dict[str, Path]:
    """By what the archive calls a picture: its path below the folder, made safe, without its suffix."""
    found: dict[str, Path] = {}
    for each in pictures_in(pictures, below=True):
        path = each.relative_to(pictures).as_posix()
        other = found.setdefault(safe_folders(path) + safe_stem(path), each)
        if other != each:
            raise DatasetError(f"{other.name} and {each.name} in {pictures} cannot be told apart: rename one")
    return found


def _read_labels(path: Path, *, space: LabelSpace) -> Mask:
    suffix = path.suffix.lower()
    if suffix == ".png":
        data = path.read_bytes()
        ids = decode_mask(data, max_pixels=MAX_PIXELS)
        check_palette(data, ids, space)  # the program in which it was corrected may have put it in another order
        return ids
    return READERS[suffix].decode(path.read_bytes(), space).ids
