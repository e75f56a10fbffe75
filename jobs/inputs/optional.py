"""Inputs for whoever does without those that are not to be had, as a page does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jobs.errors import JobsError, StorageUnavailable
from jobs.inputs.inputs import Inputs
from jobs.job import Job, JobImage
from segmentation.picture_files.file_data import FileData


@dataclass(slots=True)
class OptionalInputs:
    """Of one job, for a short while: where a bucket is away no more is asked for, since each would take as long."""

    inputs: Inputs
    job: Job
    is_away: bool = False

    def picture(self, image: JobImage, *, most: int) -> FileData | None:
        """most: bytes that are wanted."""
        return self._read(partial(self.inputs.picture, self.job, image, most=most))

    def mask(self, image: JobImage) -> FileData | None:
        """Of an image that has one."""
        return self._read(partial(self.inputs.mask, self.job, image))

    def _read(self, read: Callable[[], FileData]) -> FileData | None:
        if self.is_away:
            return None
        try:
            return read()
        except JobsError as error:
            self.is_away = isinstance(error, StorageUnavailable)
            return None
