"""Comparing the models of a job: reads what the images' workers have counted. Called by the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.callers import DEFAULT, Caller
from jobs.comparing.document import SEED, Document, Drawn, comparison_document
from jobs.errors import NothingToCompare
from jobs.job import ImageStatus, Job, JobImage
from jobs.listing.filters import ImageFilter
from jobs.ports import OpenUnit
from segmentation.measures.bootstrap import PictureCounts, Resampled
from segmentation.measures.metrics import as_confusion

LARGEST = 4_000  # images that are drawn from; of a longer job, so many that are spread over it evenly
RUN = 100  # images that are read at once


@dataclass(frozen=True, slots=True)
class Comparing:
    open_unit: OpenUnit
    caller: Caller = DEFAULT

    def comparison(self, job_id: str, *, contested: int) -> Document:
        """What is known so far; the intervals are known once the job has ended. contested: how many images to tell of.

        Raises JobNotFound, NothingToCompare.
        """
        job, found = self.contested(job_id, contested)
        return comparison_document(job, found, self.drawn(job))

    def contested(self, job_id: str, count: int) -> tuple[Job, Sequence[JobImage]]:
        """The job and its most contested images. Raises JobNotFound, NothingToCompare."""
        with self.open_unit(self.caller.tenant) as unit:
            job = unit.jobs.get(job_id)
            check_comparable(job)
            ended = ImageFilter(status=ImageStatus.SUCCEEDED)
            found, _ = unit.images.page(job_id, where=ended, sort="accord", limit=max(1, count), after=None)
        return job, found[:count]

    def drawn(self, job: Job) -> Drawn | None:
        """None while the job runs, and without enough images of known truth."""
        if not job.is_finished or job.totals[0].confusion is None:
            return None
        counted: list[list[PictureCounts]] = [[] for _ in job.models]
        for images in self._spread(job):
            self._count(images, counted)
        if not counted[0]:
            return None
        models = [PictureCounts.joined(each) for each in counted]
        resampled = Resampled.of(models, seed=SEED)
        return None if resampled is None else Drawn(resampled)

    def _count(self, images: Sequence[JobImage], counted: list[list[PictureCounts]]) -> None:
        known = [image for image in images if image.result is not None and image.result.metrics.confusion is not None]
        for model, found in enumerate(counted):
            matrices = [as_confusion(image.results[model].metrics.confusion or ()) for image in known]
            if matrices:
                found.append(PictureCounts.of(matrices))

    def _spread(self, job: Job) -> Iterator[Sequence[JobImage]]:
        """A transaction for each run: none is held while the numbers are worked out."""
        runs = range(0, job.counts.total, RUN)
        most = LARGEST // RUN
        chosen = runs if len(runs) <= most else [runs[number * len(runs) // most] for number in range(most)]
        for first in chosen:
            with self.open_unit(self.caller.tenant) as unit:
                yield unit.images.run(job.id, first=first, last=first + RUN - 1)


def check_comparable(job: Job) -> None:
    """Raises NothingToCompare."""
    if len(job.models) < 2:
        raise NothingToCompare("the job has one model; submit it with `models` to compare several")
