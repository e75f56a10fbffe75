"""Parts of archives that are kept while a job grows: a port, so that large archives begin at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

PART = 500  # images that lie side by side


class PartRepository(Protocol):
    """By the index of a part's first image. A part is kept once all its images have succeeded: their files never change
    again.

    None stands for one that ended otherwise, which a retry may change, or whose images were scored anew: it is surveyed
    when the archive is asked for.
    """

    def of(self, job_id: str) -> Mapping[int, bytes | None]: ...

    def firsts(self, job_id: str) -> frozenset[int]:
        """Those that are kept, or marked, without their contents."""

    def is_ripe(self, job_id: str, first: int, last: int) -> bool:
        """Whether all these images have ended; looks at the first one that has not, and at none behind it."""

    def keep(self, job_id: str, first: int, content: bytes | None) -> None:
        """Nothing happens when it is kept already, or when the job is gone."""

    def forget(self, job_id: str, first: int) -> None:
        """From now on None stands for this part, whatever is kept later. Nothing happens when the job is gone."""
