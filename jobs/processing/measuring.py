"""What is measured on one prediction, alone and against its ground truth."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobs.job import ImageMetrics, Job
from jobs.processing.picture_ports import Certainty
from segmentation.label_map import LabelMap, coverage
from segmentation.measures.metrics import (
    Confusion,
    as_counts,
    confusion_matrix,
    iou_per_class,
    known,
    known_by_name,
    mean_dice,
    mean_iou,
    pixel_accuracy,
    without_truth,
)


class LeftOut(NamedTuple):
    """Ids of classes: impossible, which a model has no way to give; unmarked, which the masks have no way to show.

    Either would have an IoU of 0 whatever the model sees. A correction may show what masks cannot.
    """

    impossible: frozenset[int] = frozenset()
    unmarked: frozenset[int] = frozenset()

    def of(self, confusion: Confusion) -> frozenset[int]:
        """What means over these counts are taken without."""
        return self.impossible | without_truth(confusion, self.unmarked)


NOTHING = LeftOut()


def measure(
    label_map: LabelMap,
    certainty: Certainty,
    *,
    truth: LabelMap | None,
    left_out: LeftOut = NOTHING,
    min_confidence: float = 0.0,
) -> tuple[LabelMap, ImageMetrics]:
    """truth: of the same size and in the same label space. left_out: of the means.

    min_confidence: below it the label map becomes void before anything is counted.

    Gives the label map with the confidence, too. Raises MissingConfidence.
    """
    confidence, doubts = certainty()
    certain = label_map.with_confidence(confidence)
    if min_confidence:
        certain = certain.abstaining(min_confidence)
    fractions = certain.class_fractions()
    return certain, ImageMetrics(
        class_fractions=fractions,
        coverage=coverage(certain.space, fractions) if min_confidence else None,
        mean_confidence=certain.mean_confidence,
        mean_entropy=doubts.mean_entropy,
        low_confidence=doubts.low_confidence,
        **({} if truth is None else scores(certain, truth, left_out)),
    )


def impossible_ids(job: Job, model: int) -> frozenset[int]:
    """Of the classes that the model at this position has no way to give: means are taken without them."""
    return frozenset(each.id for each in job.impossible_classes(model))


def left_out(job: Job, *models: int, corrected: bool = False) -> LeftOut:
    """What means against a ground truth are taken without, where the models at these positions are scored alike.
    corrected: whether all of that truth is corrections, which may show every class: what they do not is not there.

    Classes that the masks cannot show are none of an older job, whose means have an IoU of 0 for them.
    """
    impossible = frozenset[int]().union(*(impossible_ids(job, model) for model in models))
    unmarked = job.space.missing_from(job.mask_space) if job.spaces.unmarked and not corrected else ()
    return LeftOut(impossible, frozenset(each.id for each in unmarked))


def left_out_of_all(job: Job, *models: int) -> LeftOut:
    """The same, of the sums over the job's images."""
    totals = job.totals[models[0]]
    return left_out(job, *models, corrected=totals.corrected_images == totals.truth_images)


def scores(label_map: LabelMap, truth: LabelMap, left_out: LeftOut = NOTHING) -> dict[str, Any]:
    """The fields of ImageMetrics that a ground truth gives."""
    space = label_map.space
    confusion = confusion_matrix(truth.ids, label_map.ids, space=space, with_missed=True)
    without = left_out.of(confusion)
    return {
        "confusion": as_counts(confusion),
        "pixel_accuracy": known(pixel_accuracy(confusion)),
        "miou": known(mean_iou(confusion, without=without)),
        "mean_dice": known(mean_dice(confusion, without=without)),
        "iou": known_by_name(space.names(), iou_per_class(confusion)),
    }
