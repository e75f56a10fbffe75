"""Keys, what was asked with them, and whose turn it is, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.callers import DEFAULT_TENANT, Limits
from jobs.errors import CredentialNotFound
from jobs.job import ImageStatus, Job, JobImage, Priority
from jobs.tenants import window
from jobs.tenants.credentials import Credential
from jobs.tenants.ports import NextImages, Share
from jobs.tenants.window import Counted, Use
from tests.memory_state import Used, View


class MemoryCredentials:
    def __init__(self, view: View) -> None:
        self._view = view
        self._kept = view.state.credentials

    def exist(self) -> bool:
        return bool(self._kept)

    def find(self, credential_id: str) -> Credential | None:
        return self._kept.get(credential_id)

    def several(self, credential_ids: Collection[str]) -> Mapping[str, Credential]:
        return {name: self._kept[name] for name in credential_ids if name in self._kept}

    def all(self) -> Sequence[Credential]:
        return sorted(self._kept.values(), key=lambda each: (each.created_at, each.id))

    def add(self, credential: Credential) -> None:
        self._kept[credential.id] = credential

    def revoke(self, credential_id: str) -> Credential:
        found = self._kept.get(credential_id)
        revoked_at = self._view.now if found is None else found.revoked_at or self._view.now
        return self._change(credential_id, revoked_at=revoked_at)

    def limit(self, credential_id: str, limits: Limits) -> Credential:
        return self._change(credential_id, limits=limits)

    def _change(self, credential_id: str, **values: Any) -> Credential:
        if credential_id not in self._kept:
            raise CredentialNotFound(f"there is no key {credential_id!r}")
        self._kept[credential_id] = replace(self._kept[credential_id], **values)
        return self._kept[credential_id]


class MemoryUsage:
    def __init__(self, view: View) -> None:
        self._view = view
        self._used = view.state.usage

    def add(self, credential_id: str, kind: str, amount: int, *, period_s: int) -> Use:
        parts = window.add(self._parts(credential_id, kind), amount, at=self._view.now, period_s=period_s)
        self._used[credential_id, kind] = Used(self._view.tenant or DEFAULT_TENANT, parts)
        return self.so_far(credential_id, kind, period_s=period_s)

    def so_far(self, credential_id: str, kind: str, *, period_s: int) -> Use:
        return window.use(self._parts(credential_id, kind), at=self._view.now, period_s=period_s)

    def _parts(self, credential_id: str, kind: str) -> Counted:
        found = self._used.get((credential_id, kind))
        return () if found is None else found.parts

    def queued(self, credential_id: str) -> int:
        state = self._view.state
        mine = [job for job_id, job in state.jobs.items() if job_id not in state.hidden]
        return sum(job.counts.queued for job in mine if job.credential == credential_id)


class MemoryTurns:
    def __init__(self, view: View) -> None:
        self._view = view

    def shares(self, priority: Priority) -> Sequence[Share]:
        waiting, running = Counter[str](), Counter[str]()
        for job in self._unfinished():
            waiting[job.tenant] += job.counts.queued if job.priority is priority else 0
            running[job.tenant] += job.counts.running
        return [Share(tenant, running[tenant]) for tenant in sorted(waiting) if waiting[tenant]]

    def next_images(
        self, tenant: str, priority: Priority, *, limit: int, tried_first: bool = False
    ) -> NextImages | None:
        mine = [job for job in self._unfinished() if job.tenant == tenant and job.priority is priority]
        for is_fresh in (not tried_first, tried_first):
            for job in mine:
                rows = self._view.state.images[job.id].values()
                due = [image for image in rows if self._is_due(image) and (image.attempt == 0) is is_fresh]
                if due:
                    return NextImages(job.id, job.slice_size, {image.index: image.lost for image in due[:limit]})
        return None

    def _unfinished(self) -> list[Job]:
        state = self._view.state
        return [job for job_id, job in sorted(state.jobs.items()) if job_id not in state.hidden and not job.is_finished]

    def _is_due(self, image: JobImage) -> bool:
        return image.status is ImageStatus.QUEUED and (image.retry_at is None or image.retry_at <= self._view.now)
