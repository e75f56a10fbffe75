"""Taking corrections in and giving them out. Called by the API.

A correction is its image's ground truth from then on, whatever mask came with the picture: the stored prediction is
scored against it, and the job's sums follow in the same transaction.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from jobs.callers import DEFAULT, Caller
from jobs.corrections.correction import MEDIA_TYPE, Correction, CorrectionFile, read_correction
from jobs.errors import ArtifactNotFound, CorrectionNotFound, ImageNotFinished, ObjectNotFound
from jobs.job import ImageMetrics, ImageResult, Job, JobImage
from jobs.keys import new_correction_key
from jobs.ports import ObjectStore, OpenUnit, UnitOfWork
from jobs.processing.measuring import left_out, scores
from jobs.reporting.kept_parts import PART
from jobs.reporting.label_maps import HELD_PIXELS, predicted_if_whole
from segmentation.errors import ImageTooLarge, SegmentationError
from segmentation.label_map import LabelMap
from segmentation.measures.agreement import Agreement, agree
from segmentation.picture_files.pictures import decode_mask


class Corrected(NamedTuple):
    """metrics: of the job's first model against it; None where no stored result can be read back to be scored."""

    correction: Correction
    metrics: ImageMetrics | None


class _Scored(NamedTuple):
    """scores: fields of ImageMetrics, of each model. agreement: of several."""

    scores: Sequence[Mapping[str, Any]]
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Correcting:
    open_unit: OpenUnit
    objects: ObjectStore
    caller: Caller = DEFAULT
    max_pixels: int = HELD_PIXELS

    def put(self, job_id: str, index: int, data: bytes, *, is_checked: bool = False) -> Corrected:
        """The image's next version; the newest one again when it has these very bytes, which the store gets once more
        where it has lost them. is_checked: whether the pixels that it leaves without a class were looked at.

        Raises JobNotFound, ImageNotFound, ImageNotFinished, ImageTooLarge, ArtifactNotFound, and what
        `read_correction` raises; then nothing is stored.
        """
        with self._unit() as unit:
            job, image = unit.jobs.get(job_id), unit.images.get(job_id, index)
            earlier = unit.corrections.versions(job_id, index)
        result = _result_of(image)
        if result.width * result.height > self.max_pixels:
            size = f"{result.width}×{result.height}"
            raise ImageTooLarge(f"the picture is {size}; of more than {self.max_pixels} pixels none can be corrected")
        before = None if is_checked else partial(self.known, job, image)
        label_map = read_correction(data, space=job.space, shape=(result.height, result.width), before=before)
        sha256 = hashlib.sha256(data).hexdigest()
        if earlier and earlier[0].file.sha256 == sha256:
            self._restore(earlier[0].file, data)
            return Corrected(earlier[0], result.metrics if result.metrics.corrected else None)
        scored = self._scored(job, image, label_map)
        key = new_correction_key(job.prefix, index)
        file = CorrectionFile(key=key, size=len(data), crc32=zlib.crc32(data), sha256=sha256)
        self.objects.put(key, data, media_type=MEDIA_TYPE)
        return self._keep(job_id, index, file, scored)

    def known(self, job: Job, image: JobImage) -> Iterator[LabelMap]:
        """What was said of an image: corrections, the newest first, and what the models did. Without what is lost."""
        for each in self.versions(job.id, image.index):
            try:
                ids = decode_mask(self.objects.get(each.file.key), max_pixels=self.max_pixels)
            except (ObjectNotFound, SegmentationError):
                continue
            yield LabelMap(ids, job.space)
        for result in image.results:
            found = predicted_if_whole(result, self.objects, job)
            if found is not None:
                yield found

    def versions(self, job_id: str, index: int) -> Sequence[Correction]:
        """The newest first. Raises JobNotFound, ImageNotFound."""
        with self._unit() as unit:
            unit.images.get(job_id, index)
            return unit.corrections.versions(job_id, index)

    def version(self, job_id: str, index: int, version: int | None = None) -> Correction:
        """The newest one by default. Raises JobNotFound, ImageNotFound, CorrectionNotFound."""
        for each in self.versions(job_id, index):
            if version in (None, each.version):
                return each
        which = "no correction" if version is None else f"no version {version} of a correction"
        raise CorrectionNotFound(f"image {index} has {which}")

    def newest(self, job_id: str, *, after: int, limit: int) -> Sequence[Correction]:
        """Of each corrected image behind the index `after`, in input order. Raises JobNotFound."""
        with self._unit() as unit:
            unit.jobs.get(job_id)
            return unit.corrections.newest(job_id, after=after, limit=limit)

    def _restore(self, file: CorrectionFile, data: bytes) -> None:
        try:
            is_there = self.objects.info(file.key).size == file.size
        except ObjectNotFound:
            is_there = False
        if not is_there:
            self.objects.put(file.key, data, media_type=MEDIA_TYPE)

    def _keep(self, job_id: str, index: int, file: CorrectionFile, scored: _Scored | None) -> Corrected:
        """Without a row its object goes too. A commit may take effect although its answer is lost: then it stays."""
        may_be_kept = False
        try:
            with self._unit() as unit:
                correction = unit.corrections.add(job_id, index, file, made_by=self.caller.credential)
                scores, agreement = (None, None) if scored is None else scored
                metrics = unit.images.rescore(job_id, index, scores, agreement).metrics
                unit.parts.forget(job_id, index // PART * PART)
                may_be_kept = True
                unit.commit()
        finally:
            if not may_be_kept:
                self.objects.delete(file.key)
        return Corrected(correction, None if scored is None else metrics)

    def _scored(self, job: Job, image: JobImage, truth: LabelMap) -> _Scored | None:
        """Of the stored predictions; None where one has no artifact that keeps all class ids, or none that can be
        read: what somebody drew is kept all the same. Raises ArtifactNotFound where scores would stay that were
        counted against another truth."""
        found = [predicted_if_whole(each, self.objects, job) for each in image.results]
        maps = [each for each in found if each is not None]
        if len(maps) < len(found):
            if job.options.readable and _result_of(image).metrics.confusion is not None:
                raise ArtifactNotFound(f"the mask of image {image.index} is lost, and cannot be scored once more")
            return None
        told = [scores(each, truth, left_out(job, model, corrected=True)) for model, each in enumerate(maps)]
        return _Scored(told, agree(maps, truth) if len(maps) > 1 else None)

    def _unit(self) -> AbstractContextManager[UnitOfWork]:
        return self.open_unit(self.caller.tenant)


def _result_of(image: JobImage) -> ImageResult:
    if image.result is None:
        raise ImageNotFinished(f"image {image.index} is {image.status}; only what was segmented can be corrected")
    return image.result
