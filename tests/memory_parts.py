"""Kept parts of archives in memory, for `tests/memory_database.py`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.memory_state import View


class MemoryParts:
    def __init__(self, view: View) -> None:
        self._state = view.state

    def of(self, job_id: str) -> Mapping[int, bytes | None]:
        return {first: content for (of, first), content in self._state.parts.items() if of == job_id}

    def firsts(self, job_id: str) -> frozenset[int]:
        return frozenset(self.of(job_id))

    def keep(self, job_id: str, first: int, content: bytes | None) -> None:
        if job_id in self._state.jobs:
            self._state.parts.setdefault((job_id, first), content)
