"""A database in memory for unit tests. It passes the same contract suite as the real ones, and knows no rule itself."""

from __future__ import annotations

import base64
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jobs import transitions
from jobs.callers import DEFAULT_TENANT
from jobs.errors import ImageNotFound, JobNotFound, JobRunning
from jobs.job import Counts, ImageResult, ImageStatus, Job, JobImage, NewImage, Priority, Slice
from jobs.listing.filters import EVERY_IMAGE, ImageFilter, JobFilter
from jobs.ports import Claim, Finished, LostImages, OnCommit, Outcome, Remains, Standing, WaitingImages
from jobs.transitions import Held
from jobs.watching.hints import Hint
from jobs.watching.waiting import Waiting
from segmentation.measures.agreement import Agreement
from storage.repositories.images import SET_BACK
from storage.rows import clarity, surety
from telemetry.carrying import origin
from tests.fakes import FakeClock
from tests.memory_deliveries import MemoryDeliveries, MemoryWebhooks, forget_deliveries
from tests.memory_keys import MemoryIdempotency, MemoryWorkers
from tests.memory_known import MemoryKnown, forget_known, remember
from tests.memory_parts import MemoryCorrections, MemoryParts
from tests.memory_state import Draft, State, View, fits
from tests.memory_tenants import MemoryCredentials, MemoryTurns, MemoryUsage
from tests.memory_uploads import MemoryUploads
from tests.memory_waiting import waiting_of


class MemoryDatabase:
    """`unit` is an OpenUnit: one transaction at a time, rolled back unless committed. Its time is the clock's."""

    def __init__(self, clock: FakeClock | None = None, *, on_commit: OnCommit = lambda hint: None) -> None:
        self.clock = clock or FakeClock()
        self._on_commit = on_commit
        self._state = State()
        self._lock = threading.RLock()

    @contextmanager
    def unit(self, tenant: str | None = None) -> Iterator[MemoryUnit]:
        with self._lock:
            mine, others = self._state.split(tenant)
            unit = MemoryUnit(View(mine, tenant, self.clock()))
            yield unit
            if unit.committed is not None:
                self._state = unit.committed.joined(others)
        if unit.hint is not None:
            self._on_commit(unit.hint)


class MemoryUnit:
    def __init__(self, view: View) -> None:
        self.jobs = _Jobs(view)
        self.images = _Images(view)
        self.parts = MemoryParts(view)
        self.corrections = MemoryCorrections(view)
        self.known = MemoryKnown(view)
        self.drafts = _Drafts(view)
        self.idempotency = MemoryIdempotency(view)
        self.workers = MemoryWorkers(view)
        self.deliveries = MemoryDeliveries(view)
        self.webhooks = MemoryWebhooks(view)
        self.uploads = MemoryUploads(view)
        self.credentials = MemoryCredentials(view)
        self.usage = MemoryUsage(view)
        self.turns = MemoryTurns(view)
        self.now = view.now
        self._view = view
        self.committed: State | None = None
        self.hint: Hint | None = None

    def commit(self) -> None:
        self.committed = self._view.state.copy()
        self.hint = self._view.hint if self._view.hint.jobs else None


class _Jobs:
    def __init__(self, view: View) -> None:
        self._view = view
        self._state = view.state

    def add(self, job: Job, images: Iterable[NewImage]) -> None:
        rows = {
            index: JobImage(job_id=job.id, index=index, sent_at=job.created_at, **new._asdict())
            for index, new in enumerate(images)
        }
        if job.counts != Counts(queued=len(rows)) or self._view.tenant not in (None, job.tenant):
            raise ValueError("other images or another owner than announced")
        self._state.jobs[job.id] = job
        self._state.images[job.id] = rows
        self._state.origins[job.id] = origin()
        self._view.note_change(job.id)

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
            and (where.model is None or where.model in job.models)
            and (before is None or job_id < before)
            and (where.created_after is None or job.created_at >= where.created_after)
            and (where.created_before is None or job.created_at < where.created_before)
            and where.fits(job.metadata)
        ]
        return found[:limit]

    def several(self, job_ids: Collection[str]) -> Sequence[Job]:
        known = sorted(set(job_ids) & self._state.jobs.keys() - self._state.hidden)
        return [self._state.jobs[job_id] for job_id in known]

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        return {job.id: job.version for job in self.several(job_ids)}

    def standing(self, *, since: datetime | None = None) -> Sequence[Standing]:
        corrected = frozenset() if since is None else MemoryCorrections(self._view).jobs_since(since)
        return [
            Standing(job.id, job.tenant, job.version, job.finished_at)
            for job in self.several(self._state.jobs)
            if job.finished_at is None or job.id in corrected or (since is not None and job.finished_at >= since)
        ]

    def large(self, *, images: int) -> Sequence[str]:
        return [job.id for job in self._state.jobs.values() if job.finished_at is None and job.counts.total >= images]

    def waiting(self) -> Sequence[Waiting]:
        return waiting_of(self.several(self._state.jobs), now=self._view.now)

    def ahead_of(self, job_ids: Collection[str]) -> Mapping[str, int]:
        state = self._state
        waiting = [job for job_id, job in state.jobs.items() if job_id not in state.hidden and not job.is_finished]
        return {
            job.id: sum(
                other.id < job.id and (other.tenant, other.priority) == (job.tenant, job.priority) for other in waiting
            )
            for job in self.several(job_ids)
            if not job.is_finished
        }

    def request_cancel(self, job_id: str) -> Job:
        job = self.get(job_id)
        step = transitions.cancel(job, now=self._view.now)
        return job if step is None else self._view.carry_out(step)

    def hold_up(self, job_id: str, part: str) -> None:
        for job in self.several([job_id]):
            if (step := transitions.hold_up(job, part)) is not None:
                self._view.carry_out(step)

    def requeue_failed(self, job_id: str) -> Job:
        return self._view.carry_out(transitions.requeue(self.get(job_id), now=self._view.now))

    def mark_deleted(self, job_id: str) -> None:
        if not self.get(job_id).is_finished:
            raise JobRunning("the job is not finished; cancel it first")
        self._state.hidden.add(job_id)
        for key in [key for key, each in self._state.keys.items() if each.record.job_id == job_id]:
            del self._state.keys[key]
        forget_deliveries(self._state, job_id)
        self._view.note_change(job_id, ended=True)

    def expired(self, *, limit: int) -> Sequence[str]:
        found = [
            job.id
            for job in self.page(JobFilter(), limit=len(self._state.jobs), before=None)
            if job.is_finished and job.expires_at is not None and job.expires_at <= self._view.now
        ]
        return found[:limit]

    def deleted(self, *, limit: int, after: str = "") -> Sequence[Remains]:
        found = [Remains(job_id, self._state.jobs[job_id].prefix) for job_id in sorted(self._state.hidden)]
        return [each for each in found if each.job_id > after][:limit]

    def purge(self, job_id: str) -> None:
        self._state.hidden.discard(job_id)
        self._state.jobs.pop(job_id, None)
        for place in [each for each in self._state.parts if each[0] == job_id]:
            del self._state.parts[place]
        for place in [each for each in self._state.corrections if each[0] == job_id]:
            del self._state.corrections[place]
        forget_known(self._state, job_id)
        MemoryUploads(self._view).release(self._state.images.pop(job_id, {}).values())


class _Images:
    def __init__(self, view: View) -> None:
        self._view = view
        self._state = view.state
        self._jobs = _Jobs(view)

    def get(self, job_id: str, index: int) -> JobImage:
        self._jobs.get(job_id)
        image = self._state.images[job_id].get(index)
        if image is None:
            raise ImageNotFound(f"job {job_id} has no image {index}")
        return image

    def page(
        self, job_id: str, *, where: ImageFilter = EVERY_IMAGE, sort: str, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        self._jobs.get(job_id)
        rows = [image for image in self._state.images[job_id].values() if fits(image, where)]
        rows.sort(key=lambda image: (_sort_value(image, sort), image.index))
        start = 0 if after is None else int(base64.urlsafe_b64decode(after))
        page = rows[start : start + limit]
        more = start + limit < len(rows)
        return page, base64.urlsafe_b64encode(str(start + limit).encode()).decode() if more else None

    def class_shares(self, job_id: str, *, where: ImageFilter) -> Sequence[tuple[int, Mapping[str, float] | None]]:
        self._jobs.get(job_id)
        rows = [image for image in self._state.images[job_id].values() if fits(image, where)]
        return [(row.index, None if row.result is None else row.result.metrics.class_fractions) for row in rows]

    def chosen(self, job_id: str, indices: Sequence[int]) -> Sequence[JobImage]:
        self._jobs.get(job_id)
        rows = self._state.images[job_id]
        return [rows[index] for index in indices if index in rows]

    def run(self, job_id: str, *, first: int, last: int) -> Sequence[JobImage]:
        if self._job(job_id) is None:
            raise JobNotFound(f"there is no job {job_id}")
        return [image for index, image in sorted(self._state.images[job_id].items()) if first <= index <= last]

    def since(self, job_id: str, version: int, *, limit: int, after: int | None = None) -> Sequence[JobImage]:
        self._jobs.get(job_id)
        place = (version, float("inf") if after is None else after)
        rows = self._state.images[job_id].values()
        ended = [((image.version, image.index), image) for image in rows if image.version is not None]
        return [image for at, image in sorted(ended, key=lambda each: each[0]) if at > place][:limit]

    def claim(self, piece: Slice, *, worker: str, lease_s: float) -> Claim | None:
        job = self._job(piece.job_id)
        if job is None:
            return None
        rows = self._state.images[job.id]
        due = [
            index
            for index in range(piece.first, piece.last + 1)
            if index in rows and self._is_due(rows[index])
        ]  # fmt: skip
        now = self._view.now
        step = transitions.claim(job, due, transitions.taking(worker=worker, now=now, lease_s=lease_s), now=now)
        if step is None:
            return None
        after = self._view.carry_out(step)
        return Claim(job=after, images=tuple(rows[index] for index in due))

    def renew(self, job_id: str, attempts: Mapping[int, int], *, lease_s: float) -> tuple[frozenset[int], bool]:
        job = self._job(job_id)
        if job is None:
            return frozenset(), True
        rows = self._state.images[job_id]
        held = [index for index, attempt in attempts.items() if index in rows and _is_mine(rows[index], attempt)]
        for index in held:
            rows[index] = replace(rows[index], lease_until=self._view.now + timedelta(seconds=lease_s))
        return frozenset(held), job.cancel_requested_at is not None

    def finish(self, job_id: str, outcomes: Sequence[Outcome], *, claim: Claim | None = None) -> Finished:
        job = self._job(job_id)
        if job is None:
            return Finished((), frozenset(each.index for each in outcomes))
        rows = self._state.images[job_id]
        held = {index: Held(image.status, image.attempt, image.input_sha256) for index, image in rows.items()}
        step, answer = transitions.finish(job, held, outcomes, now=self._view.now)
        if step is not None:
            self._view.carry_out(step)
            ended = set(answer.ended)
            remember(self._state, job, [each for each in outcomes if each.index in ended and each.results])
        return answer

    def rescore(
        self, job_id: str, index: int, scores: Sequence[Mapping[str, Any]] | None, agreement: Agreement | None = None
    ) -> ImageResult:
        job, image = transitions.rescore(self._jobs.get(job_id), self.get(job_id, index), scores, agreement)
        self._state.jobs[job_id], self._state.images[job_id][index] = job, image
        self._view.note_change(job_id, ended=job.is_finished)
        return image.results[0]

    def free_expired(self, *, losses: int, limit: int) -> Sequence[LostImages]:
        found = []
        for job_id, rows in self._state.images.items():
            gone = [image for image in rows.values() if self._is_lost(image)][:limit]
            lost = {image.index: image.lost for image in gone}
            step = transitions.lose(self._state.jobs[job_id], lost, losses=losses, now=self._view.now)
            if step is None:
                continue
            job = self._view.carry_out(step)
            waiting = {index: rows[index].lost for index in lost if rows[index].status is ImageStatus.QUEUED}
            attempts = {image.index: image.attempt for image in gone}
            found.append(LostImages(WaitingImages(job=job, losses=waiting), attempts))
        return found

    def resend_due(
        self, *, silent_s: float | None, priorities: Sequence[Priority], limit: int
    ) -> Sequence[WaitingImages]:
        found = []
        for job_id, rows in sorted(self._state.images.items()):
            job = self._state.jobs[job_id]
            if job_id in self._state.hidden or job.priority not in priorities:
                continue
            due = [image for image in rows.values() if self._is_due(image) and self._is_silent(image, silent_s)][:limit]
            for image in due:
                rows[image.index] = replace(image, sent_at=self._view.now)
            if due:
                found.append(WaitingImages(job=job, losses={image.index: image.lost for image in due}))
        return found

    def unsend(self, pieces: Iterable[Slice]) -> None:
        for piece in pieces:
            rows = self._state.images.get(piece.job_id, {})
            for index in range(piece.first, piece.last + 1):
                if index in rows and rows[index].status is ImageStatus.QUEUED:
                    rows[index] = replace(rows[index], sent_at=None)

    def waiting(self, job_id: str) -> Sequence[int]:
        rows = self._state.images.get(job_id, {})
        return sorted(index for index, image in rows.items() if image.status is ImageStatus.QUEUED)

    def newest_running_s(self, priority: Priority) -> float | None:
        running = [
            image.sent_at
            for job_id, rows in self._state.images.items()
            for image in rows.values()
            if self._state.jobs[job_id].priority is priority and image.status is ImageStatus.RUNNING
        ]
        newest = max((sent for sent in running if sent is not None), default=None)
        return None if newest is None else (self._view.now - newest).total_seconds()

    def _job(self, job_id: str) -> Job | None:
        return None if job_id in self._state.hidden else self._state.jobs.get(job_id)

    def _is_due(self, image: JobImage) -> bool:
        return image.status is ImageStatus.QUEUED and (image.retry_at is None or image.retry_at <= self._view.now)

    def _is_lost(self, image: JobImage) -> bool:
        until = image.lease_until
        return image.status is ImageStatus.RUNNING and until is not None and until <= self._view.now

    def _is_silent(self, image: JobImage, silent_s: float | None) -> bool:
        if image.sent_at is None:
            return True
        ago = self._view.now - image.sent_at
        return silent_s is not None and (ago > timedelta(seconds=silent_s) or ago < -SET_BACK)


class _Drafts:
    def __init__(self, view: View) -> None:
        self._view = view
        self._drafts = view.state.drafts

    def open(self, job_id: str, *, prefix: str) -> None:
        self._drafts[job_id] = Draft(self._view.tenant or DEFAULT_TENANT, prefix, self._view.now)

    def close(self, job_id: str) -> None:
        self._drafts.pop(job_id, None)

    def stale(self, *, older_than_s: float, limit: int, after: str = "") -> Sequence[Remains]:
        before = self._view.now - timedelta(seconds=older_than_s)
        found = [Remains(name, each.prefix) for name, each in sorted(self._drafts.items()) if each.opened_at < before]
        return [each for each in found if each.job_id > after][:limit]


def _is_mine(image: JobImage, attempt: int) -> bool:
    return image.status is ImageStatus.RUNNING and image.attempt == attempt


def _sort_value(image: JobImage, sort: str) -> float:
    if sort == "index":
        return 0.0
    if sort == "accord":
        return float("inf") if image.comparison is None else image.comparison.agreement.accord
    metrics = None if image.result is None else image.result.metrics
    if metrics is None:
        return float("inf")
    value = {
        "confidence": metrics.mean_confidence,
        "miou": metrics.miou,
        "clarity": clarity(metrics),
        "surety": surety(metrics),
    }[sort]
    return float("inf") if value is None else value
