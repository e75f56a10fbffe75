"""The inputs of a job as those of another: what the store holds of them is copied, so that each job may be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from jobs.errors import FieldFault, InvalidOptions, JobNotFound, ObjectNotFound
from jobs.films.film import shown_at_s
from jobs.job import ImageStatus, Job, JobImage, NewImage, Source, SourceKind
from jobs.keys import is_correction, new_correction_key
from jobs.ports import ObjectStore, OpenUnit
from jobs.reporting.read import images_in_order, newest_corrections
from jobs.submitting.drafts import Draft
from jobs.submitting.matching import is_sample
from jobs.uploads.buckets import Buckets

COPIES_AT_ONCE = 16  # a store that is reached by network answers each after a while


class OfJob(NamedTuple):
    """The images of a job of the same tenant, in their order. status: those alone; indices: those alone.
    corrected: with the newest corrections as their masks, and no others."""

    job_id: str
    status: ImageStatus | None = None
    indices: Sequence[int] | None = None
    corrected: bool = False


class _Mask(NamedTuple):
    """sha256: hex; None where nobody has read it yet."""

    source: Source
    sha256: str | None


@dataclass(frozen=True, slots=True)
class OtherJobs:
    """Of one tenant."""

    open_unit: OpenUnit
    objects: ObjectStore
    buckets: Buckets
    tenant: str

    def add(self, draft: Draft, given: OfJob, *, at: str) -> None:
        """Names, refs and masks, or corrections, come along, what their ids mean, and that frames of films are among
        them. at: where the request names it.

        Raises InvalidOptions, TooManyImages, StorageUnavailable.
        """
        try:
            with self.open_unit(self.tenant) as unit:
                job = unit.jobs.get(given.job_id)
        except JobNotFound:
            raise _fault(at, f"there is no job {given.job_id!r}") from None
        copies: list[tuple[str, str]] = []
        try:
            masks = _corrections(self.open_unit, self.tenant, job) if given.corrected else _own_mask
            images = [_again(image, draft, copies, masks(image)) for image in self._chosen(job, given, at)]
        except JobNotFound:
            raise _is_going(at, job) from None
        if not images:
            raise _fault(at, "none of its images is meant")
        self._check_buckets(images, at)
        draft.add_inputs(images)
        if draft.frames_of_jobs_s is None and any(shown_at_s(image.name) is not None for image in images):
            draft.frames_of_jobs_s = job.options.every
        found = [image.mask for image in images if image.mask is not None]
        if found:
            meaning = job.label_space if given.corrected else job.options.mask_label_space or job.label_space
            draft.masks_of_jobs.take(job.spaces.get(meaning), at)
            draft.masks_of_jobs.count += sum(not is_sample(mask) for mask in found)
            draft.masks_of_jobs.corrected |= given.corrected
        elif given.corrected:
            raise _fault(at, "none of these images was corrected")
        try:
            with ThreadPoolExecutor(COPIES_AT_ONCE) as threads:
                list(threads.map(lambda copy: self.objects.copy(*copy), copies))
        except ObjectNotFound as error:
            raise self._lost(at, job, error) from None

    def _lost(self, at: str, job: Job, error: ObjectNotFound) -> InvalidOptions:
        try:
            with self.open_unit(self.tenant) as unit:
                unit.jobs.get(job.id)
        except JobNotFound:
            return _is_going(at, job)
        return _fault(at, f"{error}: the store has lost it; name the images that are to be taken with `indices`")

    def _chosen(self, job: Job, given: OfJob, at: str) -> Iterator[JobImage]:
        wanted = None if given.indices is None else frozenset(given.indices)
        beyond = [] if wanted is None else sorted(each for each in wanted if each >= job.counts.total)
        if beyond:
            raise _fault(at, f"it has {job.counts.total} images, and none of the index {beyond[0]}")
        for image in images_in_order(self.open_unit, self.tenant, job):
            if given.status in (None, image.status) and (wanted is None or image.index in wanted):
                yield image

    def _check_buckets(self, images: Sequence[NewImage], at: str) -> None:
        """A right of the tenant may have been withdrawn."""
        sources = (source for image in images for source in (image.source, image.mask) if source is not None)
        buckets = {each.location.partition("/")[0] for each in sources if each.kind is SourceKind.BUCKET}
        for bucket in sorted(buckets):
            if not self.buckets.allows(bucket, self.tenant):
                raise _fault(at, f"{bucket!r} is no bucket that inputs may come from, not any more")


def _own_mask(image: JobImage) -> _Mask | None:
    return None if image.mask is None else _Mask(image.mask, image.mask_sha256)


def _corrections(open_unit: OpenUnit, tenant: str, job: Job) -> Callable[[JobImage], _Mask | None]:
    newest = newest_corrections(open_unit, tenant, job)

    def mask(image: JobImage) -> _Mask | None:
        file = newest.get(image.index)
        return None if file is None else _Mask(Source(SourceKind.OBJECT, file.key), file.sha256)

    return mask


def _again(image: JobImage, draft: Draft, copies: list[tuple[str, str]], mask: _Mask | None) -> NewImage:
    """copies: keys of objects that have to be copied, and where to. Hashes of what may change are not believed.
    A correction's key says so in this job, too."""

    def placed(source: Source) -> Source:
        if source.kind is not SourceKind.OBJECT:
            return source
        own = new_correction_key(draft.prefix, image.index) if is_correction(source) else draft.new_key()
        copies.append((source.location, own))
        return Source(SourceKind.OBJECT, copies[-1][1])

    return NewImage(
        placed(image.source),
        image.name,
        image.ref,
        None if mask is None else placed(mask.source),
        input_sha256=image.input_sha256 if image.source.kind is SourceKind.OBJECT else None,
        mask_sha256=None if mask is None else mask.sha256,
    )


def _is_going(at: str, job: Job) -> InvalidOptions:
    return _fault(at, f"job {job.id} is being deleted")


def _fault(at: str, said: str) -> InvalidOptions:
    return InvalidOptions([FieldFault(at, said)])
