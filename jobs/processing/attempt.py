"""One try of a worker at one image, while it runs: what it does, for how long already, whether it still counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from jobs.errors import JobsError, StorageUnavailable, TookTooLong
from jobs.job import Job, JobImage
from jobs.ports import Finished
from jobs.reuse.recalling import Recalled
from jobs.reuse.recipe import Recipes
from segmentation.picture_files.file_data import FileData, in_memory


class Hold(Protocol):
    """What an attempt needs to know of its `jobs.processing.lease.Lease`."""

    @property
    def canceled(self) -> bool: ...

    def holds(self, index: int) -> bool: ...


class AttemptCanceled(Exception):
    """The client wants the job no more."""


class AttemptLost(Exception):
    """Nobody waits for this attempt any more: another worker may have the image, or it took too long."""


class Attempt:
    """Its steps are taken by one thread; the slice that waits for it lets its time pass, and may give it up.

    limit_s: how long all steps together may take, and the object store besides: an image that takes nearly as long must
    not be tried for ever, as if the store were away. What the attempt waits for between steps does not count.

    sha256, data: of the input, as soon as it was read. recalled: what is known of it already, for each model; empty, or
    None for a model that has to run. finished: how its outcome was taken, where its own thread wrote it.
    """

    def __init__(
        self, job: Job, image: JobImage, lease: Hold, *, limit_s: float, recipes: Recipes | None = None
    ) -> None:
        self.job = job
        self.image = image
        self._lease = lease
        self._limit_s = limit_s
        self._spent_s = self._store_s = 0.0
        self._step = ""
        self._timings_s: dict[str, float] = {}
        self._over = False
        self._leave: Callable[[], None] = lambda: None
        self.sha256 = image.input_sha256
        self.data: FileData | None = None
        self.recalled: Sequence[Recalled | None] = ()
        self.finished: Finished | None = None
        self.recipes = recipes or Recipes(job)
        self._lock = threading.Lock()

    def stretch_limit(self, times: int) -> None:
        """So many times as long as another image may this one take."""
        self._limit_s *= times

    @property
    def held_bytes(self) -> int:
        """Of memory, by what was read of the input."""
        return in_memory(self.data)

    def hold(self, room: int) -> None:
        """Forget what was read of the input where there is no room for it: less than none, in bytes."""
        if room < 0 and self.held_bytes:
            self.data = None

    def check(self) -> None:
        """Called between steps, and within long ones. Raises AttemptCanceled, AttemptLost."""
        if self._over or not self._lease.holds(self.image.index):
            raise AttemptLost
        if self._lease.canceled:
            raise AttemptCanceled

    def step(self, name: str) -> _Step:
        """Counts and times what its block does. Raises AttemptCanceled, AttemptLost before it begins."""
        return _Step(self, name)

    def begin(self, step: str) -> None:
        """As `check`, and from now on this step is counted."""
        self.check()
        self._step = step

    def leave(self, step: str, seconds: float) -> None:
        self._step = ""
        self._timings_s[step] = self._timings_s.get(step, 0.0) + seconds

    def take_timings(self) -> Mapping[str, float]:
        """Milliseconds by step since the last call."""
        taken, self._timings_s = self._timings_s, {}
        return {step: round(seconds * 1e3, 2) for step, seconds in taken.items()}

    def end(self) -> bool:
        """True for the first who says so: the thread with what it found, or the slice that waits no longer."""
        with self._lock:
            first, self._over = not self._over, True
        return first

    def holds_room(self, leave: Callable[[], None]) -> None:
        """leave: makes free what the attempt has of the process's room for pixels."""
        self._leave = leave

    def give_up(self) -> bool:
        """As `end`, by who waits no longer: its thread may be stuck in a codec, and others need the room."""
        first = self.end()
        if first:
            self._leave()
        return first

    def spend(self, seconds: float) -> JobsError | None:
        """Let time pass. Returns how the attempt ends when that was too much of it."""
        step = self._step
        if not step:
            return None
        if self._is_of_store(step):
            self._store_s += seconds
            error = StorageUnavailable(f"the object store did not answer within {self._limit_s:g} s")
            return error if self._store_s > self._limit_s else None
        self._spent_s += seconds
        late = TookTooLong(f"the image took longer than {self._limit_s:g} s (in the step {step!r})")
        return late if self._spent_s > self._limit_s else None

    def _is_of_store(self, step: str) -> bool:
        return step in ("store", "reuse") or (step == "fetch" and self.image.source.is_stored)


class _Step:
    """A class of its own: there are half a dozen for each picture, and a generator takes three times as long."""

    __slots__ = ("_attempt", "_began", "_name")

    def __init__(self, attempt: Attempt, name: str) -> None:
        self._attempt = attempt
        self._name = name

    def __enter__(self) -> None:
        self._attempt.begin(self._name)
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._attempt.leave(self._name, time.perf_counter() - self._began)
