"""Kept parts of archives in memory, for `tests/memory_database.py`."""

from __future__ import annotations

from collections.abc import Mapping

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
