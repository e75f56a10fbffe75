"""One part of a local stack: what to run, and a process that runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maskmill.stack.home import StackHome

LAUNCHER = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """name: also of its log. stage: lower ones are stopped first. stop_s: seconds given to stop by itself.

    mend: called with what a part wrote before it died, before it starts again; says what it did, if anything.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: int = 0
    stop_s: float = 10.0
    mend: Callable[[str], str | None] = lambda said: None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """The pause doubles with every death in a row; a part that lived `healthy_s` starts over at the first."""

    first_s: float = 1.0
    longest_s: float = 30.0
    healthy_s: float = 60.0

    def delay_s(self, deaths: int) -> float:
        return min(self.longest_s, self.first_s * 2.0 ** max(0, deaths - 1))


class Part:
    """A part's process, and how often it died in a row."""

    def __init__(self, spec: PartSpec, home: StackHome) -> None:
        self.spec = spec
        self.deaths = 0
        self.due_at: float | None = None  # when it is to be started again, monotonic
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._log_begins = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def return_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """In a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone."""
        environment = {**os.environ, **self.spec.environment}
        with self._home.log(self.spec.name).open("ab") as log:
            self._log_begins = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), *self.spec.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self.due_at = None
        self._home.note_pid(self.spec.name, self._process.pid)

    def died(self, policy: RestartPolicy) -> str | None:
        """How it ended, when it just did; then it is due again after a pause. None while it lives or waits."""
        if self._process is None or self.alive:
            return None
        code = self._process.returncode
        lived_s = time.monotonic() - self._started_at
        self.deaths = 1 if lived_s >= policy.healthy_s else self.deaths + 1
        self.due_at = time.monotonic() + policy.delay_s(self.deaths)
        self._process = None
        self._home.forget_pid(self.spec.name)
        return how_it_ended(code)

    def mended(self) -> str | None:
        """Let its specification mend what made it die. Call when it has died."""
        return self.spec.mend(self._home.tail(self.spec.name, since=self._log_begins))

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        if self._process is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        if self.alive:
            return False
        self._sweep()
        return True

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._sweep()

    def _sweep(self) -> None:
        """What it started and left behind is in its process group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._home.forget_pid(self.spec.name)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def how_it_ended(code: int) -> str:
    """A return code in words; negative ones are signals."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
