"""What the work at hand belongs to: a request, a job, an image. Each log line carries it, and each message to a worker.

It follows calls and coroutines by itself; a thread of a pool has to be given its submitter's context.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Trail = Mapping[str, str | int]

_of_process: dict[str, str | int] = {}
_trail: ContextVar[Trail] = ContextVar("trail", default={})  # noqa: B039 - never changed, only replaced


def current() -> Trail:
    return {**_of_process, **_trail.get()}


def of_process(steps: Trail) -> None:
    """All work of this process belongs to it: the worker's name."""
    _of_process.update(steps)


def request_id() -> str | None:
    found = _trail.get().get("request_id")
    return None if found is None else str(found)


def begin(steps: Trail) -> None:
    """From here on, in this task or thread, work belongs to this and to nothing else."""
    _trail.set(steps)


@contextmanager
def following(steps: Trail) -> Iterator[None]:
    """Within the block work belongs to this too."""
    token = _trail.set(joined(_trail.get(), steps))
    try:
        yield
    finally:
        _trail.reset(token)


def joined(trail: Trail, steps: Trail) -> Trail:
    """Both, where the steps say otherwise theirs. A worker may take another job's slice than the one that a message
    named: the request that made the one did not make the other."""
    other_job = "job_id" in trail and steps.get("job_id", trail["job_id"]) != trail["job_id"]
    return {**{name: value for name, value in trail.items() if not (other_job and name == "request_id")}, **steps}
