"""What is measured on one prediction, alone and against its ground truth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from jobs.job import ImageMetrics, Job
from jobs.processing.picture_ports import Certainty
from segmentation.label_map import LabelMap, coverage
from segmentation.measures.metrics import (
    as_counts,
    confusion_matrix,
    iou_per_class,
    known,
    known_by_name,
    mean_dice,
    mean_iou,
    pixel_accuracy,
)


def measure(
    label_map: LabelMap,
    certainty: Certainty,
    *,
    truth: LabelMap | None,
    impossible: Collection[int] = (),
    min_confidence: float = 0.0,
) -> tuple[LabelMap, ImageMetrics]:
    """truth: of the same size and in the same label space. impossible: ids that the model has no way to give.

    min_confidence: below it the label map becomes void before anything is counted.

    Gives the label map with the confidence, too. Raises MissingConfidence.
    """
    confidence, doubts = certainty()
    certain = replace(label_map, confidence=confidence)
    if min_confidence:
        certain = certain.abstaining(min_confidence)
    fractions = certain.class_fractions()
    return certain, ImageMetrics(
        class_fractions=fractions,
        coverage=coverage(certain.space, fractions) if min_confidence else None,
        mean_confidence=certain.mean_confidence,
        mean_entropy=doubts.mean_entropy,
        low_confidence=doubts.low_confidence,
        **({} if truth is None else scores(certain, truth, impossible)),
    )


def impossible_ids(job: Job, model: int) -> frozenset[int]:
    """Of the classes that the model at this position has no way to give: means are taken without them."""
    return frozenset(each.id for each in job.impossible_classes(model))


def scores(label_map: LabelMap, truth: LabelMap, impossible: Collection[int] = ()) -> dict[str, Any]:
    """The fields of ImageMetrics that a ground truth gives."""
    space = label_map.space
    confusion = confusion_matrix(truth.ids, label_map.ids, space=space, with_missed=True)
    return {
        "confusion": as_counts(confusion),
        "pixel_accuracy": known(pixel_accuracy(confusion)),
        "miou": known(mean_iou(confusion, without=impossible)),
        "mean_dice": known(mean_dice(confusion, without=impossible)),
        "iou": known_by_name(space.names(), iou_per_class(confusion)),
    }
