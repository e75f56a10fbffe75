"""What is known of pictures from earlier jobs: a result by the picture's hash and by the recipe that made it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.job import ImageResult, JobImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A result that one model of an earlier job made. recipe: see `jobs.reuse.recipe`, also for the kinds, which are
    those of its artifacts. image: as its job has it. model: its position in that job."""

    recipe: bytes
    input_sha256: str
    kinds: frozenset[str]
    image: JobImage
    model: int

    @property
    def result(self) -> ImageResult:
        return self.image.results[self.model]


def is_reused(results: Sequence[ImageResult]) -> bool:
    """Of an image: whether no model had to run."""
    return bool(results) and all(each.reused for each in results)


class KnownRepository(Protocol):
    """Written with the images themselves, by `ImageRepository.finish`; gone with their job."""

    def is_any(self, tenant: str, recipes: Collection[bytes]) -> bool:
        """Whether anything was ever made for this tenant by one of these recipes."""

    def find(self, tenant: str, recipes: Collection[bytes], inputs: Collection[str]) -> Sequence[Known]:
        """What is known of these pictures (hex hashes): for each recipe and each set of kinds the newest job's result.
        Those of deleted jobs are not."""
