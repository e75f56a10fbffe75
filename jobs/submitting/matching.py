"""Which ground-truth mask belongs to which image: by relative path, else by a stem that is unique; never by order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from posixpath import splitext

from data.sample_library import LABEL_SPACE
from jobs.errors import FieldFault, InvalidOptions
from jobs.job import NewImage, Source, SourceKind
from segmentation.errors import UnclearMaskSpace
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.masks.mask_names import (
    LABEL_IDS,
    TRAIN_IDS,
    MaskKind,
    MaskName,
    is_mask_path,
    picture_stem,
    read_mask_name,
    telling_folders,
)
from segmentation.masks.mask_space import space_of_kinds

_NAMED = 5  # files that a fault names
_KINDS = {LABEL_IDS: MaskKind.LABEL_IDS, TRAIN_IDS: MaskKind.TRAIN_IDS}


@dataclass(frozen=True, slots=True)
class Matches:
    """pairs: index of an image → index of its mask; images without one are fine.

    passed_over: indices of masks that are another kind of the same truth. space: what the names say the ids mean.
    """

    pairs: Mapping[int, int] = field(default_factory=dict)
    passed_over: Sequence[int] = ()
    space: str | None = None


def match_masks(
    images: Sequence[str], masks: Sequence[str], *, space: str | None = None, suffix: str | None = None
) -> Matches:
    """images, masks: relative paths. space: the mask_label_space, where the client said it. suffix: mask_suffix.

    Raises InvalidOptions, naming the files, when a mask matches no image or not clearly, when none holds class ids,
    and when the names contradict `space` or one another.
    """
    if not masks:
        return Matches()
    stems = {picture_stem(name) for name in images}
    named = {index: read for index, name in enumerate(masks) if (read := _read(name, suffix, stems)) is not None}
    chosen = _choose(masks, named, space)
    if not chosen:
        wanted = "holds class ids" if suffix is None else f"ends with {suffix!r}"
        raise InvalidOptions([FieldFault("masks", f"none of the {len(masks)} {wanted}: {_listed(masks)}")])
    _refuse_other_ids(masks, chosen, space)
    found = space or _space(chosen.values())
    truths = [_Place.of(index, masks[index], each.stem) for index, each in chosen.items()]
    pictures = [_Place.of(index, name, picture_stem(name)) for index, name in enumerate(images)]
    pairing = _Pairing(masks)
    pairing.pair(pictures, truths)
    pairing.refuse()
    return Matches(pairing.pairs, [index for index in range(len(masks)) if index not in chosen], found)


@dataclass(slots=True)
class MasksOfJobs:
    """Masks that come along with images of other jobs, and those of samples. space: of their ids; classes: what it
    meant in those jobs. count: those of jobs, without samples. of: what space was first known of. corrected,
    sampled: corrections, or masks of samples, are among them, of which that is certain."""

    count: int = 0
    space: str | None = None
    classes: LabelSpace | None = None
    corrected: bool = False
    sampled: bool = False
    of: str = "another job"

    def take(self, meaning: LabelSpace, at: str) -> None:
        """More masks, whose ids mean this. at: where the request names them. Raises InvalidOptions where others mean
        something else."""
        if self.space not in (None, meaning.name):
            said = f"its masks are in {meaning.name}, those of {self.of} in {self.space}: submit them as two"
            raise InvalidOptions([FieldFault(at, said)])
        if self.classes is not None and not (meaning.goes_on_in(self.classes) or self.classes.goes_on_in(meaning)):
            other = f"those of {self.of} in other classes of that name"
            said = f"its masks are in {meaning.name}, {other}: submit them as two"
            raise InvalidOptions([FieldFault(at, said)])
        is_more = self.classes is None or self.classes.goes_on_in(meaning)
        self.space, self.classes = meaning.name, meaning if is_more else self.classes

    def take_sample(self, at: str) -> None:
        """The mask of a sample. Raises InvalidOptions as `take` does."""
        if self.space is None:
            self.of = "samples"
        self.take(get_label_space(LABEL_SPACE), at)
        self.sampled = True

    def check_classes(self, now: LabelSpace) -> None:
        """now: what the masks of the new job mean. Raises InvalidOptions where a model has brought other classes of the
        same name since: its ids would be read as those of others."""
        if self.classes is None or self.classes.name != now.name or self.classes.goes_on_in(now):
            return
        told = f"masks of another job are in {now.name} as it was when that job was submitted; it has other classes now"
        raise InvalidOptions([FieldFault("mask_label_space", told)])

    def meaning(self, images: Iterable[NewImage], named: str | None, said: str | None) -> str | None:
        """Of the ids of all masks: what the names of the others say, or the client, or the job that they come from, or
        what those of samples always mean.

        Raises InvalidOptions where that is not the same for all, or may not be.
        """
        if (self.corrected or self.sampled) and said not in (None, self.space):
            which = "corrections of another job" if self.corrected else "masks of samples"
            told = f"{which} are in {self.space}, whatever is said"
            raise InvalidOptions([FieldFault("mask_label_space", told)])
        if said is not None or self.space in (None, named):
            return named or said
        if named is not None:
            told = f"some masks are in {named}, those of {self.of} in {self.space}: submit them as two"
            raise InvalidOptions([FieldFault("mask_label_space", told)])
        if sum(each.mask is not None and not is_sample(each.mask) for each in images) > self.count:
            told = f"masks of {self.of} are in {self.space}, and no name tells of the others"
            told = f"say it if it is the same for all, else submit them as two: {told}"
            raise InvalidOptions([FieldFault("mask_label_space", told)])
        return self.space


def is_sample(source: Source) -> bool:
    return source.kind is SourceKind.SAMPLE


def masks_among(images: Sequence[str]) -> list[int]:
    """Indices of paths that are masks of other images among them: street_mask.png beside street.jpg, masks/1.png
    beside images/1.jpg. A mask whose image is not there is an image."""
    like = [index for index, name in enumerate(images) if is_mask_path(name)]
    if not like:
        return []
    others = set(range(len(images))).difference(like)
    places = {(telling_folders(images[index]), picture_stem(images[index])) for index in others}
    return [index for index in like if (telling_folders(images[index]), _mask_stem(images[index])) in places]


def _mask_stem(name: str) -> str:
    found = read_mask_name(name)
    assert found is not None  # without a suffix every name is read
    return found.stem


@dataclass(frozen=True, slots=True)
class _Place:
    """written: the path to the letter, without its suffix. folders, stem: whatever their case."""

    index: int
    written: str
    folders: tuple[str, ...]
    stem: str

    @classmethod
    def of(cls, index: int, path: str, stem: str) -> _Place:
        return cls(index, splitext(path)[0], telling_folders(path), stem)


def _read(name: str, suffix: str | None, stems: set[str]) -> MaskName | None:
    found = read_mask_name(name, suffix=suffix)
    if found is None or suffix is not None or not found.named:
        return found
    whole = picture_stem(name)  # an image may itself end like a mask: road_mask.jpg with road_mask.png
    return MaskName(whole, MaskKind.IDS, False) if whole in stems and found.stem not in stems else found


def _choose(masks: Sequence[str], named: Mapping[int, MaskName], space: str | None) -> dict[int, MaskName]:
    """Of several kinds of one truth the one that `space` means; without it, label ids before train ids."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, found in named.items():
        if found.kind is not MaskKind.NO_IDS:
            groups[masks[index].rpartition("/")[0], found.stem].append(index)
    chosen: dict[int, MaskName] = {}
    for group in groups.values():
        kinds = {named[index].kind for index in group}
        kind = _preferred(kinds, space)
        chosen.update((index, named[index]) for index in group if named[index].kind is kind)
    return chosen


def _preferred(kinds: set[MaskKind], space: str | None) -> MaskKind:
    first: tuple[MaskKind, ...] = (MaskKind.LABEL_IDS, MaskKind.TRAIN_IDS, MaskKind.IDS)
    if space is not None:
        first = (_KINDS.get(space, MaskKind.IDS), MaskKind.IDS, *first)
    return next(kind for kind in first if kind in kinds)


def _refuse_other_ids(masks: Sequence[str], chosen: Mapping[int, MaskName], space: str | None) -> None:
    wrong = [index for index, found in chosen.items() if space is not None and found.kind.space not in (None, space)]
    if wrong:
        names, other = [masks[index] for index in wrong], chosen[wrong[0]].kind.space
        said = f"is {space}, but {_count(names, 'name says', 'names say')} {other}: {_listed(names)}"
        raise InvalidOptions([FieldFault("mask_label_space", f"{said}; with mask_suffix names say nothing")])


def _space(chosen: Iterable[MaskName]) -> str | None:
    try:
        return space_of_kinds({each.kind for each in chosen})
    except UnclearMaskSpace as error:
        raise InvalidOptions([FieldFault("mask_label_space", f"say which one: {error}")]) from error


class _Pairing:
    """Collects pairs, and masks that have none, with the reason."""

    def __init__(self, masks: Sequence[str]) -> None:
        self.pairs: dict[int, int] = {}
        self._masks = masks
        self._unmatched: list[int] = []
        self._unclear: list[int] = []

    def pair(self, images: Iterable[_Place], masks: Iterable[_Place]) -> None:
        by_stem: dict[str, list[_Place]] = defaultdict(list)
        for image in images:
            by_stem[image.stem].append(image)
        truths: dict[str, list[_Place]] = defaultdict(list)
        for mask in masks:
            truths[mask.stem].append(mask)
        for stem, group in truths.items():
            self._pair_stem(by_stem.get(stem, []), group)

    def refuse(self) -> None:
        """Raises InvalidOptions when a mask has no image."""
        faults = []
        if self._unmatched:
            names = [self._masks[index] for index in sorted(self._unmatched)]
            faults.append(FieldFault("masks", f"{_listed(names)} {_count(names, 'matches', 'match')} no image"))
        if self._unclear:
            names = [self._masks[index] for index in sorted(self._unclear)]
            what = f"{_count(names, 'matches', 'match')} several images, or another mask of the same image"
            faults.append(FieldFault("masks", f"{_listed(names)} {what}; give both in the same folders"))
        if faults:
            raise InvalidOptions(faults)

    def _pair_stem(self, images: list[_Place], masks: list[_Place]) -> None:
        if not images:
            self._unmatched += [mask.index for mask in masks]
        elif len(images) == len(masks) == 1:
            self.pairs[images[0].index] = masks[0].index
        else:
            self._pair_paths({each.index: each for each in images}, {each.index: each for each in masks})

    def _pair_paths(self, images: dict[int, _Place], masks: dict[int, _Place]) -> None:
        """As they are written, then by all folders, then by as many of the last ones as agree: trees may differ in
        their top folders."""
        if len(images) > 1:
            self._pair_equal(images, masks, lambda place: place.written)
        self._pair_equal(images, masks, lambda place: place.folders)
        deepest = max((len(each.folders) for each in masks.values()), default=0)
        for depth in range(deepest, 0, -1):
            self._pair_equal(images, masks, partial(_last_folders, depth))
        (self._unclear if images else self._unmatched).extend(masks)

    def _pair_equal(
        self, images: dict[int, _Place], masks: dict[int, _Place], key: Callable[[_Place], Hashable]
    ) -> None:
        """Takes what is decided out of both. key: None of one that has none."""
        candidates = _by(key, images.values())
        for shared, found in _by(key, masks.values()).items():
            same = candidates.get(shared, [])
            if not same:
                continue
            if len(same) == len(found) == 1:
                self.pairs[same[0]] = found[0]
                del images[same[0]]
            else:
                self._unclear += found
            for index in found:
                del masks[index]


def _by(key: Callable[[_Place], Hashable], places: Iterable[_Place]) -> Mapping[Hashable, list[int]]:
    """Indices by their key."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for place in places:
        if (own := key(place)) is not None:
            found[own].append(place.index)
    return found


def _last_folders(depth: int, place: _Place) -> tuple[str, ...] | None:
    """None where there are not so many."""
    return place.folders[-depth:] if len(place.folders) >= depth else None


def _count(names: Sequence[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
