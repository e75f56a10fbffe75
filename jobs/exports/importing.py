"""A whole batch of corrections at once: a folder of masks, or what an annotation tool gave back, packed as a ZIP file.

All of it is read before any of it is kept: a mask that cannot be one leaves nothing behind. What is as it was, that is
a prediction of one of the models or a correction, is no new version: people look at many images and change few, and two
of them may look at the same ones. To take an earlier one back is for `Correcting.put`, image by image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO
from zipfile import ZipInfo

from jobs.corrections.correcting import Correcting
from jobs.errors import ArchiveUnreadable, FieldFault, InvalidOptions, MaskUnknownIds, TooManyBytes
from jobs.exports.exporting import Exporting
from jobs.exports.redrawing import redrawn
from jobs.job import Job
from jobs.reporting.names import model_folders
from jobs.submitting.names import is_hidden, relative_path
from jobs.submitting.packed import DAMAGE, open_zip, reason
from jobs.submitting.zip_directory import ZipDirectory
from segmentation.errors import MaskMismatch, UnreadableExport
from segmentation.exports import EXPORTS, FOLDER, Drawn, Export, Known, Returned
from segmentation.exports.coco import is_coco
from segmentation.exports.documents import is_outermost
from segmentation.exports.export import LARGEST_DOCUMENT, without_suffix
from segmentation.exports.folder import MaskFolder
from segmentation.exports.shapes import palette_png
from segmentation.label_map import LabelMap
from segmentation.masks.mask_check import inspect_mask, newly_open, percent
from segmentation.palette import palette

FORMS: dict[str, Export | MaskFolder] = {**EXPORTS, FOLDER.name: FOLDER}
MOST_FILES = 1_000_000
_EXAMPLES = 5
# Whose exports hold all pictures of a project, also those that nobody has annotated yet.
_LISTING = frozenset({"coco", "coco-polygons", "yolo"})
_TELLING = frozenset({*FOLDER.folders, "annotations", "SegmentationClass", "gtFine", "polygons", "train", "images"})


@dataclass(frozen=True, slots=True)
class PassedOver:
    """How many, and the names of a few."""

    count: int
    examples: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> PassedOver:
        return cls(len(names), tuple(names[:_EXAMPLES]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """form: how it was read. corrected, unchanged: images. unknown: names that are no image's. unannotated: images that
    were listed without any annotation."""

    form: str
    corrected: int
    unchanged: int
    unknown: PassedOver
    unannotated: PassedOver


@dataclass(frozen=True, slots=True)
class Importing:
    correcting: Correcting
    exporting: Exporting

    def take(self, job_id: str, data: BinaryIO, form: str | None = None) -> Taken:
        """form: one of FORMS; None: by what is in it.

        Raises JobNotFound, ArchiveUnreadable, TooManyBytes, InvalidOptions (nothing is the job's), UnreadableExport,
        MaskMismatch, MaskUnknownIds.
        """
        job = self.exporting.job(job_id)
        images = [
            Known(
                *(image.index, name, image.result.width, image.result.height),
                place=partial(self.exporting.place, image.result),
                picture=image.name,
            )
            for image, name in self.exporting.named(job)
            if image.result is not None
        ]
        files = _files(open_zip(data, entries=MOST_FILES), images)
        _check_of_one_model(files, job)
        chosen = form or _form_of(files)
        most = self.exporting.max_pixels
        looked = Returned(files, images, job.space, most)
        drawn = 0
        for each in _checked(FORMS[chosen].read(looked)):
            self._check_ids(job, chosen, each)
            drawn += 1
        if not drawn:
            raise InvalidOptions([FieldFault("body", f"nothing in it, read as {chosen}, is an image of the job")])
        corrected, bare = 0, list[str]()
        for each in FORMS[chosen].read(Returned(files, images, job.space, most)):
            if self._is_known(job, chosen, each):
                continue
            if _is_bare(job, chosen, each):
                bare.append(each.image.name)
                continue
            content = palette_png(each.ids, palette(job.space))
            self.correcting.put(job.id, each.image.index, content, is_checked=True)
            corrected += 1
        return Taken(
            form=chosen,
            corrected=corrected,
            unchanged=drawn - corrected - len(bare),
            unknown=PassedOver.of(looked.unknown),
            unannotated=PassedOver.of(bare),
        )

    def _check_ids(self, job: Job, form: str, drawn: Drawn) -> None:
        """Raises MaskUnknownIds. Of a label space that has no id for void a model, or a polygon that was simplified,
        leaves pixels without a class all the same: those that went out so may come back so, and nobody needs to have
        annotated an image at all."""
        space, name = job.space, drawn.image.name
        report = inspect_mask(drawn.ids, space)
        if not report.unknown:
            return
        if set(report.unknown) != {space.void_id}:
            raise MaskUnknownIds(f"{name}: {space.name} does not know {report.unknown_text()}")
        if not _is_bare(job, form, drawn):
            share = newly_open(drawn.ids, space, self._went_out(job, form, drawn)).mean()
            if share:
                said = f"of no class, went out with one, and {space.name} has no id for such"
                raise MaskUnknownIds(f"{name}: {percent(share)} of its pixels are {said}")

    def _is_known(self, job: Job, form: str, drawn: Drawn) -> bool:
        """Whether a model said so, or somebody drew so before: whoever left an image as it went out knows nothing of
        what others drew of it meanwhile. What went out simplified is known as it was then."""
        went_out = (each.ids for each in self._went_out(job, form, drawn))
        return any(ids.shape == drawn.ids.shape and (ids == drawn.ids).all() for ids in went_out)

    def _went_out(self, job: Job, form: str, drawn: Drawn) -> Iterator[LabelMap]:
        """What is known of an image, and as what it went out in that form."""
        for known in self.correcting.known(job, self.exporting.image(job.id, drawn.image.index)):
            yield known
            yield from (LabelMap(ids, job.space) for ids in redrawn(known, drawn.image, job.options, form))


def _is_bare(job: Job, form: str, drawn: Drawn) -> bool:
    """Whether it was listed without any annotation."""
    return form in _LISTING and bool((drawn.ids == job.space.void_id).all())


def _files(bundle: ZipDirectory, images: Sequence[Known]) -> Mapping[str, Callable[[], bytes]]:
    """By path, as names of images are written, without hidden ones and a folder that holds everything, unless images of
    the job lie in one that is called so. Raises TooManyBytes for one that is too long to be held, UnreadableExport."""
    entries: dict[str, ZipInfo] = {}
    for each in bundle:
        path = relative_path(each.filename)
        if not path or is_hidden(path) or each.filename.endswith(("/", "\\")):
            continue
        if path in entries and entries[path].filename != each.filename:
            raise UnreadableExport(f"{path}: two files are called so; send the one that is right")
        entries[path] = each  # of one that was packed again the newer one
    for each in entries.values():
        if each.file_size > LARGEST_DOCUMENT:
            raise TooManyBytes(f"{each.filename[:200]} is longer than {LARGEST_DOCUMENT} bytes; send it in parts")
    tops = {name.partition("/")[0] if "/" in name else "" for name in entries}
    top = next(iter(tops)) if len(tops) == 1 else ""
    cut = len(top) + 1 if top and top not in _TELLING and not _are_named(entries, images) else 0
    return {name[cut:]: partial(_read, bundle, each) for name, each in entries.items()}


def _are_named(paths: Iterable[str], images: Sequence[Known]) -> bool:
    """Whether an image is called as one of these files, with all its folders."""
    called = {
        each.casefold() for image in images for each in (image.name, image.picture, without_suffix(image.picture))
    }
    return any(without_suffix(path).casefold() in called for path in paths)


def _form_of(files: Mapping[str, Callable[[], bytes]]) -> str:
    if FOLDER.is_archive(files):
        return FOLDER.name
    found = next((name for name, each in FORMS.items() if each.fits(files)), FOLDER.name)
    if found == "label-studio" and FORMS["yolo"].fits(files):
        return "yolo"  # it puts notes as JSON beside that
    if found == "label-studio" and any(is_coco(read()) for name, read in files.items() if is_outermost(name)):
        return "coco"  # Label Studio writes that too, under a name of its own
    return found


def _check_of_one_model(files: Mapping[str, object], job: Job) -> None:
    """Raises InvalidOptions for what every model of a job was exported to, or for all masks of its results: each image
    may have one correction."""
    of_models = {folder[1:] for folder in model_folders(job.models)}
    masks = [name.removeprefix("mask/") for name in files if name.startswith("mask/")]
    tops = {name.partition("/")[0] for name in masks or files}
    if len(tops) > 1 and tops <= of_models:
        named = ", ".join(sorted(tops))
        raise InvalidOptions(
            [FieldFault("body", f"holds the masks of several models ({named}); send one of its folders")]
        )


def _read(bundle: ZipDirectory, entry: ZipInfo) -> bytes:
    try:
        with bundle.open(entry) as file:
            return file.read()
    except DAMAGE as error:
        raise ArchiveUnreadable(f"{entry.filename[:200]!r} is damaged inside its archive: {reason(error)}") from error


def _checked(drawn: Iterator[Drawn]) -> Iterator[Drawn]:
    seen: set[int] = set()
    for each in drawn:
        image = each.image
        if image.index in seen:
            raise UnreadableExport(f"{image.name}: two of its masks came; send the one that is right")
        seen.add(image.index)
        if each.ids.shape != (image.height, image.width):
            size = f"{each.ids.shape[1]}×{each.ids.shape[0]}"
            raise MaskMismatch(f"{image.name}: the mask is {size}, its picture {image.width}×{image.height}")
        yield each
