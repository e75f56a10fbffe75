"""A job's numbers from its sums: what `metrics` of a job says."""

from __future__ import annotations

from typing import Any

from jobs.job import Job, JobTotals
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.metrics import as_confusion, dice_per_class, iou_per_class, mean_dice, mean_iou, pixel_accuracy

Counted = tuple[tuple[int, ...], ...]


def job_metrics(job: Job, model: int = 0) -> dict[str, Any]:
    """The `metrics` object of a job, for the model at that position: class fractions over all pixels, mean confidence
    over images, and scores over the summed confusion matrix (never a mean of means). Keys without a value are left out.
    """
    totals = job.totals[model]
    metrics: dict[str, Any] = {"class_fractions": class_fractions(totals)}
    if totals.confidence_images:
        metrics["mean_confidence"] = totals.confidence_sum / totals.confidence_images
    if totals.confusion is not None:
        metrics["ground_truth"] = _ground_truth(totals.confusion, totals.truth_images, get_label_space(job.label_space))
    return metrics


def class_fractions(totals: JobTotals) -> dict[str, float]:
    """Shares in [0, 1] of all segmented pixels, largest first."""
    pixels = sum(totals.class_pixels.values())
    ordered = sorted(totals.class_pixels.items(), key=lambda item: (-item[1], item[0]))
    return {name: count / pixels for name, count in ordered if count}


def _ground_truth(counts: Counted, images: int, space: LabelSpace) -> dict[str, Any]:
    confusion = as_confusion(counts)
    iou, dice = iou_per_class(confusion), dice_per_class(confusion)
    names = space.names()
    return {
        "images": images,
        "pixel_accuracy": _number(pixel_accuracy(confusion)),
        "miou": _number(mean_iou(confusion)),
        "mean_dice": _number(mean_dice(confusion)),
        "iou": {name: float(value) for name, value in zip(names, iou, strict=True) if value == value},
        "dice": {name: float(value) for name, value in zip(names, dice, strict=True) if value == value},
    }


def _number(value: float) -> float | None:
    return None if value != value else float(value)
