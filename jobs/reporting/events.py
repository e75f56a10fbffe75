"""What a listener of a job is told, from versions alone: a job's version is the clock of everything that happens to it.

An image keeps the version in which it ended, so what is new since a place is one query, and no event is stored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.job import Job, JobImage
from jobs.ports import OpenUnit

PAGE = 200

_FORM = re.compile(r"(?P<version>[0-9]{1,9})(?:\.(?P<index>[0-9]{1,9}))?")  # databases know no larger numbers there


@dataclass(frozen=True, slots=True)
class Place:
    """How far a listener has been told: all of `version` and before; with an index, of that version only the images up
    to this one. As text `12` or `12.345`, the id of the event that was last."""

    version: int = 0
    index: int | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises ValueError."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text[:100]!r} is no id of an event")
        return cls(int(found["version"]), None if found["index"] is None else int(found["index"]))

    def __str__(self) -> str:
        return str(self.version) if self.index is None else f"{self.version}.{self.index}"

    def has_all_of(self, job: Job) -> bool:
        return self.version > job.version or (self.version == job.version and self.index is None)


@dataclass(frozen=True, slots=True)
class Told:
    """Events in order: images that ended, then, when there is nothing more up to its version, the job as it is.

    place: where the listener is afterwards.
    """

    images: tuple[tuple[Place, JobImage], ...]
    job: Job | None
    place: Place


def tell(job: Job, ended: Sequence[JobImage], *, more: bool) -> Told:
    """ended: what ended after the listener's place, in the order of `ImageRepository.since`; more: there may be others.

    What ended in versions that `job` has not reached yet is told with the job of that version.
    """
    known = [image for image in ended if image.version is not None and image.version <= job.version]
    images = tuple((Place(image.version or 0, image.index), image) for image in known)
    if more and len(known) == len(ended):
        return Told(images, None, images[-1][0])
    return Told(images, job, Place(job.version))


@dataclass(frozen=True, slots=True)
class Telling:
    """Of all tenants: whose a job is, who listens has asked."""

    open_unit: OpenUnit

    def after(self, place: Place, job: Job) -> Told:
        """The next events. Raises JobNotFound, DatabaseUnavailable."""
        with self.open_unit() as unit:
            ended = unit.images.since(job.id, place.version, limit=PAGE, after=place.index)
        return tell(job, ended, more=len(ended) == PAGE)
