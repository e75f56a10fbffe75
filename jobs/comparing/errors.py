"""Where each of several models is wrong on an image, as pictures: from the stored masks and the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.errors import ObjectNotFound
from jobs.inputs.kept import is_kept
from jobs.inputs.optional import OptionalInputs
from jobs.job import Job, JobImage
from jobs.keys import is_correction
from jobs.ports import ObjectStore
from jobs.processing.measuring import scores
from jobs.processing.truth import read_truth
from segmentation.errors import UnreadableArtifact
from segmentation.formats.mask import Mask
from segmentation.formats.png_file import write_png
from segmentation.formats.stripes import STRIPE, stripes
from segmentation.label_map import LabelMap
from segmentation.measures.agreement import error_map
from segmentation.palette import COLOUR_BLIND, palette

MOST_PIXELS = 2**24  # of an image whose masks are read for the page
SHOWN_PX = 512  # so wide a picture is shown about: stripes are drawn for it


@dataclass(frozen=True, slots=True)
class Judged:
    """PNGs, as large as the image. truth: in the colours of the masks. wrong: of each model, striped where it errs."""

    truth: bytes
    wrong: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Judging:
    objects: ObjectStore
    inputs: OptionalInputs
    job: Job

    def __call__(self, image: JobImage) -> Judged | None:
        """None without stored masks or the ground truth that scored the image, and of a very large one."""
        stored = [each.key for result in image.results for each in result.artifacts if each.name == Mask.name]
        if image.mask is None or not is_kept(image.mask) or len(stored) != len(self.job.models):
            return None
        if any(result.metrics.confusion is None or result.metrics.corrected for result in image.results):
            return None
        if image.results[0].width * image.results[0].height > MOST_PIXELS:
            return None
        try:
            maps = [Mask().decode(self.objects.get(key), self.job.space) for key in stored]
        except (ObjectNotFound, UnreadableArtifact):
            return None  # lost: the page does without
        truth = self._truth(image, maps[0])
        if truth is None:
            return None
        width = STRIPE * max(1, round(max(truth.ids.shape) / SHOWN_PX))
        wrong = [stripes(error_map(each, truth) > 0, width=width) for each in maps]
        colours = palette(self.job.space, colour_blind_safe=colours_are_safe(self.job))
        return Judged(write_png(truth.ids, colours), wrong)

    def _truth(self, image: JobImage, said: LabelMap) -> LabelMap | None:
        """The one that scored the image: another may lie in its place now. said: by the first model."""
        data = self.inputs.mask(image)
        if data is None:
            return None
        height, width = said.ids.shape
        space, mask_space = self.job.space, self.job.mask_space
        is_open = image.mask is not None and is_correction(image.mask)
        found = read_truth(data, mask_space=mask_space, space=space, shape=(height, width), may_be_open=is_open)
        truth = found.label_map
        if truth is None or scores(said, truth)["confusion"] != image.results[0].metrics.confusion:
            return None
        return truth


def colours_are_safe(job: Job) -> bool:
    """Whether the job's masks are in colours that do not need red-green vision."""
    return job.options.overlay.palette == COLOUR_BLIND
