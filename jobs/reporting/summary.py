"""A job's numbers from its sums: what `metrics` of a job says."""

from __future__ import annotations

from typing import Any

from jobs.job import Job, JobTotals
from jobs.processing.measuring import LeftOut, left_out_of_all
from segmentation.label_map import coverage
from segmentation.label_space import LabelSpace
from segmentation.measures.metrics import (
    Counted,
    as_confusion,
    decided_share,
    dice_per_class,
    iou_per_class,
    known,
    known_by_name,
    mean_dice,
    mean_iou,
    pixel_accuracy,
    without_truth,
)


def job_metrics(job: Job, model: int = 0) -> dict[str, Any]:
    """The `metrics` object of a job, for the model at that position: class fractions over all pixels, mean confidence
    over images, and scores over the summed confusion matrix (never a mean of means). Keys without a value are left out.
    """
    totals = job.totals[model]
    metrics: dict[str, Any] = {"class_fractions": class_fractions(totals)}
    if job.options.min_confidence and totals.class_pixels:
        metrics["coverage"] = coverage(job.space, metrics["class_fractions"])
    impossible = job.impossible_classes(model)
    if impossible:
        metrics["impossible_classes"] = [each.name for each in impossible]
    if totals.confidence_images:
        metrics["mean_confidence"] = totals.confidence_sum / totals.confidence_images
    if totals.confusion is not None:
        without = left_out_of_all(job, model)
        metrics["ground_truth"] = _ground_truth(totals.confusion, totals.truth_images, job.space, without)
        if job.options.min_confidence:
            metrics["ground_truth"]["coverage"] = known(decided_share(as_confusion(totals.confusion)))
        if totals.corrected_images:
            metrics["ground_truth"]["corrections"] = totals.corrected_images
    return metrics


def class_fractions(totals: JobTotals) -> dict[str, float]:
    """Shares in [0, 1] of all segmented pixels, largest first."""
    pixels = sum(totals.class_pixels.values())
    ordered = sorted(totals.class_pixels.items(), key=lambda item: (-item[1], item[0]))
    return {name: count / pixels for name, count in ordered if count}


def _ground_truth(counts: Counted, images: int, space: LabelSpace, left_out: LeftOut) -> dict[str, Any]:
    """left_out: of the means."""
    confusion = as_confusion(counts)
    without = left_out.of(confusion)
    unmarked = without_truth(confusion, left_out.unmarked)
    iou, dice = iou_per_class(confusion), dice_per_class(confusion)
    names = space.names()
    return {
        "images": images,
        "pixel_accuracy": known(pixel_accuracy(confusion)),
        "miou": known(mean_iou(confusion, without=without)),
        "mean_dice": known(mean_dice(confusion, without=without)),
        "iou": known_by_name(names, iou),
        "dice": known_by_name(names, dice),
        **({"unmarked_classes": [names[each] for each in sorted(unmarked)]} if unmarked else {}),
    }
