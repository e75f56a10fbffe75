"""Where each of several models is wrong on an image, as pictures: from the stored masks and the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.errors import JobsError
from jobs.job import Job, JobImage
from jobs.ports import ObjectStore
from jobs.processing.truth import read_truth
from segmentation.formats.mask import Mask
from segmentation.formats.png_file import write_png


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
        known = ~np.isin(truth.ids, list(self.job.space.void_ids))
        return [write_png(np.where((each.ids != truth.ids) & known, 255, 0).astype(np.uint8)) for each in maps]
