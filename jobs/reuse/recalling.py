"""Asking what is known of the pictures of a slice, all at once, before any of them is worked on."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from jobs.errors import JobsError
from jobs.job import Artifact, Job, JobImage, ModelIdentity
from jobs.ports import OpenUnit
from jobs.reuse.known import Known
from jobs.reuse.recipe import CONFIDENCE, FILE_NAME, kinds_of, recipe_of
from segmentation.errors import SegmentationError
from segmentation.formats import FORMATS
from segmentation.picture_files.places import UNREAD, has_rasterio

logger = logging.getLogger(__name__)

MASK = "mask"  # the artifact from which others, and scores, can be made without the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What answers for one model of an image. identity: of the model as it would run now. copies: artifacts that are
    there. missing: names of those that have to be made from the mask."""

    known: Known
    identity: ModelIdentity
    copies: Mapping[str, Artifact]
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class Recollection:
    """Of one job, as its models are now."""

    open_unit: OpenUnit
    job: Job
    identities: Sequence[ModelIdentity]
    recipes: Sequence[bytes]

    def is_any(self) -> bool:
        """Whether it is worth while to read pictures for their hashes. Raises DatabaseUnavailable."""
        with self.open_unit() as unit:
            return unit.known.is_any(self.job.tenant, set(self.recipes))

    def find(self, images: Mapping[int, tuple[JobImage, str]]) -> Mapping[int, Sequence[Recalled | None]]:
        """images: with their hashes, by index. By index, for each model of the job. Raises DatabaseUnavailable."""
        with self.open_unit() as unit:
            inputs = {sha256 for _, sha256 in images.values()}
            found = unit.known.find(self.job.tenant, set(self.recipes), inputs)
        by_place: dict[tuple[bytes, str], list[Known]] = defaultdict(list)
        for each in found:
            by_place[each.recipe, each.input_sha256].append(each)
        return {
            index: [
                _best(self.job, image, identity, by_place[recipe, sha256])
                for identity, recipe in zip(self.identities, self.recipes, strict=True)
            ]
            for index, (image, sha256) in images.items()
        }


@dataclass(frozen=True, slots=True)
class Recalling:
    """identify: a model by its name, as it would run now; raises what loading it raises."""

    open_unit: OpenUnit
    identify: Callable[[str], ModelIdentity]

    def begin(self, job: Job) -> Recollection | None:
        """None where the job wants none, and where a model is not to be had, which its images will tell."""
        if not job.options.reuse:
            return None
        try:
            identities = [self.identify(model) for model in job.models]
        except (JobsError, SegmentationError) as error:
            logger.info("nothing is reused: %s", error, extra={"action": "reuse_skipped", "job_id": job.id})
            return None
        return Recollection(self.open_unit, job, identities, [recipe_of(job, each) for each in identities])


def _best(job: Job, image: JobImage, identity: ModelIdentity, found: Collection[Known]) -> Recalled | None:
    """The one that leaves least to be made; of equal ones the newest."""
    usable = [each for known in found if (each := _recalled(job, image, identity, known)) is not None]
    return max(usable, key=lambda each: (-len(each.missing), each.known.image.job_id), default=None)


def _recalled(job: Job, image: JobImage, identity: ModelIdentity, known: Known) -> Recalled | None:
    """None where the model would have to run all the same."""
    there = {each.name: each for each in known.result.artifacts}
    kinds = kinds_of(job.options)
    copies = {
        name: there[name]
        for name, kind in kinds.items()
        if kind in known.kinds and name in there and _is_of_the_name(name, image, known)
    }
    missing = [name for name in kinds if name not in copies]
    if (missing or image.mask is not None) and MASK not in there:
        return None
    if any(name not in there for name in compared_by(job)):
        return None
    if any(CONFIDENCE in FORMATS[name].uses for name in missing):
        return None
    if any(each.code == UNREAD for each in known.image.warnings) and has_rasterio():  # its package is there by now
        return None
    return Recalled(known=known, identity=identity, copies=copies, missing=missing)


def compared_by(job: Job) -> tuple[str, ...]:
    """Artifacts of each model without which its result cannot be laid beside the others' (`SideBySide`)."""
    return {1: (), 2: (MASK, CONFIDENCE)}.get(len(job.models), (MASK,))


def _is_of_the_name(name: str, image: JobImage, known: Known) -> bool:
    return FILE_NAME not in FORMATS[name].uses or known.image.name == image.name
