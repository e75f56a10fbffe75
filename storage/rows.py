"""From rows to the entities of `jobs` and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    ModelVersion,
    Priority,
    Source,
    SourceKind,
)
from jobs.options import JobOptions, OverlayOptions, TileOptions

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
        "finished_before": job.finished_before,
    }


def totals_values(totals: JobTotals) -> Values:
    return {
        "class_pixels": dict(totals.class_pixels),
        "confidence_sum": totals.confidence_sum,
        "confidence_images": totals.confidence_images,
        "confusion": _nested_lists(totals.confusion),
        "truth_images": totals.truth_images,
        "made_by": [[*version, images] for version, images in totals.made_by.items()],
    }


def to_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        model=row.model,
        label_space=row.label_space,
        priority=Priority(row.priority),
        options=_to_options(row.options),
        counts=Counts(
            queued=row.queued, running=row.running, succeeded=row.succeeded, failed=row.failed, canceled=row.canceled
        ),
        created_at=row.created_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested_at=row.cancel_requested_at,
        finished_before=row.finished_before or 0,
        totals=JobTotals(
            class_pixels=row.class_pixels,
            confidence_sum=row.confidence_sum,
            confidence_images=row.confidence_images,
            confusion=_nested_tuples(row.confusion),
            truth_images=row.truth_images,
            made_by={ModelVersion(*version): images for *version, images in row.made_by or ()},
        ),
        metadata=row.details,
        slice_size=row.slice_size,
        version=row.version,
    )


def _to_options(stored: Mapping[str, Any]) -> JobOptions:
    """Not `parse_options`: what was accepted once stays readable when the rules change."""
    known = {name: stored[name] for name in JobOptions.__dataclass_fields__ if name in stored}
    tile = known.get("tile")
    known["artifacts"] = tuple(stored["artifacts"])
    known["overlay"] = OverlayOptions(**stored["overlay"])
    known["tile"] = None if tile is None else TileOptions(**tile)
    return JobOptions(**known)


def to_image(row: Sequence[Any]) -> JobImage:
    """row: every column in the table's order; taken apart at once, since long jobs do it a hundred thousand times."""
    job_id, index, name, ref, source_kind, source_location, mask_kind, mask_location, status, *rest = row
    attempt, lost, worker, lease_until, retry_at, _, failure_code, failure_message, result, _, _, finished_at = rest
    return JobImage(
        job_id=job_id,
        index=index,
        name=name,
        source=Source(_SOURCE_KINDS[source_kind], source_location),
        ref=ref,
        mask=None if mask_kind is None else Source(_SOURCE_KINDS[mask_kind], mask_location),
        status=_STATUSES[status],
        attempt=attempt,
        lost=lost,
        worker=worker,
        lease_until=lease_until,
        retry_at=retry_at,
        failure=None if failure_code is None else Failure(failure_code, failure_message),
        result=None if result is None else _to_result(result),
        finished_at=finished_at,
    )


_STATUSES = {each.value: each for each in ImageStatus}
_SOURCE_KINDS = {each.value: each for each in SourceKind}


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
        "model_name": result.model_name,
        "model_sha256": result.model_sha256,
    }


def _to_result(value: Mapping[str, Any]) -> ImageResult:
    metrics = value["metrics"]
    if metrics["confusion"] is not None:
        metrics = {**metrics, "confusion": _nested_tuples(metrics["confusion"])}
    artifacts = [
        Artifact(name=name, key=key, media_type=media_type, size=size, crc32=crc32)
        for name, key, media_type, size, crc32 in value["artifacts"]
    ]
    return ImageResult(**{**value, "artifacts": tuple(artifacts), "metrics": ImageMetrics(**metrics)})


def storable(text: str) -> str:
    """PostgreSQL holds neither NUL nor half a surrogate pair, and file names from archives may have both."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _nested_lists(matrix: tuple[tuple[int, ...], ...] | None) -> list[list[int]] | None:
    return None if matrix is None else [list(line) for line in matrix]


def _nested_tuples(matrix: list[list[int]] | None) -> tuple[tuple[int, ...], ...] | None:
    return None if matrix is None else tuple(tuple(line) for line in matrix)
