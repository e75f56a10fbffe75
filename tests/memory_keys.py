"""Idempotency keys and signs of life, of the database in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from jobs.callers import DEFAULT_TENANT
from jobs.errors import IdempotencyKeyLost
from jobs.submitting.idempotency import IdempotencyRecord
from jobs.watching.workers import WorkerBeat
from tests.memory_state import Key, View


class MemoryIdempotency:
    def __init__(self, view: View) -> None:
        self._view = view
        self._keys = view.state.keys

    def begin(self, idempotency_key: str, *, holder: str, patience_s: float) -> IdempotencyRecord | None:
        found = self._keys.get(self._place(idempotency_key))
        before = self._view.now - timedelta(seconds=patience_s)
        if found is None or (found.record.job_id is None and found.created_at < before):
            self._keys[self._place(idempotency_key)] = Key(holder, self._view.now)
            return None
        return found.record

    def renew(self, idempotency_key: str, *, holder: str) -> None:
        if self._is_held(idempotency_key, holder):
            self._keys[self._place(idempotency_key)] = Key(holder, self._view.now)

    def complete(self, idempotency_key: str, *, holder: str, fingerprint: str, job_id: str) -> None:
        if not self._is_held(idempotency_key, holder):
            raise IdempotencyKeyLost("another request has the key")
        record = IdempotencyRecord(fingerprint=fingerprint, job_id=job_id)
        place = self._place(idempotency_key)
        self._keys[place] = replace(self._keys[place], record=record)

    def abandon(self, idempotency_key: str, *, holder: str) -> None:
        if self._is_held(idempotency_key, holder):
            del self._keys[self._place(idempotency_key)]

    def forget(self, *, older_than_s: float) -> None:
        before = self._view.now - timedelta(seconds=older_than_s)
        for place in [place for place, each in self._keys.items() if each.created_at < before]:
            del self._keys[place]

    def _place(self, idempotency_key: str) -> tuple[str, str]:
        return self._view.tenant or DEFAULT_TENANT, idempotency_key

    def _is_held(self, idempotency_key: str, holder: str) -> bool:
        found = self._keys.get(self._place(idempotency_key))
        return found is not None and found.holder == holder and found.record.job_id is None


class MemoryWorkers:
    def __init__(self, view: View) -> None:
        self._view = view
        self._beats = view.state.beats

    def beat(self, beat: WorkerBeat) -> None:
        self._beats[beat.name] = (beat, self._view.now)

    def alive(self, *, within_s: float) -> Sequence[WorkerBeat]:
        since = self._view.now - timedelta(seconds=within_s)
        return [beat for _, (beat, at) in sorted(self._beats.items()) if at >= since]

    def forget(self, *, older_than_s: float) -> None:
        before = self._view.now - timedelta(seconds=older_than_s)
        for name in [name for name, (_, at) in self._beats.items() if at < before]:
            del self._beats[name]
