"""Pictures and masks, looked at before they are learnt from or scored on: every fault names its file."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import SegmentationError
from segmentation.label_space import LabelSpace
from segmentation.masks.mask_check import MaskReport, inspect_counts
from segmentation.masks.mask_palette import check_palette
from segmentation.measures.counting import count_ids
from segmentation.picture_files.pictures import decode_picture, is_upright, probe
from segmentation.picture_files.upright import is_turned_unseen
from training.datasets.pairs import MAX_PIXELS, DatasetError, PairDataset

UnknownIds = Literal["error", "ignore"]
ERROR: UnknownIds = "error"
_NAMED_IDS = 12
_USUAL_WHITE = 255  # what drawing programs write for the foreground


class UnknownMaskIds(DatasetError):
    """Masks hold ids that their label space does not know; the message names file, ids, shares and a way out."""

    code = "mask_unknown_ids"


@dataclass(frozen=True, slots=True)
class _Seen:
    """counts: (256,) pixels of each id in the mask. is_unclear: whether it was drawn before EXIF turned its picture or
    afterwards no shape tells."""

    mask: Path
    counts: NDArray[np.int64]
    is_unclear: bool


def count_pictures(sets: Iterable[PairDataset]) -> int:
    """How many `check_pictures` looks at."""
    return sum(len(_written(each)) for each in sets)


def check_pictures(
    sets: Sequence[PairDataset],
    *,
    unknown_ids: UnknownIds = ERROR,
    learnt_in: LabelSpace | None = None,
    on_picture: Callable[[], None] = lambda: None,
) -> list[str]:
    """Read every picture's header and every mask; what is generated when it is asked for is not looked at.

    unknown_ids: `ignore` takes ids that a label space does not know for pixels that count nowhere. learnt_in: the
    classes that a model shall learn; None: each data set's own are looked for. Returns a sentence for each data set
    where there are such ids, and one for the classes to learn that no mask shows. Raises DatasetError (unreadable, a
    mask of another size than its picture, a data set of which no pixel counts) and UnknownMaskIds.
    """
    told: list[str] = []
    shown: list[AbstractSet[int]] = []
    with ThreadPoolExecutor(_threads()) as pool:
        for pictures in sets:
            seen = []
            for each in pool.map(_looked_at, itertools.repeat(pictures), _written(pictures)):
                seen.append(each)
                on_picture()
            told += [*_judged(pictures.space, seen, unknown_ids), *_unclear(seen)]
            shown.append(_shown(pictures, seen, learnt_in or pictures.space))
    if learnt_in is not None and all(len(_written(each)) == len(each) for each in sets):
        told += _never_shown(learnt_in, frozenset().union(*shown))
    return told


def measured_without(validation: PairDataset, learnt: Sequence[PairDataset], space: LabelSpace) -> list[str]:
    """A sentence where masks that are learnt from can show classes of `space` that those of the validation cannot."""
    given = [each for each in learnt if not each.is_unlabelled]
    taught = {each for pictures in given for each in space.classes if each not in space.missing_from(pictures.space)}
    names = ", ".join(each.name for each in space.missing_from(validation.space) if each in taught)
    told = f"validation masks, in {validation.space.name}, cannot show {names}: the means over them leave these out"
    return [told] if names else []


def _threads() -> int:
    return min(8, os.cpu_count() or 1)


def _written(pictures: PairDataset) -> list[tuple[Path, Path]]:
    return [pair for pair in pictures.pairs if not pictures.is_generated or all(file.is_file() for file in pair)]


def _looked_at(pictures: PairDataset, pair: tuple[Path, Path]) -> _Seen:
    picture_path, mask_path = pair
    with_name = picture_path
    try:
        data = picture_path.read_bytes()
        header, as_stored = probe(data), is_upright(data)
        with_name = mask_path
        mask = pictures.read_mask(mask_path)
        if pictures.holds_ids:
            check_palette(mask_path.read_bytes(), mask, pictures.space)
        is_unclear = not (as_stored or pictures.are_upright) and mask_path != picture_path and is_turned_unseen(data)
        is_unclear = is_unclear and is_upright(mask_path.read_bytes())
        size = header.height, header.width
        if mask.shape != size or not as_stored:  # turned by EXIF, or wrong
            with_name = picture_path
            size = decode_picture(data, max_pixels=MAX_PIXELS).shape[:2]
    except (SegmentationError, OSError) as error:
        raise DatasetError(f"{with_name} cannot be used: {error}") from error
    if mask.shape != size:
        (height, width), (mask_height, mask_width) = size, mask.shape
        of_what = "its annotations are of" if mask_path == picture_path else "its mask"
        raise DatasetError(f"{picture_path} is {width}×{height} pixels, {of_what} {mask_width}×{mask_height}")
    return _Seen(mask_path, count_ids(mask), is_unclear)


def _shown(pictures: PairDataset, seen: Sequence[_Seen], space: LabelSpace) -> AbstractSet[int]:
    """The classes of `space` that count and that the masks show. Raises DatasetError where there is none."""
    if not seen or pictures.is_unlabelled:
        return frozenset()
    ids = np.flatnonzero(np.sum([each.counts for each in seen], axis=0)).tolist()
    shown = {int(each) for each in pictures.space.remapping_to(space)[ids]} - space.void_ids
    if not shown:
        there = ", ".join(map(str, ids[:_NAMED_IDS]))
        raise DatasetError(
            f"no pixel of {pictures.about.title} counts in {space.name}: its masks hold {there}, which are void there"
        )
    return shown


def _never_shown(space: LabelSpace, shown: AbstractSet[int]) -> list[str]:
    missing = [each.name for each in space.classes if each.id not in shown and each.id not in space.void_ids]
    if not missing:
        return []
    told = f"no mask shows {', '.join(missing)}: what nothing shows is not learnt"
    if len(shown) == 1 and _USUAL_WHITE in space.void_ids:
        told += f". In {space.name} {_USUAL_WHITE} counts nowhere: masks of 0 and {_USUAL_WHITE} show one class alone"
    return [told]


def _unclear(seen: Sequence[_Seen]) -> list[str]:
    masks = [each.mask for each in seen if each.is_unclear]
    if not masks:
        return []
    which = f"masks of pictures that EXIF turns or mirrors without changing their shape: {len(masks)} of {len(seen)}"
    return [f"{which}, the first is {masks[0]}; each is taken to be drawn on its picture as this is looked at"]


def _judged(space: LabelSpace, seen: Sequence[_Seen], unknown_ids: UnknownIds) -> list[str]:
    reports = [(each, inspect_counts(each.counts, space)) for each in seen]
    strange = [(each, report) for each, report in reports if report.unknown]
    if not strange:
        return []
    all_of_them = inspect_counts(np.sum([each.counts for each, _ in strange], axis=0), space)
    if unknown_ids == "ignore":
        which = f"masks with ids that {space.name} does not know: {len(strange)} of {len(seen)}"
        return [f"{which}; these ids count nowhere: {all_of_them.unknown_text()} of their pixels"]
    worst, report = max(strange, key=lambda one: one[1].unknown_share)
    raise UnknownMaskIds(_complaint(space, worst.mask, report, all_of_them, (len(strange), len(seen))))


def _complaint(
    space: LabelSpace, mask: Path, report: MaskReport, all_of_them: MaskReport, counts: tuple[int, int]
) -> str:
    strange, seen = counts
    others = f"; {strange} of {seen} masks hold such ids" if strange > 1 else ""
    known = ", ".join(map(str, space.class_ids[:_NAMED_IDS])) + (", …" if len(space.class_ids) > _NAMED_IDS else "")
    hint = f". {all_of_them.hint[0].upper()}{all_of_them.hint[1:]}" if all_of_them.hint else ""
    return (
        f"{mask} holds ids that {space.name} (classes {known}) does not know: {report.unknown_text()} of its pixels"
        f'{others}{hint}. Name the label space of the masks, or take such pixels out of account: unknown_ids = "ignore"'
    )
