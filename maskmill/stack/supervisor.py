"""Watches parts: starts again what dies, stops all in order. One thread at a time may call it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby

from maskmill.errors import StackError
from maskmill.stack.home import StackHome
from maskmill.stack.part import Part, PartSpec, RestartPolicy, how_it_ended

LOOK_EVERY_S = 0.2
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the person at the terminal should know. kind: started, died, mended, again, stopped, killed."""

    kind: str
    part: str
    text: str


Report = Callable[[Notice], None]


class Supervisor:
    def __init__(self, home: StackHome, report: Report, *, policy: RestartPolicy | None = None) -> None:
        self._home = home
        self._report = report
        self._policy = policy or RestartPolicy()
        self._parts: dict[str, Part] = {}

    @property
    def parts(self) -> Mapping[str, Part]:
        return self._parts

    def start(self, spec: PartSpec) -> None:
        """The calling thread must outlive the part: Linux ends a part with the thread that started it."""
        self._home.rotate_log(spec.name)
        part = Part(spec, self._home)
        self._parts[spec.name] = part
        part.start()
        self._report(Notice("started", spec.name, f"{spec.name} started (process {part.pid})"))

    def run_once(self, spec: PartSpec, *, timeout_s: float) -> None:
        """Run a part that ends by itself. Raises StackError with the end of its log unless it ends well and in time."""
        self._home.rotate_log(spec.name)
        part = Part(spec, self._home)
        part.start()
        if not part.wait(timeout_s):
            part.kill()
            raise self.failure(spec.name, f"{spec.name} did not end within {timeout_s:g} s")
        code = part.return_code
        if code:
            raise self.failure(spec.name, f"{spec.name} failed with {how_it_ended(code)}")

    def tend(self) -> None:
        """One look at every part."""
        for part in self._parts.values():
            self._home.limit_log(part.spec.name)
            ending = part.died(self._policy)
            if ending is not None:
                delay = self._policy.delay_s(part.deaths)
                log = self._home.log(part.spec.name)
                text = f"{part.spec.name} ended with {ending}; it starts again in {delay:g} s (log: {log})"
                self._report(Notice("died", part.spec.name, text))
                self.mend(part.spec.name)
            if part.due_at is not None and time.monotonic() >= part.due_at:
                part.start()
                self._report(Notice("again", part.spec.name, f"{part.spec.name} started again (process {part.pid})"))

    def mend(self, name: str) -> None:
        """Before a part that died is started again. Does nothing to one that lives."""
        part = self._parts[name]
        mended = None if part.alive else part.mended()
        if mended is not None:
            self._report(Notice("mended", name, mended))

    def tend_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self.tend()
            time.sleep(LOOK_EVERY_S)

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stage after stage; whoever does not end in its time, or all as soon as `hurry` says so, is killed."""
        by_stage = sorted(self._parts.values(), key=lambda part: part.spec.stage)
        for _, stage in groupby(by_stage, key=lambda part: part.spec.stage):
            self._stop_stage(list(stage), hurry)
        self._parts.clear()

    def failure(self, part: str, sentence: str) -> StackError:
        """An error that ends with the last lines of the part's log."""
        tail = self._home.tail(part, lines=TAIL_LINES)
        end = f"; the end of {self._home.log(part)}:\n{tail}" if tail else f"; {self._home.log(part)} is empty"
        return StackError(sentence + end)

    def _stop_stage(self, stage: list[Part], hurry: Callable[[], bool]) -> None:
        for part in stage:
            part.due_at = None
            part.ask_to_stop()
        for part in stage:
            deadline = time.monotonic() + part.spec.stop_s
            while not part.wait(LOOK_EVERY_S):
                if hurry() or time.monotonic() >= deadline:
                    part.kill()
                    self._report(Notice("killed", part.spec.name, f"{part.spec.name} did not stop and was killed"))
                    break
            else:
                self._report(Notice("stopped", part.spec.name, f"{part.spec.name} stopped"))
