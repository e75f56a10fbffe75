"""From rows to the entities of `jobs` and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from jobs.job import (
    Artifact,
    Counts,
    Failure,
    ImageMetrics,
    ImageResult,
    ImageStatus,
    Job,
    JobImage,
    JobTotals,
    Priority,
    Source,
    SourceKind,
)
from jobs.options import parse_options
from storage.tables import JobImageRow

Values = dict[str, Any]


def job_values(job: Job) -> Values:
    """Every column of a job's row."""
    return {
        "id": job.id,
        "model": job.model,
        "label_space": job.label_space,
        "priority": job.priority.value,
        "options": job.options.to_dict(),
        "details": dict(job.metadata),
        "slice_size": job.slice_size,
        "created_at": job.created_at,
        "expires_at": job.expires_at,
        "is_deleted": False,
        **progress_values(job),
        **totals_values(job.totals),
    }


def progress_values(job: Job) -> Values:
    """The columns that change whenever an image of the job changes."""
    return {
        "status": job.status.value,
        "version": job.version,
        "queued": job.counts.queued,
        "running": job.counts.running,
        "succeeded": job.counts.succeeded,
        "failed": job.counts.failed,
        "canceled": job.counts.canceled,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "cancel_requested_at": job.cancel_requested_at,
    }


def totals_values(totals: JobTotals) -> Values:
    return {
        "class_pixels": dict(totals.class_pixels),
        "confidence_sum": totals.confidence_sum,
        "confidence_images": totals.confidence_images,
        "confusion": _nested_lists(totals.confusion),
        "truth_images": totals.truth_images,
    }


def to_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        model=row.model,
        label_space=row.label_space,
        priority=Priority(row.priority),
        options=parse_options(row.options),
        counts=Counts(
            queued=row.queued, running=row.running, succeeded=row.succeeded, failed=row.failed, canceled=row.canceled
        ),
        created_at=row.created_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested_at=row.cancel_requested_at,
        totals=JobTotals(
            class_pixels=row.class_pixels,
            confidence_sum=row.confidence_sum,
            confidence_images=row.confidence_images,
            confusion=_nested_tuples(row.confusion),
            truth_images=row.truth_images,
        ),
        metadata=row.details,
        slice_size=row.slice_size,
        version=row.version,
    )


def queued_image_values(image: JobImage, *, sent_at: datetime) -> Values:
    """The columns of an image that nobody has touched yet; the others are NULL."""
    return {
        "job_id": image.job_id,
        "index": image.index,
        "name": storable(image.name),
        "ref": None if image.ref is None else storable(image.ref),
        "source_kind": image.source.kind.value,
        "source_location": image.source.location,
        "mask_kind": None if image.mask is None else image.mask.kind.value,
        "mask_location": None if image.mask is None else image.mask.location,
        "status": ImageStatus.QUEUED.value,
        "attempt": 0,
        "lost": 0,
        "sent_at": sent_at,
    }


_INDEX = list(JobImageRow.__table__.columns.keys()).index("index")


def to_image(row: Row[Any]) -> JobImage:
    return JobImage(
        job_id=row.job_id,
        index=row[_INDEX],  # `row.index` is a method of tuples
        name=row.name,
        source=Source(SourceKind(row.source_kind), row.source_location),
        ref=row.ref,
        mask=None if row.mask_kind is None else Source(SourceKind(row.mask_kind), row.mask_location),
        status=ImageStatus(row.status),
        attempt=row.attempt,
        lost=row.lost,
        worker=row.worker,
        lease_until=row.lease_until,
        retry_at=row.retry_at,
        failure=None if row.failure_code is None else Failure(row.failure_code, row.failure_message),
        result=None if row.result is None else _to_result(row.result),
        finished_at=row.finished_at,
    )


def failure_values(failure: Failure | None) -> Values:
    if failure is None:
        return {"failure_code": None, "failure_message": None}
    return {"failure_code": failure.code, "failure_message": storable(failure.message)}


def result_values(result: ImageResult | None) -> Values:
    if result is None:
        return {"result": None, "confidence": None, "miou": None}
    return {
        "result": _from_result(result),
        "confidence": result.metrics.mean_confidence,
        "miou": result.metrics.miou,
    }


def _from_result(result: ImageResult) -> Values:
    metrics = result.metrics
    return {
        "width": result.width,
        "height": result.height,
        "artifacts": [[each.name, each.key, each.media_type, each.size, each.crc32] for each in result.artifacts],
        "metrics": {
            "class_fractions": dict(metrics.class_fractions),
            "mean_confidence": metrics.mean_confidence,
            "mean_entropy": metrics.mean_entropy,
            "confusion": _nested_lists(metrics.confusion),
            "pixel_accuracy": metrics.pixel_accuracy,
            "miou": metrics.miou,
            "mean_dice": metrics.mean_dice,
            "iou": None if metrics.iou is None else dict(metrics.iou),
        },
        "timings_ms": dict(result.timings_ms),
        "device": result.device,
        "model_version": result.model_version,
    }


def _to_result(value: Mapping[str, Any]) -> ImageResult:
    metrics = dict(value["metrics"])
    metrics["confusion"] = _nested_tuples(metrics["confusion"])
    names = ("name", "key", "media_type", "size", "crc32")
    artifacts = tuple(Artifact(**dict(zip(names, each, strict=True))) for each in value["artifacts"])
    return ImageResult(**{**value, "artifacts": artifacts, "metrics": ImageMetrics(**metrics)})


def storable(text: str) -> str:
    """PostgreSQL holds neither NUL nor half a surrogate pair, and file names from archives may have both."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _nested_lists(matrix: tuple[tuple[int, ...], ...] | None) -> list[list[int]] | None:
    return None if matrix is None else [list(line) for line in matrix]


def _nested_tuples(matrix: list[list[int]] | None) -> tuple[tuple[int, ...], ...] | None:
    return None if matrix is None else tuple(tuple(line) for line in matrix)
