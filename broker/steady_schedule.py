"""The schedule of the upkeep where the clock is set back: Celery would wait until it is as late again as it was."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler


class SteadyScheduler(PersistentScheduler):
    def tick(self, *arguments: Any, **named: Any) -> float:
        """As Celery's. What is said to have run in time to come, also before a restart, is taken to have run now."""
        for entry in self.schedule.values():
            now = entry.default_now()
            if entry.last_run_at is not None and entry.last_run_at > now:
                entry.last_run_at = now
                self._heap = None  # of moments: made anew
        return float(super().tick(*arguments, **named))
