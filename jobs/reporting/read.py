"""Reading: jobs, their images, how far they are, what came out. Called by the API."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.callers import DEFAULT, Caller
from jobs.comparing.drift import CLASS_DRIFT, DriftOrders
from jobs.corrections.correction import CorrectionFile
from jobs.errors import ArtifactNotFound, ModelNotFound, ObjectNotFound
from jobs.job import Artifact, Job, JobImage
from jobs.listing.filters import EVERY_IMAGE, ImageFilter, JobFilter
from jobs.ports import ObjectStore, OpenUnit, Standing, UnitOfWork
from jobs.reporting.kept_parts import PART

_STEPS = 10_000  # of progress
LEAST_FOR_ESTIMATE = 2  # images that ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a waiting client wants to know. progress in [0, 1], rounded down: 1 is the end; queue_position: unfinished
    jobs that go first, None when nobody can tell just now."""

    progress: float
    queue_position: int | None
    eta_seconds: float | None
    images_per_second: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """orders: of the process, whoever calls: they are asked for with a job that the caller may see."""

    open_unit: OpenUnit
    objects: ObjectStore
    caller: Caller = DEFAULT
    orders: DriftOrders = field(default_factory=DriftOrders)

    def job(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        with self._unit() as unit:
            return unit.jobs.get(job_id)

    def page(self, where: JobFilter, *, limit: int, before: str | None) -> Sequence[Job]:
        """Newest first; `before`: the last id of the page before."""
        with self._unit() as unit:
            return unit.jobs.page(where, limit=limit, before=before)

    def progress(self, job: Job) -> Progress:
        """Raises DatabaseUnavailable."""
        return self.progress_of([job])[job.id]

    def progress_of(self, jobs: Sequence[Job]) -> Mapping[str, Progress]:
        """By job id. Raises DatabaseUnavailable."""
        with self._unit() as unit:
            return progress_of(unit, jobs)

    def changed_since(self, when: datetime) -> Sequence[tuple[str, datetime | None]]:
        """Jobs that have not ended, and then those that have or were corrected since then, in the order of their ends,
        with these."""
        with self._unit() as unit:
            found = [(each.job_id, each.finished_at) for each in unit.jobs.standing(since=when)]
        return sorted(found, key=lambda each: each[1] or when)

    def images(
        self, job_id: str, where: ImageFilter = EVERY_IMAGE, *, sort: str = "index", limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        """One page and the next page's cursor. Raises JobNotFound, ValueError for a foreign cursor."""
        with self._unit() as unit:
            if sort == CLASS_DRIFT:
                return self.orders.page(unit, unit.jobs.get(job_id), where=where, limit=limit, after=after)
            return unit.images.page(job_id, where=where, sort=sort, limit=limit, after=after)

    def image(self, job_id: str, index: int) -> JobImage:
        """Raises JobNotFound, ImageNotFound."""
        with self._unit() as unit:
            return unit.images.get(job_id, index)

    def models_of(self, job_id: str, images: Sequence[JobImage]) -> tuple[str, ...]:
        """The job's models, where its images tell of several; else nothing, and nothing is read. Raises JobNotFound."""
        return self.job(job_id).models if any(len(image.results) > 1 for image in images) else ()

    def place_of(self, job_id: str, model: str) -> int:
        """The position of a model in a job. Raises JobNotFound, ModelNotFound, which names those there are."""
        models = self.job(job_id).models
        if model not in models:
            raise ModelNotFound(f"the job has no model {model!r}; there are: {', '.join(models)}")
        return models.index(model)

    def artifact(self, job_id: str, index: int, name: str, *, model: str | None = None) -> Artifact:
        """A stored result by its name, or the `input`. model: whose; None: the first one's.

        Raises JobNotFound, ImageNotFound, ModelNotFound, ArtifactNotFound.
        """
        image = self.image(job_id, index)
        if name == "input" and image.source.is_stored:
            return self._input(image)
        return artifact_of(image, name, model=0 if model is None else self.place_of(job_id, model))

    def _input(self, image: JobImage) -> Artifact:
        try:
            info = self.objects.info(image.source.location)
        except ObjectNotFound as error:
            raise ArtifactNotFound(f"the input of image {image.index} is gone") from error
        return Artifact(name="input", key=info.key, media_type=info.media_type, size=info.size, crc32=0)

    def _unit(self) -> AbstractContextManager[UnitOfWork]:
        return self.open_unit(self.caller.tenant)


@dataclass(frozen=True, slots=True)
class Watching:
    """Jobs of all tenants, for one look that serves all who wait in a process. Whose a job is, who waits has to ask."""

    open_unit: OpenUnit

    def jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        """Those of these jobs that there are, read at once. Raises DatabaseUnavailable."""
        with self.open_unit() as unit:
            return {job.id: job for job in unit.jobs.several(job_ids)}

    def progress(self, jobs: Sequence[Job]) -> Mapping[str, Progress]:
        """By job id. Raises DatabaseUnavailable."""
        with self.open_unit() as unit:
            return progress_of(unit, jobs)

    def standing(self, within_s: float) -> Sequence[Standing]:
        """Of all that have not ended, or that ended or were corrected not earlier than so long ago. Raises
        DatabaseUnavailable."""
        with self.open_unit() as unit:
            return unit.jobs.standing(since=unit.now - timedelta(seconds=within_s))

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """Of those of these jobs that there are. Raises DatabaseUnavailable."""
        with self.open_unit() as unit:
            return unit.jobs.versions(job_ids)


def progress_of(unit: UnitOfWork, jobs: Sequence[Job]) -> Mapping[str, Progress]:
    """By job id, with one look at the queue; none when nobody stands in it."""
    waiting = [job.id for job in jobs if not _has_begun(job)]
    ahead = unit.jobs.ahead_of(waiting) if waiting else {}
    now = None if all(job.is_finished for job in jobs) else unit.now
    return {job.id: _progress(job, now, queue_position=ahead.get(job.id, 0)) for job in jobs}


def progress_at(job: Job, now: datetime) -> Progress:
    """Of a job that has begun, or has ended."""
    return _progress(job, now, queue_position=0)


def progress_without_queue(job: Job) -> Progress:
    """What the job itself tells; needs no database, and knows no rate of a job that still runs."""
    return _progress(job, None, queue_position=0 if _has_begun(job) else None)


def images_in_order(open_unit: OpenUnit, tenant: str, job: Job) -> Iterator[JobImage]:
    """A transaction for some of them: a slow client holds no connection to the database."""
    for first in range(0, job.counts.total, PART):
        with open_unit(tenant) as unit:
            images = unit.images.run(job.id, first=first, last=first + PART - 1)
        yield from images


def newest_corrections(open_unit: OpenUnit, tenant: str, job: Job) -> Mapping[int, CorrectionFile]:
    """By the index of the image, of those that have one."""
    with open_unit(tenant) as unit:
        return {each.index: each.file for each in unit.corrections.newest(job.id)}


def artifact_of(image: JobImage, name: str, *, model: int = 0) -> Artifact:
    """A stored result, of the model at this position or of all together. Raises ArtifactNotFound."""
    found = image.results[model].artifacts if image.results else ()
    found += () if image.comparison is None else image.comparison.artifacts
    for artifact in found:
        if artifact.name == name:
            return artifact
    known = ", ".join([artifact.name for artifact in found]) or "none yet"
    raise ArtifactNotFound(f"image {image.index} has no artifact {name!r}; there are: {known}")


def _has_begun(job: Job) -> bool:
    return bool(job.is_finished or job.counts.finished or job.counts.running)


def _progress(job: Job, now: datetime | None, *, queue_position: int | None) -> Progress:
    """Measured on the job itself: finished images since it started. No rate before the first one, and no estimate
    before the second: a model is loaded, and measured when it is new, in the time of the first."""
    rate, left = _rate(job, now), job.counts.queued + job.counts.running
    is_known = not job.is_finished and _ended(job) >= LEAST_FOR_ESTIMATE
    return Progress(
        progress=job.counts.finished * _STEPS // job.counts.total / _STEPS,
        queue_position=queue_position,
        eta_seconds=left / rate if rate and is_known else None,
        images_per_second=rate,
    )


def _rate(job: Job, now: datetime | None) -> float | None:
    """Images per second since the job started, or was started again."""
    ended, until = _ended(job), job.finished_at or now
    if job.started_at is None or until is None or not ended:
        return None
    seconds = (until - job.started_at).total_seconds()
    return ended / seconds if seconds > 0 else None


def _ended(job: Job) -> int:
    """Since it started, or was started again; a canceled image took nobody's time."""
    return job.counts.succeeded + job.counts.failed - job.finished_before
