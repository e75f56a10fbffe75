"""Asking all parts of the service at once whether they are there, with a limit for those that say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from anyio import CapacityLimiter, to_thread

from jobs.errors import Transient

LIMIT_S = 2.5


@dataclass(frozen=True, slots=True)
class Answer:
    """value: what the check gave back, where nothing is wrong."""

    fault: str | None = None
    value: Any = None


@dataclass
class Readiness:
    """A part that does not answer keeps one thread, however often it is asked for."""

    limit_s: float = LIMIT_S
    _asked: dict[str, asyncio.Task[Answer]] = field(default_factory=dict)

    async def ask(self, checks: Mapping[str, Callable[[], object]]) -> Mapping[str, Answer]:
        """By part. A check raises Transient."""
        for part, check in checks.items():
            if part not in self._asked or self._asked[part].done():
                self._asked[part] = asyncio.create_task(_answer(check))
        tasks = {part: self._asked[part] for part in checks}
        await asyncio.wait(tasks.values(), timeout=self.limit_s)
        silent = Answer(f"said nothing for {self.limit_s:g} s")
        return {part: task.result() if task.done() else silent for part, task in tasks.items()}


async def _answer(check: Callable[[], object]) -> Answer:
    try:  # in threads beside those of the requests, which may all be taken
        return Answer(value=await to_thread.run_sync(check, limiter=CapacityLimiter(1)))
    except Transient as error:
        return Answer(str(error))
