"""The one table from an image's failure to a decision: try again after a delay, or give up."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.errors import (
    DatabaseUnavailable,
    DownloadFailed,
    ImageFailure,
    InputNotFound,
    ObjectNotFound,
    QueueUnavailable,
    StorageUnavailable,
    TookTooLong,
    Transient,
)
from jobs.job import Failure
from jobs.ports import Claim, Outcome
from segmentation.errors import SegmentationError

logger = logging.getLogger(__name__)

_PARTS = {StorageUnavailable: "storage", DatabaseUnavailable: "database", QueueUnavailable: "broker"}
_NEWER_WORKER = "newer_worker"
_LEFT_PER_S = 500  # images of a job: fewer than upkeep sends, which has others to send, too
_STEPS = 30  # doublings that are counted; more would leave the range of floats
_LEFT = {"action": "images_wait", "waiting_for": _NEWER_WORKER}
WORKER_LOST = Failure("worker_lost", "the worker vanished each time while it processed this image")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter between half and all of the delay.

    attempts: tries of one image before a failure that may pass is final. An outage of a part of the service is
    nobody's attempt: images wait for it as long as it lasts, up to `outage_delay_s` between two tries. After `doubts`
    waits, though, an image whose own object cannot be had while the store answers counts its attempts.
    losses: leases that may run out before the image is given up as `worker_lost`; before that its slice is cut
    down until it stands alone, so that a picture which kills its worker takes no neighbour with it.
    """

    attempts: int = 4
    losses: int = 5
    base_delay_s: float = 2.0
    longest_delay_s: float = 120.0
    outage_delay_s: float = 15.0
    doubts: int = 20
    jitter: Callable[[], float] = random.random

    def delay_s(self, attempt: int) -> float:
        """attempt: 1 for the first try."""
        return self._jittered(min(self.longest_delay_s, self.base_delay_s * 2.0 ** min(attempt - 1, _STEPS)))

    def wait_for_part_s(self, excused: int) -> float:
        """Until an image asks again for a part that was away. excused: how often it did so in vain."""
        return self._jittered(min(self.outage_delay_s, 2.0 ** min(excused, _STEPS)))

    def wait_for_newer_s(self, excused: int, *, unfinished: int) -> float:
        """Until an image asks again for a worker that knows what its job asks for. unfinished: images of the job: those
        of a large one come back over minutes, so that workers who do not know it have time for other jobs."""
        return self._jittered(max(min(self.outage_delay_s, 2.0 ** min(excused, _STEPS)), unfinished / _LEFT_PER_S))

    def is_doubtful(self, excused: int) -> bool:
        """Whether it is time to ask if a part is away at all, or fails with this image alone."""
        return excused >= self.doubts

    def retry_after_s(self, error: Exception, *, attempt: int) -> float | None:
        """Seconds until the next try; None to give up."""
        if attempt >= self.attempts or not may_pass(error):
            return None
        return self.delay_s(attempt)

    def _jittered(self, delay_s: float) -> float:
        return delay_s * (0.5 + 0.5 * self.jitter())

    def slice_size_after(self, losses: int, *, largest: int) -> int:
        """How many images may share a message after their worker vanished `losses` times: a quarter each time."""
        return max(1, largest >> (2 * losses))

    def runs(self, losses: Mapping[int, int], *, largest: int) -> Iterator[tuple[int, int]]:
        """First and last of each run of neighbouring images (index → losses), none longer than the most often lost of
        its images allows."""
        run: list[int] = []
        room = 0
        for index in sorted(losses):
            allowed = self.slice_size_after(losses[index], largest=largest)
            if run and (index != run[-1] + 1 or len(run) >= min(room, allowed)):
                yield run[0], run[-1]
                run = []
            room = min(room, allowed) if run else allowed
            run.append(index)
        if run:
            yield run[0], run[-1]


def part_away(error: BaseException) -> str | None:
    """The part of the service whose outage this error tells of, as `waiting_for` names it."""
    return next((part for kind, part in _PARTS.items() if isinstance(error, kind)), None)


def left_to_newer(claim: Claim, policy: RetryPolicy) -> Sequence[Outcome]:
    """How a worker gives images back whose job asks for what its version does not know, while an upgrade goes on: to do
    the rest alone would be a wrong result. Empty where it knows all."""
    job, counts = claim.job, claim.job.counts
    if not job.options.unknown:
        return ()
    indices = [image.index for image in claim.images]
    where = {"job_id": job.id, "first": min(indices), "last": max(indices), "images": len(indices)}
    unknown = ", ".join(job.options.unknown)
    logger.warning("images wait for a newer worker: this version does not know %s", unknown, extra={**_LEFT, **where})
    unfinished = counts.queued + counts.running
    return [
        Outcome(
            index=image.index,
            attempt=image.attempt,
            waiting_for=_NEWER_WORKER,
            retry_in_s=policy.wait_for_newer_s(image.excused, unfinished=unfinished),
        )
        for image in claim.images
    ]


def may_pass(error: Exception) -> bool:
    """True when the same image may succeed later without anybody changing anything."""
    if isinstance(error, DownloadFailed):
        return error.retryable
    if isinstance(error, (InputNotFound, TookTooLong)):
        return False
    return isinstance(error, (Transient, ImageFailure))


def failure_of(error: Exception) -> Failure:
    """What the client reads. Unknown exceptions say nothing of their inside."""
    if isinstance(error, (ImageFailure, SegmentationError)):
        return Failure(error.code, str(error))
    if isinstance(error, ObjectNotFound):
        return Failure("download_failed", "the stored input is gone")
    if isinstance(error, StorageUnavailable):
        return Failure("download_failed", "the object store answers, but not for what this image needs")
    if isinstance(error, Transient):
        return Failure("model_failed", f"a part of the service stayed unavailable ({error.code})")
    return Failure("model_failed", "the image could not be processed")
