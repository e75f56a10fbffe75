"""Kept parts of archives, and corrections, in memory, for `tests/memory_database.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from jobs.corrections.correction import Correction, CorrectionFile
from jobs.errors import JobNotFound
from jobs.job import ImageStatus
from tests.memory_state import View

_UNENDED = (ImageStatus.QUEUED, ImageStatus.RUNNING)


class MemoryParts:
    def __init__(self, view: View) -> None:
        self._state = view.state

    def of(self, job_id: str) -> Mapping[int, bytes | None]:
        return {first: content for (of, first), content in self._state.parts.items() if of == job_id}

    def firsts(self, job_id: str) -> frozenset[int]:
        return frozenset(self.of(job_id))

    def is_ripe(self, job_id: str, first: int, last: int) -> bool:
        images = self._state.images.get(job_id, {}).values()
        return all(image.status not in _UNENDED for image in images if first <= image.index <= last)

    def keep(self, job_id: str, first: int, content: bytes | None) -> None:
        if job_id in self._state.jobs:
            self._state.parts.setdefault((job_id, first), content)

    def forget(self, job_id: str, first: int) -> None:
        if job_id in self._state.jobs:
            self._state.parts[job_id, first] = None


class MemoryCorrections:
    def __init__(self, view: View) -> None:
        self._state = view.state
        self._now = view.now

    def add(self, job_id: str, index: int, file: CorrectionFile, *, made_by: str | None) -> Correction:
        if job_id in self._state.hidden or job_id not in self._state.jobs:
            raise JobNotFound(f"there is no job {job_id}")
        earlier = self._state.corrections.get((job_id, index), ())
        correction = Correction(
            job_id=job_id, index=index, version=len(earlier) + 1, file=file, made_at=self._now, made_by=made_by
        )
        self._state.corrections[job_id, index] = (*earlier, correction)
        return correction

    def versions(self, job_id: str, index: int) -> Sequence[Correction]:
        return self._state.corrections.get((job_id, index), ())[::-1]

    def newest(self, job_id: str, *, after: int = -1, limit: int | None = None) -> Sequence[Correction]:
        found = sorted((index, each[-1]) for (of, index), each in self._state.corrections.items() if of == job_id)
        return [correction for index, correction in found if index > after][:limit]

    def jobs_since(self, moment: datetime) -> frozenset[str]:
        corrected = {of for (of, _), each in self._state.corrections.items() if each[-1].made_at >= moment}
        return frozenset(corrected & self._state.jobs.keys() - self._state.hidden)
