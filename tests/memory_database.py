"""A database in memory for unit tests. It passes the same contract suite as the real ones."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from jobs.errors import ImageNotFound, JobNotFinished, JobNotFound, JobRunning, NotAllowed
from jobs.job import TERMINAL, Counts, ImageStatus, Job, JobImage, JobStatus, NewImage, Priority, Slice
from jobs.ports import Claim, IdempotencyRecord, JobFilter, LostImages, Outcome, WorkerBeat
from jobs.retry import WORKER_LOST


@dataclass
class _State:
    jobs: dict[str, Job] = field(default_factory=dict)
    images: dict[str, dict[int, JobImage]] = field(default_factory=dict)
    sent_at: dict[tuple[str, int], datetime] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    drafts: dict[str, datetime] = field(default_factory=dict)
    keys: dict[str, IdempotencyRecord] = field(default_factory=dict)
    beats: dict[str, WorkerBeat] = field(default_factory=dict)

    def copy(self) -> _State:
        images = {job_id: dict(rows) for job_id, rows in self.images.items()}
        return _State(dict(self.jobs), images, dict(self.sent_at), set(self.hidden), dict(self.drafts),
                      dict(self.keys), dict(self.beats))  # fmt: skip


class MemoryDatabase:
    """`unit` is an OpenUnit: one transaction at a time, rolled back unless committed."""

    def __init__(self, *, on_commit: Callable[[frozenset[str]], None] = lambda job_ids: None) -> None:
        self._state = _State()
        self._lock = threading.RLock()
        self._on_commit = on_commit

    @contextmanager
    def unit(self) -> Iterator[MemoryUnit]:
        with self._lock:
            before = self._state
            unit = MemoryUnit(before.copy())
            yield unit
            if unit.committed is not None:
                self._state = unit.committed
        if changed := _changed_jobs(before, self._state):
            self._on_commit(changed)


def _changed_jobs(before: _State, after: _State) -> frozenset[str]:
    def visible(state: _State, job_id: str) -> Job | None:
        return None if job_id in state.hidden else state.jobs.get(job_id)

    both = before.jobs.keys() | after.jobs.keys()
    return frozenset(job_id for job_id in both if visible(before, job_id) is not visible(after, job_id))


class MemoryUnit:
    def __init__(self, state: _State) -> None:
        self.jobs = _Jobs(state)
        self.images = _Images(state)
        self.drafts = _Drafts(state)
        self.idempotency = _Idempotency(state)
        self.workers = _Workers(state)
        self._state = state
        self.committed: _State | None = None

    def commit(self) -> None:
        self.committed = self._state.copy()


class _Jobs:
    def __init__(self, state: _State) -> None:
        self._state = state

    def add(self, job: Job, images: Iterable[NewImage]) -> None:
        rows = {index: JobImage(job_id=job.id, index=index, **new._asdict()) for index, new in enumerate(images)}
        assert job.counts == Counts(queued=len(rows))
        self._state.jobs[job.id] = job
        self._state.images[job.id] = rows
        self._state.sent_at.update({(job.id, index): job.created_at for index in rows})

    def get(self, job_id: str) -> Job:
        if job_id in self._state.hidden or job_id not in self._state.jobs:
            raise JobNotFound(f"there is no job {job_id}")
        return self._state.jobs[job_id]

    def page(self, where: JobFilter, *, limit: int, before: str | None) -> Sequence[Job]:
        found = [
            job
            for job_id, job in sorted(self._state.jobs.items(), reverse=True)
            if job_id not in self._state.hidden
            and (where.status is None or job.status == where.status)
            and (where.model is None or job.model == where.model)
            and (before is None or job_id < before)
        ]
        return found[:limit]

    def several(self, job_ids: Collection[str]) -> Sequence[Job]:
        known = sorted(set(job_ids) & self._state.jobs.keys() - self._state.hidden)
        return [self._state.jobs[job_id] for job_id in known]

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        return {job.id: job.version for job in self.several(job_ids)}

    def ahead_of(self, job_ids: Collection[str]) -> Mapping[str, int]:
        unfinished = [job for job in self.several(self._state.jobs) if not job.is_finished]
        return {
            job.id: sum(other.id < job.id and other.priority is job.priority for other in unfinished)
            for job in unfinished
            if job.id in job_ids
        }

    def request_cancel(self, job_id: str, *, now: datetime) -> Job:
        job = self.get(job_id)
        if job.is_finished:
            return job
        changes = {
            index: replace(image.become(ImageStatus.CANCELED), finished_at=now)
            for index, image in self._state.images[job_id].items()
            if image.status is ImageStatus.QUEUED
        }
        self._state.jobs[job_id] = replace(job, cancel_requested_at=job.cancel_requested_at or now)
        return _change(self._state, job_id, changes, now=now)

    def requeue_failed(self, job_id: str, *, now: datetime) -> Job:
        job = self.get(job_id)
        if not job.is_finished:
            raise JobNotFinished("the job is not finished")
        if job.status not in (JobStatus.PARTIAL, JobStatus.FAILED):
            raise NotAllowed(f"a {job.status} job has nothing to retry")
        changes = {
            index: replace(image.become(ImageStatus.QUEUED), attempt=0, lost=0, retry_at=None, finished_at=None)
            for index, image in self._state.images[job_id].items()
            if image.status is ImageStatus.FAILED
        }
        self._state.sent_at.update({(job_id, index): now for index in changes})
        kept = job.counts.finished - len(changes)
        again = replace(job, started_at=None, finished_at=None, cancel_requested_at=None, finished_before=kept)
        self._state.jobs[job_id] = again
        return _change(self._state, job_id, changes, now=now)

    def mark_deleted(self, job_id: str) -> None:
        if not self.get(job_id).is_finished:
            raise JobRunning("the job is not finished; cancel it first")
        self._state.hidden.add(job_id)

    def expired(self, *, now: datetime, limit: int) -> Sequence[str]:
        found = [
            job.id
            for job in self.page(JobFilter(), limit=len(self._state.jobs), before=None)
            if job.is_finished and job.expires_at is not None and job.expires_at <= now
        ]
        return found[:limit]

    def deleted(self, *, limit: int) -> Sequence[str]:
        return sorted(self._state.hidden)[:limit]

    def purge(self, job_id: str) -> None:
        self._state.hidden.discard(job_id)
        self._state.jobs.pop(job_id, None)
        self._state.images.pop(job_id, None)


class _Images:
    def __init__(self, state: _State) -> None:
        self._state = state
        self._jobs = _Jobs(state)

    def get(self, job_id: str, index: int) -> JobImage:
        self._jobs.get(job_id)
        image = self._state.images[job_id].get(index)
        if image is None:
            raise ImageNotFound(f"job {job_id} has no image {index}")
        return image

    def page(
        self, job_id: str, *, status: ImageStatus | None, sort: str, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        self._jobs.get(job_id)
        rows = [image for image in self._state.images[job_id].values() if status is None or image.status is status]
        rows.sort(key=lambda image: (_sort_value(image, sort), image.index))
        start = 0 if after is None else int(base64.urlsafe_b64decode(after))
        page = rows[start : start + limit]
        more = start + limit < len(rows)
        return page, base64.urlsafe_b64encode(str(start + limit).encode()).decode() if more else None

    def all(self, job_id: str) -> Iterator[JobImage]:
        self._jobs.get(job_id)
        yield from [self._state.images[job_id][index] for index in sorted(self._state.images[job_id])]

    def claim(self, piece: Slice, *, worker: str, now: datetime, lease_until: datetime) -> Claim | None:
        if piece.job_id not in self._state.jobs or piece.job_id in self._state.hidden:
            return None
        rows = self._state.images[piece.job_id]
        taken = {
            index: replace(
                rows[index].become(ImageStatus.RUNNING),
                attempt=rows[index].attempt + 1,
                worker=worker,
                lease_until=lease_until,
                retry_at=None,
            )
            for index in range(piece.first, piece.last + 1)
            if index in rows and _is_due(rows[index], now)
        }
        if not taken:
            return None
        return Claim(job=_change(self._state, piece.job_id, taken, now=now), images=tuple(taken.values()))

    def renew(
        self, job_id: str, attempts: Mapping[int, int], *, now: datetime, lease_until: datetime
    ) -> tuple[frozenset[int], bool]:
        rows = self._state.images.get(job_id, {})
        held = [index for index, attempt in attempts.items() if index in rows and _is_mine(rows[index], attempt)]
        for index in held:
            rows[index] = replace(rows[index], lease_until=lease_until)
        job = self._state.jobs.get(job_id)
        return frozenset(held), job is not None and job.cancel_requested_at is not None

    def finish(self, job_id: str, outcomes: Sequence[Outcome], *, now: datetime) -> Sequence[int]:
        rows = self._state.images.get(job_id, {})
        mine = [each for each in outcomes if each.index in rows and _is_mine(rows[each.index], each.attempt)]
        changes = {each.index: _ended(rows[each.index], each, now) for each in mine}
        job = self._state.jobs.get(job_id)
        if job is None or not changes:
            return []
        if job.cancel_requested_at is not None:
            changes = {i: _canceled(image, now) for i, image in changes.items()}
        totals = job.totals
        for each in mine:
            totals = totals if each.result is None else totals.plus(each.result)
        self._state.jobs[job_id] = replace(job, totals=totals)
        _change(self._state, job_id, changes, now=now)
        for index in changes:
            self._state.sent_at.pop((job_id, index), None)
        return sorted(changes)

    def free_expired(self, *, now: datetime, losses: int, limit: int) -> Sequence[LostImages]:
        found = []
        for job_id, rows in self._state.images.items():
            gone = [
                image
                for image in rows.values()
                if image.status is ImageStatus.RUNNING and image.lease_until is not None and image.lease_until <= now
            ]
            if not gone:
                continue
            canceled = self._state.jobs[job_id].cancel_requested_at is not None
            changes = {image.index: _lost(image, losses, canceled, now) for image in gone[:limit]}
            job = _change(self._state, job_id, changes, now=now)
            lost = {i: image.lost for i, image in changes.items() if image.status is ImageStatus.QUEUED}
            self._state.sent_at.update({(job_id, index): now for index in lost})
            found.append(LostImages(job=job, lost=lost))
        return found

    def resend_due(
        self, *, now: datetime, silent_since: datetime, priorities: Sequence[Priority], limit: int
    ) -> Sequence[LostImages]:
        found = []
        for job_id, rows in sorted(self._state.images.items()):
            job = self._state.jobs[job_id]
            if job_id in self._state.hidden or job.priority not in priorities:
                continue
            due = [image for image in rows.values() if _is_due(image, now) and self._is_silent(image, silent_since)][
                :limit
            ]
            if due:
                self._state.sent_at.update({(job_id, image.index): now for image in due})
                found.append(LostImages(job=job, lost={image.index: image.lost for image in due}))
        return found

    def unsend(self, pieces: Iterable[Slice]) -> None:
        for piece in pieces:
            for index in range(piece.first, piece.last + 1):
                self._state.sent_at.pop((piece.job_id, index), None)

    def newest_running(self, priority: Priority) -> datetime | None:
        running = [
            self._state.sent_at.get((image.job_id, image.index))
            for job_id, rows in self._state.images.items()
            for image in rows.values()
            if self._state.jobs[job_id].priority is priority and image.status is ImageStatus.RUNNING
        ]
        return max((sent for sent in running if sent is not None), default=None)

    def _is_silent(self, image: JobImage, since: datetime) -> bool:
        sent_at = self._state.sent_at.get((image.job_id, image.index))
        return sent_at is None or sent_at < since


class _Drafts:
    def __init__(self, state: _State) -> None:
        self._state = state

    def open(self, job_id: str, *, now: datetime) -> None:
        self._state.drafts[job_id] = now

    def close(self, job_id: str) -> None:
        self._state.drafts.pop(job_id, None)

    def stale(self, *, before: datetime, limit: int) -> Sequence[str]:
        return [job_id for job_id, opened in self._state.drafts.items() if opened < before][:limit]


class _Idempotency:
    def __init__(self, state: _State) -> None:
        self._state = state

    def begin(self, key: str, *, now: datetime) -> IdempotencyRecord | None:
        if key in self._state.keys:
            return self._state.keys[key]
        self._state.keys[key] = IdempotencyRecord(key=key, fingerprint=None, job_id=None, created_at=now)
        return None

    def renew(self, key: str, *, now: datetime) -> None:
        if key in self._state.keys and self._state.keys[key].job_id is None:
            self._state.keys[key] = replace(self._state.keys[key], created_at=now)

    def complete(self, key: str, *, fingerprint: str, job_id: str) -> None:
        self._state.keys[key] = replace(self._state.keys[key], fingerprint=fingerprint, job_id=job_id)

    def abandon(self, key: str) -> None:
        self._state.keys.pop(key, None)

    def forget(self, *, before: datetime) -> None:
        self._state.keys = {key: each for key, each in self._state.keys.items() if each.created_at >= before}


class _Workers:
    def __init__(self, state: _State) -> None:
        self._state = state

    def beat(self, beat: WorkerBeat) -> None:
        self._state.beats[beat.name] = beat

    def alive(self, *, since: datetime) -> Sequence[WorkerBeat]:
        return [beat for beat in self._state.beats.values() if beat.beat_at >= since]

    def forget(self, *, before: datetime) -> None:
        self._state.beats = {name: beat for name, beat in self._state.beats.items() if beat.beat_at >= before}


def _change(state: _State, job_id: str, changes: Mapping[int, JobImage], *, now: datetime) -> Job:
    rows = state.images[job_id]
    rows.update(changes)
    tally = {status.value: 0 for status in ImageStatus}
    for image in rows.values():
        tally[image.status.value] += 1
    job = replace(state.jobs[job_id], counts=Counts(**tally), version=state.jobs[job_id].version + 1)
    started = job.started_at or (now if job.counts.running else None)
    finished = now if job.counts.status(started=True) in TERMINAL else None
    state.jobs[job_id] = replace(job, started_at=started, finished_at=finished)
    return state.jobs[job_id]


def _is_due(image: JobImage, now: datetime) -> bool:
    return image.status is ImageStatus.QUEUED and (image.retry_at is None or image.retry_at <= now)


def _is_mine(image: JobImage, attempt: int) -> bool:
    return image.status is ImageStatus.RUNNING and image.attempt == attempt


def _ended(image: JobImage, outcome: Outcome, now: datetime) -> JobImage:
    if outcome.result is not None:
        return replace(image.become(ImageStatus.SUCCEEDED), result=outcome.result, finished_at=now)
    if outcome.canceled:
        return replace(image.become(ImageStatus.CANCELED), finished_at=now)
    if outcome.retry_at is not None:
        return replace(image.become(ImageStatus.QUEUED, failure=outcome.failure), retry_at=outcome.retry_at)
    return replace(image.become(ImageStatus.FAILED, failure=outcome.failure), finished_at=now)


def _canceled(image: JobImage, now: datetime) -> JobImage:
    """Nothing of a job with a requested cancel goes back to the queue."""
    if image.status is not ImageStatus.QUEUED:
        return image
    return replace(image.become(ImageStatus.CANCELED), finished_at=now)


def _lost(image: JobImage, losses: int, canceled: bool, now: datetime) -> JobImage:
    if canceled:
        return replace(image.become(ImageStatus.CANCELED), finished_at=now)
    if image.lost + 1 >= losses:
        return replace(image.become(ImageStatus.FAILED, failure=WORKER_LOST), lost=image.lost + 1, finished_at=now)
    return replace(image.become(ImageStatus.QUEUED), lost=image.lost + 1)


def _sort_value(image: JobImage, sort: str) -> float:
    if sort == "index":
        return 0.0
    metrics = None if image.result is None else image.result.metrics
    value = None if metrics is None else (metrics.mean_confidence if sort == "confidence" else metrics.miou)
    return float("inf") if value is None else value
