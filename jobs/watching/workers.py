"""What workers tell of themselves: that they live, and what they have loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from jobs.job import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedModel:
    """What a worker serves under a name that it keeps up to date, such as `street@champion`.

    version: None before the first one. problem: why it is not, or may not be, what the registry names now.
    """

    name: str
    version: str | None
    problem: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBeat:
    """A sign of life of one worker process."""

    name: str
    device: str
    models: tuple[str, ...]  # loaded ones
    followed: tuple[FollowedModel, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)  # of each loaded one, engine and precision


class WorkerRepository(Protocol):
    """Of all tenants: workers serve everybody."""

    def beat(self, beat: WorkerBeat) -> None: ...

    def alive(self, *, within_s: float) -> Sequence[WorkerBeat]:
        """Those that gave a sign of life so recently, by name."""

    def forget(self, *, older_than_s: float) -> None: ...
