"""The label map that a result was made of, read back from what is stored of it."""

from __future__ import annotations

from jobs.job import ImageResult, Job
from jobs.ports import ObjectStore
from segmentation.formats import FORMATS, ReadableFormat
from segmentation.label_map import LabelMap

HELD_PIXELS = 200_000_000  # of a map that is decoded whole, unless whoever runs the service says otherwise


def predicted(result: ImageResult, objects: ObjectStore, job: Job) -> LabelMap | None:
    """From the first artifact that keeps every class id; None where there is none.

    Raises ObjectNotFound, StorageUnavailable, UnreadableArtifact.
    """
    for each in result.artifacts:
        kept = FORMATS.get(each.name)
        if isinstance(kept, ReadableFormat) and each.name in job.options.readable:
            return kept.decode(objects.get(each.key), job.space)
    return None
