"""The shapes of a job and of its images, and how they are made from the entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from jobs.comparing.drift import Shares, class_drift
from jobs.job import ImageMetrics, ImageResult, ImageStatus, Job, JobImage, JobStatus
from jobs.options import MOST_MODELS
from jobs.reporting.document import job_document
from jobs.reporting.read import Progress
from jobs.reuse.known import is_reused
from segmentation.measures.metrics import as_confusion, decided_share, known

Found = TypeVar("Found")
Value = TypeVar("Value")

JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "status": "running",
    "model": "deeplabv3plus-mobilenetv2",
    "label_space": "cityscapes-8",
    "priority": "bulk",
    "images": {"total": 120, "queued": 60, "running": 20, "succeeded": 39, "failed": 1, "canceled": 0},
    "progress": 0.333,
    "queue_position": 0,
    "eta_seconds": 41.0,
    "images_per_second": 1.9,
    "created_at": "2026-11-21T08:00:00Z",
    "started_at": "2026-11-21T08:00:01Z",
    "finished_at": None,
    "expires_at": None,
    "metrics": {
        "class_fractions": {"flat": 0.41, "construction": 0.3},
        "mean_confidence": 0.87,
        "ground_truth": {
            "images": 39,
            "pixel_accuracy": 0.93,
            "miou": 0.64,
            "mean_dice": 0.75,
            "iou": {"flat": 0.95},
            "dice": {"flat": 0.97},
        },
    },
    "model_versions": [
        {
            "name": "deeplabv3plus-mobilenetv2",
            "version": "3",
            "sha256": "3f786850e387550fdab836ed7e6dc881de23001b6a7d4f1f4b7c1a2d3e4f5a6b",
            "images": 39,
        }
    ],
    "reused": 0,
    "error": None,
    "metadata": {},
    "options": {"artifacts": ["overlay", "mask"]},
    "links": {
        "self": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
        "images": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images",
        "events": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/events",
        "archive": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/archive",
        "cancel": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/cancel",
        "retry": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/retry",
        "deliveries": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/deliveries",
    },
}

IMAGE_EXAMPLE: dict[str, Any] = {
    "index": 0,
    "name": "zurich_001.jpg",
    "ref": None,
    "status": "succeeded",
    "width": 2048,
    "height": 1024,
    "metrics": {"class_fractions": {"flat": 0.41, "construction": 0.3}, "mean_confidence": 0.87, "mean_entropy": 0.12},
    "timings_ms": {"fetch": 2.1, "segment": 61.0, "encode": 14.2, "total": 77.3},
    "attempts": 1,
    "reused": False,
    "device": "cpu",
    "model": "deeplabv3plus-mobilenetv2",
    "model_version": "3",
    "model_sha256": "3f786850e387550fdab836ed7e6dc881de23001b6a7d4f1f4b7c1a2d3e4f5a6b",
    "error": None,
    "artifacts": {
        "input": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/0/input",
        "overlay": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/0/overlay",
        "mask": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/0/mask",
    },
    "finished_at": "2026-11-21T08:00:02Z",
}


def _left_out(value: object) -> bool:
    return value is None


class ImageCounts(BaseModel):
    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int


class GroundTruth(BaseModel):
    """Scores over the summed confusion matrix of the images with ground truth; void pixels count nowhere."""

    images: int | None = Field(None, exclude_if=_left_out, description="images with ground truth; of a job only")
    corrections: int | None = Field(
        None, exclude_if=_left_out, description="those whose ground truth is a correction; of a job only"
    )
    source: Literal["correction"] | None = Field(
        None,
        exclude_if=_left_out,
        description="`correction`, not the mask that came with the picture; of an image only",
    )
    coverage: float | None = Field(
        None,
        exclude_if=_left_out,
        description="share of the pixels of known truth that are not void; of jobs with `min_confidence`",
    )
    pixel_accuracy: float | None
    miou: float | None
    mean_dice: float | None
    iou: dict[str, float] = Field(description="by class name; classes that occur")
    dice: dict[str, float] | None = Field(None, exclude_if=_left_out, description="by class name; of a job only")
    unmarked_classes: list[str] | None = Field(
        None,
        exclude_if=_left_out,
        description="of the job's label space, that its masks have no way to show: `miou` and `mean_dice` are taken "
        "without them; of a job only",
    )


class Metrics(BaseModel):
    class_fractions: dict[str, float] = Field(description="share of the pixels by class name")
    impossible_classes: list[str] | None = Field(
        None,
        exclude_if=_left_out,
        description="of the job's label space, that the model has no way to give: `miou` and `mean_dice` are taken "
        "without them",
    )
    mean_confidence: float | None = Field(None, exclude_if=_left_out)
    mean_entropy: float | None = Field(None, exclude_if=_left_out, description="relative to log C; of an image only")
    low_confidence: float | None = Field(
        None,
        exclude_if=_left_out,
        description="share of pixels below 0.5, at the size of the model; of an image",
    )
    coverage: float | None = Field(
        None,
        exclude_if=_left_out,
        description="share of pixels that are not void; of jobs with `min_confidence`",
    )
    class_drift: float | None = Field(
        None,
        exclude_if=_left_out,
        description="of an image, in lists and rows: share of its pixels that would have to be of another class for "
        "its shares to be those of the whole job as it is now",
    )
    ground_truth: GroundTruth | None = Field(None, exclude_if=_left_out, description="present when masks were given")


class ModelVersionView(BaseModel):
    name: str
    version: str
    sha256: str = Field(description="of the weights that ran")
    images: int = Field(description="of the job that this version segmented")


class ErrorView(BaseModel):
    code: str
    message: str


class WarningView(BaseModel):
    code: str
    detail: str


class SkippedView(BaseModel):
    count: int
    examples: list[str]


class JobLinks(BaseModel):
    self: str
    images: str
    events: str
    archive: str
    cancel: str
    retry: str
    deliveries: str
    comparison: str | None = Field(None, exclude_if=_left_out, description="of a job with several models")


class ModelResults(BaseModel):
    metrics: Metrics
    model_versions: list[ModelVersionView]


class JobView(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": JOB_EXAMPLE})

    id: str
    status: JobStatus
    model: str = Field(description="with several models the first of them, whose `metrics` and `model_versions` follow")
    models: list[str] | None = Field(None, exclude_if=_left_out, description="all of them, where there are several")
    label_space: str
    priority: str
    images: ImageCounts
    progress: float = Field(ge=0, le=1)
    queue_position: int | None = Field(
        description="unfinished jobs of the same priority that go first; null while nobody can tell"
    )
    eta_seconds: float | None
    images_per_second: float | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    metrics: Metrics
    model_versions: list[ModelVersionView] = Field(
        description="what segmented its images: several when `model` follows the registry and moved on meanwhile"
    )
    results: dict[str, ModelResults] | None = Field(
        None, exclude_if=_left_out, description="with several models: the same by model"
    )
    error: ErrorView | None = Field(description="set when every image failed: the first one's reason is in /images")
    waiting_for: str | None = Field(
        None,
        exclude_if=_left_out,
        description="the part of the service whose outage holds the job up, as `storage`; `newer_worker` where the "
        "workers there are do not know what it asks for",
    )
    reused: int = Field(description="images for which no model had to run: the same picture was answered before")
    warnings: dict[str, int] | None = Field(None, exclude_if=_left_out, description="code → images that carry it")
    skipped: SkippedView | None = Field(None, exclude_if=_left_out, description="what came packed and is no picture")
    metadata: dict[str, Any]
    options: dict[str, Any]
    links: JobLinks


class JobPage(BaseModel):
    items: list[JobView]
    next_cursor: str | None = Field(description="null on the last page", examples=["job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"])


class ModelResult(BaseModel):
    """What one of several models made of an image."""

    metrics: Metrics
    timings_ms: dict[str, float]
    device: str
    model: str | None = Field(description="the name of the model that ran, whatever the job called it")
    model_version: str
    model_sha256: str | None
    artifacts: dict[str, str] = Field(description="name → link")


class ImageView(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": IMAGE_EXAMPLE})

    index: int
    name: str
    ref: str | None
    status: ImageStatus
    width: int | None
    height: int | None
    metrics: Metrics | None
    timings_ms: dict[str, float] | None
    attempts: int
    reused: bool = Field(description="the results are those of an earlier image of the same content")
    device: str | None
    model: str | None = Field(description="the name of the model that ran, whatever the job called it")
    model_version: str | None
    model_sha256: str | None = Field(description="of the weights that ran")
    error: ErrorView | None
    artifacts: dict[str, str] = Field(
        description="name → link; `input` is one too, unless it was fetched from an address"
    )
    warnings: list[WarningView] | None = Field(None, exclude_if=_left_out, description="what the result lacks")
    results: dict[str, ModelResult] | None = Field(
        None, exclude_if=_left_out, description="with several models: the same by model"
    )
    disagreement: float | None = Field(
        None, exclude_if=_left_out, description="with several models: mean vote entropy, in [0, 1]; 0: all say the same"
    )
    finished_at: datetime | None


class ImagePage(BaseModel):
    items: list[ImageView]
    next_cursor: str | None = Field(description="null on the last page", examples=["job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"])


def job_view(job: Job, progress: Progress) -> JobView:
    return JobView.model_validate(job_document(job, progress))


def image_view(
    image: JobImage,
    *,
    has_input: bool,
    models: Sequence[str] = (),
    model: int = 0,
    usual: Sequence[Shares | None] = (None,) * MOST_MODELS,
) -> ImageView:
    """models: the job's, where they are several. model: the one whose result is told first. usual: of each model, the
    shares of classes in the whole job."""
    result = image.results[model] if image.results else None
    here = f"/jobs/{image.job_id}/images/{image.index}"
    shared = image.comparison.artifacts if image.comparison else ()
    links = {"input": f"{here}/input"} if has_input else {}
    links |= _artifacts(result, here, models[model] if model else "") if result else {}
    links |= {each.name: f"{here}/{each.name}" for each in shared}
    return ImageView(
        index=image.index,
        name=image.name,
        ref=image.ref,
        status=image.status,
        width=_of(result, lambda found: found.width),
        height=_of(result, lambda found: found.height),
        metrics=_of(result, lambda found: metrics_view(found.metrics, usual[model])),
        timings_ms=_of(result, lambda found: dict(found.timings_ms)),
        attempts=image.attempts,
        reused=is_reused(image.results),
        device=_of(result, lambda found: found.identity.device),
        model=_of(result, lambda found: found.identity.name or None),
        model_version=_of(result, lambda found: found.identity.version),
        model_sha256=_of(result, lambda found: found.identity.sha256 or None),
        error=None if image.failure is None else ErrorView(code=image.failure.code, message=image.failure.message),
        artifacts=links,
        results={
            name: _result(each, _artifacts(each, here, name if place else ""), usual[place])
            for place, (name, each) in enumerate(zip(models, image.results, strict=False))
        }
        or None,
        disagreement=image.comparison.agreement.disagreement if image.comparison else None,
        warnings=[WarningView(code=each.code, detail=each.detail) for each in image.warnings] or None,
        finished_at=image.finished_at,
    )


def _artifacts(result: ImageResult, here: str, model: str) -> dict[str, str]:
    """model: to be named in the links; empty of the first one."""
    asked = f"?model={quote(model, safe='')}" if model else ""
    return {each.name: f"{here}/{each.name}{asked}" for each in result.artifacts}


def _result(result: ImageResult, artifacts: dict[str, str], usual: Shares | None) -> ModelResult:
    return ModelResult(
        metrics=metrics_view(result.metrics, usual),
        timings_ms=dict(result.timings_ms),
        device=result.identity.device,
        model=result.identity.name or None,
        model_version=result.identity.version,
        model_sha256=result.identity.sha256 or None,
        artifacts=artifacts,
    )


def _of(found: Found | None, value: Callable[[Found], Value]) -> Value | None:
    return None if found is None else value(found)


def metrics_view(metrics: ImageMetrics, usual: Shares | None = None) -> Metrics:
    truth = None
    if metrics.confusion is not None:
        truth = GroundTruth(
            source="correction" if metrics.corrected else None,
            coverage=None if metrics.coverage is None else known(decided_share(as_confusion(metrics.confusion))),
            pixel_accuracy=metrics.pixel_accuracy,
            miou=metrics.miou,
            mean_dice=metrics.mean_dice,
            iou=dict(metrics.iou or {}),
        )
    return Metrics(
        class_fractions=dict(metrics.class_fractions),
        mean_confidence=metrics.mean_confidence,
        mean_entropy=metrics.mean_entropy,
        low_confidence=metrics.low_confidence,
        coverage=metrics.coverage,
        class_drift=None if usual is None else class_drift(metrics.class_fractions, usual),
        ground_truth=truth,
    )
