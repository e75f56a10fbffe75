"""What a database in memory holds, and what of it a unit of work sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.corrections.correction import Correction
from jobs.deliveries.delivery import Delivery, DeliveryStatus
from jobs.deliveries.endpoint import PROGRESS
from jobs.deliveries.ports import TenantWebhooks
from jobs.job import ImageStatus, Job, JobImage
from jobs.listing.filters import ImageFilter
from jobs.submitting.idempotency import IdempotencyRecord
from jobs.tenants.credentials import Credential
from jobs.tenants.window import Counted
from jobs.transitions import Transition
from jobs.uploads.upload import Upload
from jobs.watching.hints import Hint
from jobs.watching.workers import WorkerBeat


@dataclass
class Key:
    holder: str
    created_at: datetime
    record: IdempotencyRecord = IdempotencyRecord(fingerprint=None, job_id=None)  # noqa: RUF009 - frozen


@dataclass
class Draft:
    tenant: str
    prefix: str
    opened_at: datetime


@dataclass
class Used:
    tenant: str
    parts: Counted


@dataclass
class State:
    jobs: dict[str, Job] = field(default_factory=dict)
    images: dict[str, dict[int, JobImage]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    drafts: dict[str, Draft] = field(default_factory=dict)
    keys: dict[tuple[str, str], Key] = field(default_factory=dict)
    beats: dict[str, tuple[WorkerBeat, datetime]] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    webhooks: dict[str, TenantWebhooks] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    usage: dict[tuple[str, str], Used] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes | None] = field(default_factory=dict)
    corrections: dict[tuple[str, int], tuple[Correction, ...]] = field(default_factory=dict)
    origins: dict[str, Mapping[str, str]] = field(default_factory=dict)
    known: dict[tuple[str, bytes, str, str, str], tuple[int, int]] = field(default_factory=dict)

    def copy(self) -> State:
        images = {job_id: dict(rows) for job_id, rows in self.images.items()}
        return State(
            dict(self.jobs),
            images,
            set(self.hidden),
            dict(self.drafts),
            dict(self.keys),
            dict(self.beats),
            dict(self.deliveries),
            dict(self.webhooks),
            dict(self.uploads),
            dict(self.credentials),
            dict(self.usage),
            dict(self.parts),
            dict(self.corrections),
            dict(self.origins),
            dict(self.known),
        )

    def split(self, tenant: str | None) -> tuple[State, State]:
        """What a unit opened for the tenant sees, and the rest: the one place that scopes."""

        def part(mine: bool) -> State:
            jobs = {job_id: job for job_id, job in self.jobs.items() if (tenant in (None, job.tenant)) is mine}
            return State(
                jobs,
                {job_id: dict(rows) for job_id, rows in self.images.items() if job_id in jobs},
                {job_id for job_id in self.hidden if job_id in jobs},
                {name: each for name, each in self.drafts.items() if (tenant in (None, each.tenant)) is mine},
                {key: each for key, each in self.keys.items() if (tenant in (None, key[0])) is mine},
                dict(self.beats) if mine else {},
                {name: each for name, each in self.deliveries.items() if (tenant in (None, each.tenant)) is mine},
                {name: each for name, each in self.webhooks.items() if (tenant in (None, name)) is mine},
                {name: each for name, each in self.uploads.items() if (tenant in (None, each.tenant)) is mine},
                {name: each for name, each in self.credentials.items() if (tenant in (None, each.tenant)) is mine},
                {place: each for place, each in self.usage.items() if (tenant in (None, each.tenant)) is mine},
                {place: each for place, each in self.parts.items() if place[0] in jobs},
                {place: each for place, each in self.corrections.items() if place[0] in jobs},
                {job_id: each for job_id, each in self.origins.items() if job_id in jobs},
                {key: each for key, each in self.known.items() if (tenant in (None, key[0])) is mine},
            )

        return part(True), part(False)

    def joined(self, other: State) -> State:
        return State(
            {**self.jobs, **other.jobs},
            {**self.images, **other.images},
            self.hidden | other.hidden,
            {**self.drafts, **other.drafts},
            {**self.keys, **other.keys},
            {**self.beats, **other.beats},
            {**self.deliveries, **other.deliveries},
            {**self.webhooks, **other.webhooks},
            {**self.uploads, **other.uploads},
            {**self.credentials, **other.credentials},
            {**self.usage, **other.usage},
            {**self.parts, **other.parts},
            {**self.corrections, **other.corrections},
            {**self.origins, **other.origins},
            {**self.known, **other.known},
        )


@dataclass
class View:
    """What a unit works on."""

    state: State
    tenant: str | None
    now: datetime
    hint: Hint = field(default_factory=Hint)

    def note_change(self, job_id: str, *, ended: bool = False, owes: bool = False) -> None:
        end = {job_id} if ended else set()
        self.hint = Hint(self.hint.jobs | {job_id}, self.hint.ended | end, self.hint.owes or owes)

    def carry_out(self, step: Transition) -> Job:
        rows = self.state.images[step.job.id]
        for move, indices in step.moves:
            for index in self._those(rows, move.source, indices):
                rows[index] = move.apply(rows[index])
        self.state.jobs[step.job.id] = step.job
        owes = step.owes is not None and self.owe(step.owes)
        self.note_change(step.job.id, ended=step.job.is_finished, owes=owes)
        return step.job

    def owe(self, delivery: Delivery) -> bool:
        if self.tenant not in (None, delivery.tenant):
            raise ValueError("a delivery of another tenant")
        earlier = [each for each in self.state.deliveries.values() if each.job_id == delivery.job_id is not None]
        waits = [each for each in earlier if each.event == PROGRESS and each.status is DeliveryStatus.PENDING]
        if any(each.status is DeliveryStatus.GONE for each in earlier) or (delivery.event == PROGRESS and waits):
            return False
        self.state.deliveries[delivery.id] = delivery
        return True

    def _those(
        self, rows: Mapping[int, JobImage], status: ImageStatus, indices: Collection[int] | None
    ) -> Sequence[int]:
        return [index for index, image in rows.items() if image.status is status] if indices is None else list(indices)


def fits(image: JobImage, where: ImageFilter) -> bool:
    return (
        where.status in (None, image.status)
        and where.ref in (None, image.ref)
        and image.name.startswith(where.name or "")
        and where.warning in (None, *(each.code for each in image.warnings))
        and where.error in (None, image.failure and image.failure.code)
    )
