"""What `GET /jobs/{id}/comparison` tells: of each model, of each two, of each class, and the most contested images.

Shares and scores are of summed counts, never means of an image's. Two models' mIoU are compared over the classes that
both can give and the truth can show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from jobs.job import Job, JobImage
from jobs.processing.measuring import impossible_ids, left_out_of_all
from jobs.reporting.document import versions
from jobs.reporting.summary import job_metrics
from segmentation.measures.agreement import Agreement, PairCounts, RightCounts, pair_ious, pair_miou, pixel_share
from segmentation.measures.bootstrap import LEVEL, RESAMPLES, Interval, Resampled
from segmentation.measures.metrics import as_confusion, iou_per_class, known, known_by_name, mean_iou

SEED = 0  # of the drawings: the same job tells the same numbers each time

Document = dict[str, Any]


def comparison_document(job: Job, contested: Sequence[JobImage], drawn: Drawn | None) -> Document:
    """JSON values. job: of several models. contested: of its images, the most contested first."""
    return {
        "job": job.id,
        "status": job.status.value,
        "label_space": job.label_space,
        "images": {
            "total": job.counts.total,
            "compared": job.counts.succeeded,
            "with_truth": job.totals[0].truth_images,
        },
        "models": [_model(job, model, drawn) for model in range(len(job.models))],
        "disagreement": None if job.agreement is None else known(job.agreement.disagreement),
        "pairs": [] if job.agreement is None else _pairs(job, job.agreement, drawn),
        "classes": _classes(job),
        "bootstrap": None if drawn is None else drawn.to_dict(),
        "most_contested": [image_document(job, image) for image in contested],
    }


class Drawn:
    """The job's images, drawn anew many times."""

    def __init__(self, resampled: Resampled) -> None:
        self.resampled = resampled

    def to_dict(self) -> Document:
        return {"level": LEVEL, "resamples": RESAMPLES, "images": self.resampled.pictures, "seed": SEED}


def image_document(job: Job, image: JobImage) -> Document:
    """One image that several models have segmented."""
    here = f"/jobs/{job.id}/images/{image.index}"
    return {
        "index": image.index,
        "name": image.name,
        "ref": image.ref,
        "disagreement": None if image.comparison is None else image.comparison.agreement.disagreement,
        "pairs": pair_documents(job, image),
        "models": [
            {"model": name, "pixel_accuracy": result.metrics.pixel_accuracy, "miou": result.metrics.miou}
            for name, result in zip(job.models, image.results, strict=True)
        ],
        "links": {"self": here, "disagreement": f"{here}/disagreement"},
    }


def pair_documents(job: Job, image: JobImage) -> list[Document]:
    """Of each two models on one image; the shares are of its pixels of known truth."""
    assert image.comparison is not None  # it has succeeded
    agreement = image.comparison.agreement
    found = []
    for number, (one, other) in enumerate(combinations(range(len(job.models)), 2)):
        pair = agreement.pairs[number]
        miou = pair_miou(agreement, number, without=uncounted(job, one, other))
        shares = {"agreement": known(pixel_share(pair)), "miou": known(miou)}
        told = {"models": [job.models[one], job.models[other]], **shares}
        found.append(told if pair.right is None else {**told, "ground_truth": _right(pair.right)})
    return found


def uncounted(job: Job, one: int, other: int) -> frozenset[int]:
    """Ids of the classes that one of two models has no way to give, which the mean between both predictions is without;
    of older jobs none: what they told stays."""
    return impossible_ids(job, one) | impossible_ids(job, other) if job.spaces.leaves_out else frozenset()


def _model(job: Job, model: int, drawn: Drawn | None) -> Document:
    counts, interval = job.totals[model].confusion, None
    if drawn is not None and counts is not None:
        interval = drawn.resampled.miou(model, without=left_out_of_all(job, model).of(as_confusion(counts)))
    return {
        "model": job.models[model],
        "metrics": job_metrics(job, model),
        "model_versions": versions(job, model),
        "miou_interval": _ends(interval),
    }


def _pairs(job: Job, agreement: Agreement, drawn: Drawn | None) -> list[Document]:
    found = []
    for number, (one, other) in enumerate(combinations(range(len(job.models)), 2)):
        pair, without = agreement.pairs[number], uncounted(job, one, other)
        found.append(
            {
                "models": [job.models[one], job.models[other]],
                "agreement": known(pixel_share(pair)),
                "miou": known(pair_miou(agreement, number, without=without)),
                "iou": known_by_name(job.space.names(), pair_ious(agreement, number)),
                "ground_truth": _judged(job, pair, one, other, drawn),
                **({"without_classes": _names(job, without)} if without else {}),
            }
        )
    return found


def _names(job: Job, ids: Collection[int]) -> list[str]:
    return [each.name for each in job.space.classes if each.id in ids]


def _judged(job: Job, pair: PairCounts, one: int, other: int, drawn: Drawn | None) -> Document | None:
    counts = [as_confusion(each) for model in (one, other) if (each := job.totals[model].confusion) is not None]
    if pair.right is None or len(counts) < 2:
        return None
    without = left_out_of_all(job, one, other).of(counts[0])  # the truth of both is one
    first, second = (mean_iou(each, without=without) for each in counts)
    interval = None if drawn is None else drawn.resampled.difference(one, other, without=without)
    return {
        **_right(pair.right),
        "classes": _right_by_class(job, pair.right),
        "miou_difference": known(first - second),
        "interval": _ends(interval),
        "beyond_chance": None if interval is None else not interval.holds(0),
        "without_classes": _names(job, without),
    }


def _right(right: RightCounts) -> Document:
    parts = {"both": right.both, "first": right.first, "second": right.second, "neither": right.neither}
    return _shares({name: sum(counts) for name, counts in parts.items()})


def _right_by_class(job: Job, right: RightCounts) -> dict[str, Document]:
    """By true class, those that occur."""
    names = job.space.names()
    rows = zip(names, right.both, right.first, right.second, right.neither, strict=True)
    parts = ("both", "first", "second", "neither")
    return {name: _shares(dict(zip(parts, counts, strict=True))) for name, *counts in rows if any(counts)}


def _shares(counts: Mapping[str, int]) -> Document:
    pixels = sum(counts.values())
    return {"pixels": pixels, **{f"{name}_right": count / pixels if pixels else None for name, count in counts.items()}}


def _classes(job: Job) -> list[Document]:
    """Those that some model said or that are true somewhere."""
    metrics = [job_metrics(job, model) for model in range(len(job.models))]
    ious = [None if each.confusion is None else iou_per_class(as_confusion(each.confusion)) for each in job.totals]
    found = []
    for each in job.space.classes:
        told = [
            {
                "model": name,
                "fraction": metrics[model]["class_fractions"].get(each.name, 0.0),
                "iou": _at(ious[model], each.id),
            }
            for model, name in enumerate(job.models)
        ]
        if any(one["fraction"] or one["iou"] is not None for one in told):
            found.append({"id": each.id, "name": each.name, "colour": list(each.colour), "models": told})
    return found


def _at(values: Any, class_id: int) -> float | None:
    return None if values is None or class_id >= len(values) else known(float(values[class_id]))


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
