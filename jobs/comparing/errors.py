"""Where each of several models is wrong on an image, as pictures: from the stored masks and the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.errors import JobsError
from jobs.job import Job, JobImage
from jobs.ports import ObjectStore
from jobs.processing.truth import read_truth
from segmentation.formats.mask import Mask
from segmentation.formats.png_file import write_png
from segmentation.measures.agreement import error_map


@dataclass(frozen=True, slots=True)
class ErrorMaps:
    objects: ObjectStore
    job: Job

    def __call__(self, image: JobImage) -> Sequence[bytes]:
        """A grey PNG for each model, white where it is wrong; empty without stored masks or a stored ground truth that
        scored the image."""
        stored = [each.key for result in image.results for each in result.artifacts if each.name == Mask.name]
        if image.mask is None or not image.mask.is_stored or len(stored) != len(self.job.models):
            return []
        if any(result.metrics.confusion is None or result.metrics.corrected for result in image.results):
            return []
        maps = [Mask().decode(self.objects.get(key), self.job.space) for key in stored]
        try:
            data = self.objects.get(image.mask.location)
        except JobsError:
            return []
        spaces = {"mask_space": self.job.mask_space, "space": self.job.space}
        truth = read_truth(data, **spaces, shape=maps[0].ids.shape).label_map
        if truth is None:
            return []
        return [write_png(error_map(each, truth)) for each in maps]
