"""What a worker lets others see of its work, for metrics, log lines and traces. Nothing of it changes what happens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from jobs.job import Job, JobImage
from jobs.ports import Finished, Outcome


class Observer(Protocol):
    """Called from many threads. Neither waits nor raises."""

    def attempt(self, job: Job, image: JobImage) -> AbstractContextManager[None]:
        """Around one try at an image, in the thread that makes it."""

    def ended(self, job: Job, outcomes: Sequence[Outcome], finished: Finished) -> None:
        """These attempts ended, and the database knows it."""


class Unobserved:
    """An Observer that looks away."""

    def attempt(self, job: Job, image: JobImage) -> AbstractContextManager[None]:
        return nullcontext()

    def ended(self, job: Job, outcomes: Sequence[Outcome], finished: Finished) -> None:
        return None
