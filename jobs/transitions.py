"""The rules of states, once: how images and their job go from one to the next. Nothing here reads or writes.

Each step takes what is locked, the job and what is needed of the images concerned, and gives the job as it is after,
with the ways in which images go. Repositories carry them out: one statement for all images that go the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple

from jobs.deliveries.delivery import Delivery
from jobs.deliveries.message import owed
from jobs.errors import IllegalTransition, ImageNotFinished, JobNotFinished, NotAllowed
from jobs.job import Counts, ImageStatus, Job, JobImage, JobStatus, JobTotals
from jobs.ports import Finished, Outcome
from jobs.processing.retry import WORKER_LOST
from jobs.reuse.known import is_reused
from segmentation.measures.agreement import Agreement

NEXT: Mapping[ImageStatus, frozenset[ImageStatus]] = {
    ImageStatus.QUEUED: frozenset({ImageStatus.RUNNING, ImageStatus.CANCELED}),
    ImageStatus.RUNNING: frozenset(
        {ImageStatus.SUCCEEDED, ImageStatus.FAILED, ImageStatus.CANCELED, ImageStatus.QUEUED}
    ),
    ImageStatus.SUCCEEDED: frozenset(),
    ImageStatus.FAILED: frozenset({ImageStatus.QUEUED}),  # only by a retry that the client asked for
    ImageStatus.CANCELED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One way for images to go. Raises IllegalTransition when `target` may not follow `source`.

    put: field of JobImage → its new value. add: field → by how much it grows. copy: field → the field whose value,
    as it was before, it takes.
    """

    source: ImageStatus
    target: ImageStatus
    put: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    copy: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target not in NEXT[self.source]:
            raise IllegalTransition(f"an image does not go from {self.source} to {self.target}")

    def apply(self, image: JobImage) -> JobImage:
        """Raises IllegalTransition when the image is not where this way begins."""
        if image.status is not self.source:
            raise IllegalTransition(f"image {image.job_id}/{image.index} is {image.status}, not {self.source}")
        grown = {name: getattr(image, name) + by for name, by in self.add.items()}
        copied = {name: getattr(image, other) for name, other in self.copy.items()}
        return replace(image, status=self.target, **{**self.put, **grown, **copied})


class Transition(NamedTuple):
    """job: as it is after. moves: the ways that images go; with the indices, or None for all that are in `source`.
    owes: the delivery that is written with it."""

    job: Job
    moves: Sequence[tuple[Move, Collection[int] | None]]
    owes: Delivery | None = None


LEAST_KEPT = timedelta(hours=1)  # a job after its end; or as long as it was to be kept, where that is less

_WAITS: Mapping[str, Any] = {"worker": None, "lease_until": None, "finished_at": None, "version": None}


def taking(*, worker: str, now: datetime, lease_s: float) -> Move:
    """How an image goes that a worker takes."""
    held = {"worker": worker, "lease_until": now + timedelta(seconds=lease_s)}
    return Move(
        source=ImageStatus.QUEUED,
        target=ImageStatus.RUNNING,
        put={**held, "retry_at": None, "failure": None, "waiting_for": None},
        add={"attempt": 1},
    )


def claim(job: Job, due: Collection[int], move: Move, *, now: datetime) -> Transition | None:
    """A worker takes queued images whose time has come, by `taking`. None when there are none."""
    if not due:
        return None
    started = replace(job, started_at=job.started_at or now)
    return _settled(job, started, [(move, due)], now=now)


def cancel(job: Job, *, now: datetime) -> Transition | None:
    """Queued images end at once, running ones are left to their workers. None when there is nothing left to cancel."""
    if job.is_finished or job.cancel_requested_at is not None:
        return None
    nothing = {"retry_at": None, "failure": None, "waiting_for": None}
    move = Move(source=ImageStatus.QUEUED, target=ImageStatus.CANCELED, put={**_ends(job, now), **nothing})
    return _settled(job, replace(job, cancel_requested_at=now), [(move, None)], now=now)


def hold_up(job: Job, part: str) -> Transition | None:
    """No image of it is begun while this part of the service is away. None when the job says so, or has ended."""
    if job.is_finished or job.waiting_for == part:
        return None
    return Transition(replace(job, waiting_for=part, version=job.version + 1), ())


def requeue(job: Job, *, now: datetime) -> Transition:
    """Failed images wait again; what was tried so far does not count. Raises JobNotFinished, NotAllowed."""
    if not job.is_finished:
        raise JobNotFinished(f"job {job.id} is {job.status}; it can be tried again when it has ended")
    if job.status not in (JobStatus.PARTIAL, JobStatus.FAILED):
        raise NotAllowed(f"only a partial or failed job can be tried again; this one is {job.status}")
    move = Move(
        source=ImageStatus.FAILED,
        target=ImageStatus.QUEUED,
        put={**_WAITS, "lost": 0, "retry_at": None, "failure": None, "waiting_for": None, "sent_at": now},
        copy={"excused": "attempt"},
    )
    kept = job.counts.finished - job.counts.failed
    again = replace(job, started_at=None, cancel_requested_at=None, finished_before=kept)
    return _settled(job, again, [(move, None)], now=now)


def lose(job: Job, lost: Mapping[int, int], *, losses: int, now: datetime) -> Transition | None:
    """Images whose leases ran out are given back, or given up.

    lost: index → how often it was lost before. losses: how often an image may be lost. None when `lost` is empty.
    """
    if not lost:
        return None
    canceled = set(lost) if job.cancel_requested_at is not None else set()
    failed = {index for index, before in lost.items() if before + 1 >= losses} - canceled
    counted = {"lost": 1}
    ends = {**_ends(job, now), "lease_until": None}
    moves = [
        (Move(source=ImageStatus.RUNNING, target=ImageStatus.CANCELED, put=ends, add=counted), canceled),
        (_given_up(ends, counted), failed),
        (
            Move(source=ImageStatus.RUNNING, target=ImageStatus.QUEUED, put={**_WAITS, "sent_at": now}, add=counted),
            set(lost) - canceled - failed,
        ),
    ]
    return _settled(job, job, [(move, indices) for move, indices in moves if indices], now=now)


def _given_up(ends: Mapping[str, Any], counted: Mapping[str, int]) -> Move:
    put = {**ends, "failure": WORKER_LOST}
    return Move(source=ImageStatus.RUNNING, target=ImageStatus.FAILED, put=put, add=counted)


class Held(NamedTuple):
    """What is known of an image whose attempt is said to have ended."""

    status: ImageStatus
    attempt: int
    input_sha256: str | None = None


def finish(
    job: Job, images: Mapping[int, Held], outcomes: Sequence[Outcome], *, now: datetime
) -> tuple[Transition | None, Finished]:
    """Attempts end. An outcome counts when its image still runs under that very attempt.

    images: those concerned that exist, as they are. None when no outcome counts.
    """
    mine = {each.index: each for each in outcomes if (at := images.get(each.index)) and at.attempt == each.attempt}
    counted = {index: mine[index] for index in sorted(mine) if images[index].status is ImageStatus.RUNNING}
    stands = {index for index in mine if mine[index].results and images[index].status is ImageStatus.SUCCEEDED}
    answer = Finished(tuple(counted), frozenset(each.index for each in outcomes) - counted.keys() - stands)
    if not counted:
        return None, answer
    moves = [(_ended(job, images[index], outcome, now), (index,)) for index, outcome in counted.items()]
    results = [each for each in counted.values() if each.results]
    after = replace(
        job,
        totals=_totals(job, results),
        agreement=_agreement(job, results),
        warnings=_warnings(job, results),
        reused=job.reused + sum(is_reused(each.results) for each in results),
        waiting_for=_waiting_for(job, [move for move, _ in moves]),
    )
    return _settled(job, after, moves, now=now), answer


def rescore(
    job: Job, image: JobImage, scores: Sequence[Mapping[str, Any]] | None, agreement: Agreement | None = None
) -> tuple[Job, JobImage]:
    """An image that succeeded is measured against a correction: its results and the job's totals, one version further.

    scores: fields of ImageMetrics, for each model; None: no prediction can be read back to be scored.
    agreement: of several models, with the correction.
    Raises ImageNotFinished.
    """
    if not image.results:
        raise ImageNotFinished(f"image {image.index} is {image.status}")
    if scores is None:
        return replace(job, version=job.version + 1), image
    before = [each.metrics for each in image.results]
    after = [replace(each, **scored, corrected=True) for each, scored in zip(before, scores, strict=True)]
    totals = tuple(sums.rescored(*pair) for sums, *pair in zip(job.totals, before, after, strict=True))
    results = [replace(result, metrics=each) for result, each in zip(image.results, after, strict=True)]
    rescored = replace(job, totals=totals, version=job.version + 1)
    image = replace(image, results=tuple(results))
    if agreement is None or job.agreement is None or image.comparison is None:
        return rescored, image
    sums = job.agreement.less(image.comparison.agreement).plus(agreement)
    return replace(rescored, agreement=sums), replace(image, comparison=replace(image.comparison, agreement=agreement))


def _ended(job: Job, image: Held, outcome: Outcome, now: datetime) -> Move:
    """The same fields for every outcome, so that all can be written by one statement."""
    target = _after(outcome, job)
    waits = target is ImageStatus.QUEUED
    retry_at = None if outcome.retry_in_s is None else now + timedelta(seconds=outcome.retry_in_s)
    return Move(
        source=ImageStatus.RUNNING,
        target=target,
        put={
            "lease_until": None,
            "sent_at": None,  # an image that waits again has to be sent again when it is due
            "retry_at": retry_at if waits else None,
            "waiting_for": outcome.waiting_for if waits else None,
            "failure": None if target is ImageStatus.CANCELED else outcome.failure,
            "results": outcome.results,
            "comparison": outcome.comparison,
            "warnings": outcome.warnings if outcome.results else (),
            "finished_at": None if waits else now,
            "version": None if waits else job.version + 1,
            "input_sha256": outcome.input_sha256 or image.input_sha256,
        },
        add={"excused": int(waits and (outcome.waiting_for is not None or outcome.failure is None))},
    )


def _after(outcome: Outcome, job: Job) -> ImageStatus:
    if outcome.results:
        return ImageStatus.SUCCEEDED
    if outcome.canceled or (outcome.retry_in_s is not None and job.cancel_requested_at is not None):
        return ImageStatus.CANCELED
    return ImageStatus.FAILED if outcome.retry_in_s is None else ImageStatus.QUEUED


def _totals(job: Job, outcomes: Sequence[Outcome]) -> tuple[JobTotals, ...]:
    if not outcomes:
        return job.totals
    by_model = zip(*(each.results for each in outcomes), strict=True)
    return tuple(reduce(JobTotals.plus, results, sums) for sums, results in zip(job.totals, by_model, strict=True))


def _agreement(job: Job, outcomes: Sequence[Outcome]) -> Agreement | None:
    before = [] if job.agreement is None else [job.agreement]
    found = [each.comparison.agreement for each in outcomes if each.comparison is not None]
    return reduce(Agreement.plus, before + found) if before or found else None


def _warnings(job: Job, outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    found = Counter(code for each in outcomes for code in {warning.code for warning in each.warnings})
    return {**job.warnings, **{code: job.warnings.get(code, 0) + images for code, images in sorted(found.items())}}


def _waiting_for(job: Job, moves: Sequence[Move]) -> str | None:
    """The newest word: an outage, or an image that ended well or badly, which shows that there is none."""
    outages = [move.put["waiting_for"] for move in moves if move.put["waiting_for"] is not None]
    if outages:
        return str(outages[-1])
    ended = any(move.target in (ImageStatus.SUCCEEDED, ImageStatus.FAILED) for move in moves)
    return None if ended else job.waiting_for


def _ends(job: Job, now: datetime) -> Mapping[str, Any]:
    return {"finished_at": now, "version": job.version + 1}


def _settled(
    before: Job, job: Job, moves: Sequence[tuple[Move, Collection[int] | None]], *, now: datetime
) -> Transition:
    """One version further, the counters as the moves leave them, finished when no image waits or runs.

    job: as the step has changed it beside that.
    """
    counts = _counts_after(job.counts, moves)
    done = not (counts.queued or counts.running)
    after = replace(
        job,
        counts=counts,
        version=job.version + 1,
        finished_at=now if done else None,
        expires_at=_kept_until(job, now) if done else job.expires_at,
        waiting_for=None if done else job.waiting_for,
    )
    owes = owed(before, after, now=now)
    return Transition(after if owes is None else replace(after, told_at=now), moves, owes)


def _kept_until(job: Job, now: datetime) -> datetime | None:
    """Of a job that ends: the queue may take longer than it was to be kept, and then it would go before anybody could
    fetch its results, or be told of it."""
    if job.expires_at is None:
        return None
    return max(job.expires_at, now + min(job.expires_at - job.created_at, LEAST_KEPT))


def _counts_after(counts: Counts, moves: Sequence[tuple[Move, Collection[int] | None]]) -> Counts:
    changes: Counter[str] = Counter()
    for move, indices in moves:
        images = getattr(counts, move.source.value) if indices is None else len(indices)
        changes[move.source.value] -= images
        changes[move.target.value] += images
    return replace(counts, **{status: getattr(counts, status) + more for status, more in changes.items()})
