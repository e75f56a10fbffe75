"""The archive of a job in the form of an annotation tool: files in a fixed order, made one after the other as they are
read. Nothing of it is kept, and nobody knows its length beforehand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import PurePosixPath

from jobs.callers import DEFAULT, Caller
from jobs.corrections.correction import CorrectionFile
from jobs.errors import (
    ArtifactNotFound,
    FieldFault,
    InputChanged,
    InputNotKept,
    InvalidOptions,
    JobNotFinished,
    ObjectNotFound,
)
from jobs.exports.choice import ExportChoice
from jobs.exports.missing import MissingPictures
from jobs.inputs.inputs import Inputs
from jobs.job import ImageResult, Job, JobImage
from jobs.ports import ObjectStore, OpenUnit
from jobs.reporting.archive import LOOKS_AT_ONCE, what_is_wrong
from jobs.reporting.kept_parts import PART
from jobs.reporting.label_maps import HELD_PIXELS, predicted
from jobs.reporting.names import Names, model_folders, stem_of
from jobs.reporting.read import images_in_order, newest_corrections
from jobs.uploads.piece_reader import PieceReader
from segmentation.errors import SegmentationError
from segmentation.exports import EXPORTS, Export, Exported, File, Labelled
from segmentation.exports.export import Ids
from segmentation.formats import READABLE
from segmentation.formats.coco import Coco, place_in_coco
from segmentation.formats.format import MAX_PIXELS
from segmentation.formats.geotiff import GeoTiff
from segmentation.formats.mask import Mask
from segmentation.formats.png_file import png_rows
from segmentation.formats.polygons import Polygons, place_in_polygons
from segmentation.label_map import LabelMap
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.picture_kinds import HEAD_BYTES, is_compressed
from segmentation.picture_files.pictures import decode_mask
from segmentation.picture_files.places import NOWHERE, Place, place_in_png, place_of
from segmentation.picture_files.upright import upright_copy

_PLACES: Mapping[str, Callable[[bytes], Place]] = {
    Mask.name: place_in_png,
    Polygons.name: place_in_polygons,
    GeoTiff.name: lambda data: place_of(data)[0],
    Coco.name: place_in_coco,
}


@dataclass(frozen=True, slots=True)
class JobExport:
    """files: walked through once."""

    job: Job
    files: Iterator[File]


@dataclass(frozen=True, slots=True)
class Exporting:
    """software: name and version. max_pixels: of a map that is held; larger ones go by rows, where the form allows."""

    open_unit: OpenUnit
    inputs: Inputs
    software: str
    caller: Caller = DEFAULT
    max_pixels: int = HELD_PIXELS

    def open(
        self, job_id: str, choice: ExportChoice, *, model: int | None = None, without_lost: bool = False
    ) -> JobExport:
        """model: whose masks, by its place in the job; None: those of each, of several models in a folder each, which
        is an export of its own. without_lost: images whose maps the store has lost are left out, and told with the
        pictures that are missing; among these are then those that it has lost.

        Raises JobNotFound, JobNotFinished, InvalidOptions; reading the files, what reading objects raises.
        """
        job = self.job(job_id)
        if not job.is_finished:
            raise JobNotFinished(f"the job is {job.status}; it can be exported when it has ended")
        export = EXPORTS[choice.name]
        _check(job, export)
        corrected = newest_corrections(self.open_unit, self.caller.tenant, job) if choice.corrected else {}
        self._check_sizes(job, choice, corrected)
        folders = [(model, "")] if model is not None else list(enumerate(model_folders(job.models)))
        missing = MissingPictures(may_be_lost=without_lost)
        if without_lost:
            self._leave_out_lost(job, corrected, [place for place, _ in folders], missing)
        files = (
            File(f"{folder}/{file.name}".lstrip("/"), file.content)
            for place, folder in folders
            for file in self._files(job, choice, corrected, place, missing)
        )
        return JobExport(job, chain(files, missing.files()))

    @property
    def objects(self) -> ObjectStore:
        return self.inputs.objects

    def job(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        with self.open_unit(self.caller.tenant) as unit:
            return unit.jobs.get(job_id)

    def image(self, job_id: str, index: int) -> JobImage:
        """Raises JobNotFound, ImageNotFound."""
        with self.open_unit(self.caller.tenant) as unit:
            return unit.images.get(job_id, index)

    def upright(self, job_id: str, index: int) -> bytes | None:
        """The picture of an image, written anew where EXIF turns it; None where it lies as its masks do. Raises
        JobNotFound, ImageNotFound, and as `Inputs.picture`."""
        image = self.image(job_id, index)
        if image.result is None or self._is_large(image.result):
            return None
        job = self.job(job_id)
        return self._turned(job, self.inputs.picture(job, image))

    def _files(
        self,
        job: Job,
        choice: ExportChoice,
        corrected: Mapping[int, CorrectionFile],
        model: int,
        missing: MissingPictures,
    ) -> Iterator[File]:
        """Of one model."""
        export = EXPORTS[choice.name]
        yield from export.files(
            Exported(
                about=f"{job.id}: {job.models[model]}, {job.label_space}",
                software=self.software,
                space=job.space,
                instances=choice.instances,
                pictures=choice.pictures,
                images=lambda: self._labelled(job, corrected, model, missing.left_out),
                outlines=job.options.polygons,
            )
        )
        if choice.pictures:
            names = {name for _, name in self.named(job)}
            for image, name in self.named(job):
                if image.index in missing.left_out:
                    continue
                try:
                    content = self._picture(job, image)
                except (InputNotKept, InputChanged, ArtifactNotFound, ObjectNotFound) as error:
                    if image.source.is_stored:
                        if not missing.may_be_lost:
                            raise
                        self.job(job.id)  # it may go just now, with all that it has
                    missing.add(image, error)
                    continue
                yield File(export.picture(name, _suffix(image), names), content)

    def _picture(self, job: Job, image: JobImage) -> bytes | Iterator[bytes]:
        """As it was sent, or written anew where EXIF turns it: many tools lay masks over pixels as they are stored.
        What may be packed smaller comes in pieces."""
        assert image.result is not None  # of those that are exported
        is_large = self._is_large(image.result)  # EXIF turns none of those
        if is_large and image.source.is_stored:
            self.objects.info(image.source.location)  # raises before the file begins
            return self.objects.stream(image.source.location)
        data = self.inputs.picture(job, image)
        turned = None if is_large else self._turned(job, data)
        if turned is not None:
            return turned
        if not isinstance(data, bytes):
            return data.pieces()
        return data if is_compressed(data[:HEAD_BYTES]) else iter([data])

    def _turned(self, job: Job, data: FileData) -> bytes | None:
        return upright_copy(data, max_pixels=self.max_pixels, bit_depth=job.options.bit_depth)

    def _labelled(
        self, job: Job, corrected: Mapping[int, CorrectionFile], model: int, left_out: Collection[int]
    ) -> Iterator[Labelled]:
        for image, name in self.named(job):
            if image.index in left_out:
                continue
            result = image.results[model]
            yield Labelled(
                number=image.index + 1,
                name=name,
                suffix=_suffix(image),
                width=result.width,
                height=result.height,
                read=partial(self._read, job, result, corrected.get(image.index)),
                place=partial(self.place, result),
                rows=partial(self._rows, result) if self._is_large(result) else None,
            )

    def _read(self, job: Job, result: ImageResult, correction: CorrectionFile | None) -> LabelMap:
        if correction is not None:
            return LabelMap(decode_mask(self.objects.get(correction.key), max_pixels=MAX_PIXELS), job.space)
        found = predicted(result, self.objects, job)
        assert found is not None  # of a job that was checked
        return found

    def _rows(self, result: ImageResult) -> Iterator[Ids]:
        mask = next(each for each in result.artifacts if each.name == Mask.name)
        return png_rows(PieceReader(self.objects.stream(mask.key)))

    def _is_large(self, result: ImageResult) -> bool:
        return result.width * result.height > self.max_pixels

    def _leave_out_lost(
        self, job: Job, corrected: Mapping[int, CorrectionFile], models: Collection[int], missing: MissingPictures
    ) -> None:
        images = (image for image, _ in self.named(job))
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as threads:
            while lot := list(islice(images, PART)):
                looked = threads.map(lambda image: self._has_maps(job, image, corrected.get(image.index), models), lot)
                for image, has in zip(lot, looked, strict=True):
                    if not has:
                        missing.leave_out(image, ObjectNotFound("the store has lost what it would be exported of"))

    def _has_maps(self, job: Job, image: JobImage, drawn: CorrectionFile | None, models: Collection[int]) -> bool:
        """Of all of these."""
        if drawn is not None:
            return not what_is_wrong(self.objects, drawn.key, drawn.size)
        return all(any(self._maps(job, image.results[model])) for model in models)

    def _maps(self, job: Job, result: ImageResult) -> Iterator[bool]:
        """Of each artifact that would do, whether it is whole."""
        wanted = (Mask.name,) if self._is_large(result) else job.options.readable
        for each in result.artifacts:
            if each.name in wanted:
                yield not what_is_wrong(self.objects, each.key, each.size)

    def _check_sizes(self, job: Job, choice: ExportChoice, corrected: Collection[int]) -> None:
        """Raises InvalidOptions for a picture whose map is too large for this. Only cut into tiles there are such."""
        if job.options.tile is None:
            return
        for image, name in self.named(job):
            for result in filter(self._is_large, image.results):
                kept = {each.name for each in result.artifacts}
                obstacle = _obstacle(EXPORTS[choice.name], choice, kept, is_corrected=image.index in corrected)
                if obstacle:
                    size = f"{name} is {result.width}×{result.height}, too large to be held"
                    raise InvalidOptions([FieldFault("export", f"{size}: {obstacle}")])

    def place(self, result: ImageResult) -> Place:
        """Where the picture was taken, as the first artifact says that keeps it. Raises ObjectNotFound where all that
        do are lost."""
        keys = {each.name: each.key for each in result.artifacts}
        lost = None
        for name, read in _PLACES.items():
            if name in keys:
                try:
                    return read(self.objects.get(keys[name]))
                except ObjectNotFound as error:
                    lost = lost or error
        if lost is not None:
            raise lost
        return NOWHERE

    def named(self, job: Job) -> Iterator[tuple[JobImage, str]]:
        """Images that succeeded, with their names in archives."""
        names = Names()
        for image in images_in_order(self.open_unit, self.caller.tenant, job):
            name = names.of(image.index, stem_of(image, paths=True))
            if image.result is not None:
                yield image, name


def _check(job: Job, export: Export) -> None:
    if not job.options.readable:
        said = f"the job has no artifact that keeps every class id ({', '.join(sorted(READABLE))})"
        raise InvalidOptions([FieldFault("export", f"{said}; what is simplified, or of some classes, does not do")])
    try:
        export.check(job.space)
    except SegmentationError as error:
        raise InvalidOptions([FieldFault("export", str(error))]) from error


def _obstacle(export: Export, choice: ExportChoice, kept: Collection[str], *, is_corrected: bool) -> str:
    """What keeps a map from being exported by rows. kept: its artifacts."""
    if not export.by_rows or choice.instances:
        possible = ", ".join(name for name, each in EXPORTS.items() if each.by_rows)
        return f"it is exported as {possible} alone, without instances"
    if is_corrected:
        return "what is exported of it is the prediction: say `corrected=false`"
    return "" if Mask.name in kept else f"only the artifact {Mask.name} is read by rows, and there is none"


def _suffix(image: JobImage) -> str:
    """As its owner named it, where that is a picture's; it is what a tool has."""
    suffix = PurePosixPath(image.name).suffix
    return suffix if suffix[1:].isalnum() and len(suffix) <= 5 else ".jpg"
