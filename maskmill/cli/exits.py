"""Exit codes, as promised in `maskmill --help`."""

from __future__ import annotations

from collections.abc import Mapping

from maskmill.errors import MaskmillError, ServerUnreachable, WaitTimeout

DONE = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
PARTIAL = 4
FAILED = 5
TIMED_OUT = 6
INTERRUPTED = 130

MEANING: Mapping[int, str] = {
    DONE: "done",
    REFUSED: "refused or impossible",
    USAGE: "wrong usage",
    UNREACHABLE: "no server answers",
    PARTIAL: "the job ended, some images failed",
    FAILED: "the job failed or was canceled",
    TIMED_OUT: "waited in vain",
    INTERRUPTED: "interrupted",
}


def exit_code_of(status: str) -> int:
    """Of a job that was waited for."""
    return {"succeeded": DONE, "partial": PARTIAL, "failed": FAILED, "canceled": FAILED}.get(status, DONE)


def exit_code_for(error: MaskmillError) -> int:
    if isinstance(error, ServerUnreachable):
        return UNREACHABLE
    return TIMED_OUT if isinstance(error, WaitTimeout) else REFUSED
