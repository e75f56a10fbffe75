"""What an export lacks although it was asked for: a table that says of each picture why, in the archive itself."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.errors import JobsError
from jobs.job import JobImage
from jobs.reporting.reports import csv_line
from segmentation.exports.export import File

PICTURES_MISSING = "pictures_missing.csv"


class MissingPictures:
    """Each image once, of however many models it is exported. may_be_lost: also what lay in our own store."""

    def __init__(self, *, may_be_lost: bool = False) -> None:
        self.may_be_lost = may_be_lost
        self._lines: dict[int, bytes] = {}
        self.left_out: set[int] = set()  # indices of images of which nothing is exported

    def add(self, image: JobImage, error: JobsError) -> None:
        self._lines[image.index] = csv_line([image.index, image.name, image.ref, error.code, str(error)])

    def leave_out(self, image: JobImage, error: JobsError) -> None:
        self.left_out.add(image.index)
        self.add(image, error)

    def files(self) -> Iterator[File]:
        """Read last. None when nothing is missing."""
        if self._lines:
            head = csv_line(["index", "name", "ref", "code", "message"])
            yield File(PICTURES_MISSING, b"".join([head, *self._lines.values()]))
