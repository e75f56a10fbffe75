"""Where corrections are kept: a port. They are their job's, and go with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.corrections.correction import Correction, CorrectionFile


class CorrectionRepository(Protocol):
    def add(self, job_id: str, index: int, file: CorrectionFile, *, made_by: str | None) -> Correction:
        """The image's next version, with the job's row locked until the end. Raises JobNotFound."""

    def versions(self, job_id: str, index: int) -> Sequence[Correction]:
        """Of one image, the newest first."""

    def newest(self, job_id: str, *, after: int = -1, limit: int | None = None) -> Sequence[Correction]:
        """The newest version of each image that has one, in input order, from behind the index `after` on."""

    def jobs_since(self, moment: datetime) -> frozenset[str]:
        """Those of which an image was corrected then or later."""
