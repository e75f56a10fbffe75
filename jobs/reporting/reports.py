"""The documents of a job's archive: manifest, metrics, errors, and the COCO annotations of all images in one file.

Every one is deterministic: written twice, it has the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from jobs.films.film import shown_at_s
from jobs.job import ImageResult, Job, JobImage
from jobs.ports import ObjectStore
from jobs.reporting.summary import job_metrics
from segmentation.formats import MergeableFormat, Source
from segmentation.model_card import ModelCard

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Table(Protocol):
    """A CSV file, one line at a time, so that it need not be held."""

    def head(self) -> bytes: ...

    def line(self, image: JobImage) -> bytes:
        """Empty for an image that has no line."""


class MetricsTable:
    """One row per image: its numbers, the share of each class, and the IoU of each class where it was measured.

    Of several models one row per image and model, with the model as the job calls it. Of a job with films also the time
    of each frame: the shares of the classes over time. Of a job that leaves pixels undecided also the coverage.
    """

    _FIXED = (
        *("index", "name", "ref", "status", "attempts", "width", "height", "mean_confidence", "mean_entropy"),
        *("pixel_accuracy", "miou", "mean_dice", "device", "model", "model_version", "model_sha256"),
        *("total_ms", "error"),
    )

    def __init__(self, job: Job) -> None:
        self._classes = [each.name for each in job.space.classes]
        self._with_truth = job.totals[0].confusion is not None
        self._asked = job.models if len(job.models) > 1 else ()
        self._of_film = job.options.every is not None
        self._abstains = job.options.min_confidence > 0

    def head(self) -> bytes:
        shares = [f"fraction:{name}" for name in self._classes]
        scores = [f"iou:{name}" for name in self._classes] if self._with_truth else []
        asked = ["asked_model"] if self._asked else []
        time = ["time_s"] if self._of_film else []
        coverage = ["coverage"] if self._abstains else []
        return csv_line([*self._FIXED, *asked, *time, *coverage, *shares, *scores])

    def line(self, image: JobImage) -> bytes:
        if not self._asked:
            return csv_line([*self._fixed(image, image.result), *self._time(image), *self._of_classes(image.result)])
        results = image.results or (None,) * len(self._asked)
        return b"".join(
            csv_line([*self._fixed(image, result), name, *self._time(image), *self._of_classes(result)])
            for name, result in zip(self._asked, results, strict=True)
        )

    def _fixed(self, image: JobImage, result: ImageResult | None) -> Sequence[object]:
        error = None if image.failure is None else image.failure.code
        first = (image.index, image.name, image.ref, image.status.value, image.attempts)
        if result is None:
            return (*first, *[None] * (len(self._FIXED) - len(first) - 1), error)
        metrics, identity = result.metrics, result.identity
        return (
            *(*first, result.width, result.height, metrics.mean_confidence, metrics.mean_entropy),
            *(metrics.pixel_accuracy, metrics.miou, metrics.mean_dice, identity.device, *identity.weights),
            *(result.timings_ms.get("total"), error),
        )

    def _time(self, image: JobImage) -> Sequence[object]:
        """Of a job with films: when the frame is shown, empty for a picture that is none."""
        at_s = shown_at_s(image.name) if self._of_film else None
        return [None if at_s is None else f"{at_s:.3f}"] if self._of_film else []

    def _of_classes(self, result: ImageResult | None) -> Sequence[object]:
        metrics = None if result is None else result.metrics
        covered = [None if metrics is None else metrics.coverage] if self._abstains else []
        shares: Mapping[str, float] = {} if metrics is None else metrics.class_fractions
        scores: Mapping[str, float] = {} if metrics is None or metrics.iou is None else metrics.iou
        absent = None if metrics is None else 0
        row: list[object] = [*covered, *[shares.get(name, absent) for name in self._classes]]
        return [*row, *[scores.get(name) for name in self._classes]] if self._with_truth else row


class ErrorTable:
    """One row per image that has a failure."""

    def head(self) -> bytes:
        return csv_line(["index", "name", "ref", "status", "attempts", "code", "message"])

    def line(self, image: JobImage) -> bytes:
        if image.failure is None or image.result is not None:
            return b""
        failure = image.failure
        status = image.status.value
        return csv_line([image.index, image.name, image.ref, status, image.attempts, failure.code, failure.message])


def manifest(
    job: Job, cards: Sequence[ModelCard | None], *, devices: Iterable[str], versions: Iterable[str], software: str
) -> bytes:
    """Where the results come from. cards: each model's as it is now; None of one that was taken away since."""
    several = {"models": [_one_of_several(job, model, card) for model, card in enumerate(cards)]}
    return _json(
        {
            "job": job.id,
            **({} if job.options.output is None else {"version": job.version}),  # of what lies in the bucket
            "status": job.status.value,
            "created_at": _time(job.created_at),
            "started_at": _time(job.started_at),
            "finished_at": _time(job.finished_at),
            "images": _counts(job),
            "options": replace(job.options, webhook=None).to_dict(),  # who is told is nobody else's business
            "label_space": job.label_space,
            **(several if len(cards) > 1 else {"model": _model(job, 0, cards[0], versions)}),
            "devices": sorted(devices),
            "software": software,
        }
    )


def label_space_document(job: Job) -> bytes:
    """What the ids of its results mean, in the form that bundles, data sets and `load_label_space` have."""
    return _json(job.space.to_dict())


def metrics_document(job: Job) -> bytes:
    """The job's metrics, and the same per class with ids and colours; of several models by model."""
    about: dict[str, Any] = {"job": job.id, "images": _counts(job)}
    if len(job.models) == 1:
        return _json({**about, **_measured(job, 0)})
    return _json({**about, "models": {name: _measured(job, model) for model, name in enumerate(job.models)}})


def _measured(job: Job, model: int) -> Mapping[str, Any]:
    metrics = job_metrics(job, model)
    truth = metrics.get("ground_truth", {})
    parts = {"fraction": metrics["class_fractions"], "iou": truth.get("iou", {}), "dice": truth.get("dice", {})}
    classes = [
        {
            "id": each.id,
            "name": each.name,
            "colour": list(each.colour),
            "group": each.group,
            **{part: values.get(each.name, 0.0 if part == "fraction" else None) for part, values in parts.items()},
        }
        for each in job.space.classes
    ]
    return {"metrics": metrics, "classes": classes}


def merged_document(
    artifact: MergeableFormat,
    images: Callable[[], Iterable[JobImage]],
    objects: ObjectStore,
    job: Job,
    *,
    software: str,
    model: int = 0,
) -> Iterator[bytes]:
    """All images' artifacts of one format as one document, in pieces; a picture's number is index + 1.

    model: whose. One artifact is held at a time. Raises ObjectNotFound, StorageUnavailable.
    """
    limited = {"classes": list(job.options.classes)} if job.options.classes else {}
    about = {"description": f"{job.id}: {job.models[model]}, {job.label_space}", "version": software, **limited}

    def sources() -> Iterator[Source]:
        for image in images():
            for each in image.results[model].artifacts if image.results else ():
                if each.name == artifact.name:
                    read = partial(objects.get, each.key)
                    size = (image.results[model].width, image.results[model].height)
                    ref = None if job.skipped is None else image.ref  # an older job's documents stay as they were
                    yield Source(image.index + 1, image.name, *size, read, ref)

    return artifact.merge(sources, about)


def _one_of_several(job: Job, place: int, card: ModelCard | None) -> Mapping[str, Any]:
    return _model(job, place, card, {each.version for each in job.totals[place].made_by})


def _model(job: Job, place: int, card: ModelCard | None, versions: Iterable[str]) -> Mapping[str, Any]:
    """place: of the model in the job."""
    made_by = sorted(job.totals[place].made_by.items())
    model: dict[str, Any] = {
        "name": job.models[place],
        "versions": sorted(versions),
        "made_by": [{**version._asdict(), "images": images} for version, images in made_by],
    }
    if card is not None:
        model["card"] = {
            "version": card.version,
            "architecture": card.architecture,
            "label_space": card.label_space,
            "preprocessing": card.preprocessing.to_dict(),
            "sha256": dict(card.sha256),
        }
    return model


def _counts(job: Job) -> Mapping[str, int]:
    counts = job.counts
    return {
        "total": counts.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "canceled": counts.canceled,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def csv_line(values: Iterable[object]) -> bytes:
    buffer = io.StringIO()
    cells = [value if value is None or type(value) is int else _cell(value) for value in values]  # most are
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front: names come from whoever uploads.

    Source: OWASP, "CSV Injection".
    """
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    return f"{value:.6g}" if type(value) is float else value
