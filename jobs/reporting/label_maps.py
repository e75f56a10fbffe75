"""The label map that a result was made of, read back from what is stored of it."""

from __future__ import annotations

import logging

from jobs.errors import ObjectNotFound
from jobs.job import ImageResult, Job
from jobs.ports import ObjectStore
from segmentation.errors import UnreadableArtifact
from segmentation.formats import FORMATS, ReadableFormat
from segmentation.label_map import LabelMap

logger = logging.getLogger(__name__)

HELD_PIXELS = 200_000_000  # of a map that is decoded whole, unless whoever runs the service says otherwise


def predicted(result: ImageResult, objects: ObjectStore, job: Job) -> LabelMap | None:
    """From the first artifact that keeps every class id and is whole; None where there is none that keeps them.

    Raises StorageUnavailable, and ObjectNotFound or UnreadableArtifact where none is whole.
    """
    lost: Exception | None = None
    for each in result.artifacts:
        kept = FORMATS.get(each.name)
        if isinstance(kept, ReadableFormat) and each.name in job.options.readable:
            try:
                return kept.decode(objects.get(each.key), job.space)
            except (ObjectNotFound, UnreadableArtifact) as error:
                lost = lost or error
    if lost is not None:
        raise lost
    return None


def predicted_if_whole(result: ImageResult, objects: ObjectStore, job: Job) -> LabelMap | None:
    """For who does without one that is damaged, or gone. Raises StorageUnavailable."""
    try:
        return predicted(result, objects, job)
    except (ObjectNotFound, UnreadableArtifact) as error:
        logger.warning("a stored result cannot be read: %s", error, extra={"action": "result_lost", "job_id": job.id})
        return None
