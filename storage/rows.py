"""From rows to the entities of `jobs` and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from jobs.deliveries.endpoint import Endpoint
from jobs.exports.choice import ExportChoice
from jobs.job import (
    Artifact,
    Comparison,
    Counts,
    Failure,
    ImageMetrics,
    ImageResult,
    ImageStatus,
    ImageWarning,
    Job,
    JobImage,
    JobTotals,
    ModelIdentity,
    ModelVersion,
    Priority,
    Skipped,
    Source,
    SourceKind,
)
from jobs.options import PALETTES, JobOptions, OverlayOptions, TileOptions
from jobs.spaces import JobSpaces
from jobs.transitions import Move
from segmentation.formats import FORMATS, OVERLAY_FORMATS
from segmentation.formats.outlines import Outlines
from segmentation.measures.agreement import Agreement

Values = dict[str, Any]


def job_values(job: Job) -> Values:
    """Every column of a job's row."""
    return {
        "id": job.id,
        "tenant": job.tenant,
        "credential": job.credential,
        "prefix": job.prefix,
        "model": job.model,
        "models": list(job.models),
        "label_space": job.label_space,
        "priority": job.priority.value,
        "options": job.options.to_dict(),
        "details": dict(job.metadata),
        "slice_size": job.slice_size,
        "skipped": _from_skipped(job.skipped),
        "spaces": job.spaces.to_dict(),
        "created_at": job.created_at,
        "expires_at": job.expires_at,
        "is_deleted": False,
        **progress_values(job),
        **totals_values(job),
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
        "warnings": dict(job.warnings) or None,
        "waiting_for": job.waiting_for,
        "told_at": job.told_at,
        "reused": job.reused or None,
    }


def totals_values(job: Job) -> Values:
    return {
        "totals": [_from_totals(each) for each in job.totals],
        "agreement": None if job.agreement is None else job.agreement.to_dict(),
    }


def _from_totals(totals: JobTotals) -> Values:
    return {
        "class_pixels": dict(totals.class_pixels),
        "confidence_sum": totals.confidence_sum,
        "confidence_images": totals.confidence_images,
        "confusion": _nested_lists(totals.confusion),
        "truth_images": totals.truth_images,
        "made_by": [[*version, images] for version, images in totals.made_by.items()],
        **({"corrected_images": totals.corrected_images} if totals.corrected_images else {}),
    }


def to_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        tenant=row.tenant,
        credential=row.credential,
        prefix=row.prefix,
        models=tuple(row.models),
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
        totals=tuple(map(_to_totals, row.totals)),
        agreement=None if row.agreement is None else Agreement.from_dict(row.agreement),
        metadata=row.details,
        slice_size=row.slice_size,
        version=row.version,
        skipped=None if row.skipped is None else Skipped(row.skipped["count"], tuple(row.skipped["examples"])),
        warnings=row.warnings or {},
        waiting_for=row.waiting_for,
        told_at=row.told_at,
        reused=row.reused or 0,
        spaces=JobSpaces.from_dict(row.spaces),
    )


def _to_totals(value: Mapping[str, Any]) -> JobTotals:
    return JobTotals(
        class_pixels=value["class_pixels"],
        confidence_sum=value["confidence_sum"],
        confidence_images=value["confidence_images"],
        confusion=_nested_tuples(value["confusion"]),
        truth_images=value["truth_images"],
        corrected_images=value.get("corrected_images", 0),
        made_by={ModelVersion(*version): images for *version, images in value["made_by"]},
    )


def _from_skipped(skipped: Skipped | None) -> Values | None:
    if skipped is None:
        return None
    return {"count": skipped.count, "examples": [storable(each) for each in skipped.examples]}


_CHOICES: Mapping[str, Collection[Any]] = {"format": OVERLAY_FORMATS, "palette": PALETTES}
_SECTIONS: Mapping[str, Any] = {"overlay": OverlayOptions, "polygons": Outlines, "tile": TileOptions}


def _to_options(stored: Mapping[str, Any]) -> JobOptions:
    """Not `parse_options`: what was accepted once stays readable when the rules change."""
    known = {name: stored[name] for name in JobOptions.__dataclass_fields__ if name in stored}
    known["artifacts"] = tuple(stored["artifacts"])
    known["models"] = tuple(stored.get("models", ()))
    known["classes"] = tuple(stored.get("classes", ()))
    for name, kind in _SECTIONS.items():
        if stored.get(name) is not None:
            known[name] = kind(**_known_of(kind, stored[name]))
    export, webhook = known.get("export"), known.get("webhook")
    known["export"] = None if export is None else ExportChoice(**_known_of(ExportChoice, export))
    known["webhook"] = None if webhook is None else Endpoint(url=webhook["url"], events=tuple(webhook["events"]))
    return JobOptions(**known, unknown=tuple(_unknown(stored)))


def _known_of(kind: Any, values: Mapping[str, Any]) -> Values:
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}


def _unknown(stored: Mapping[str, Any]) -> Iterator[str]:
    """What decides a result and no code here knows: chosen where a newer version runs beside this one."""
    yield from (name for name in stored if name not in JobOptions.__dataclass_fields__)
    yield from (f"artifacts: {name}" for name in stored["artifacts"] if name not in FORMATS)
    for section, kind in _SECTIONS.items():
        for name, value in (stored.get(section) or {}).items():
            if name not in kind.__dataclass_fields__:
                yield f"{section}.{name}"
            elif value not in _CHOICES.get(name, (value,)):
                yield f"{section}.{name}: {value}"


def to_image(row: Sequence[Any]) -> JobImage:
    """row: every column in the table's order; taken apart at once, since long jobs do it a hundred thousand times."""
    job_id, index, name, ref, source_kind, source_location, mask_kind, mask_location, *rest = row
    input_sha256, mask_sha256, status, attempt, excused, lost, worker, lease_until, retry_at, sent_at, *rest = rest
    waiting_for, failure_code, failure_message, results, _, _, comparison, _, warnings, version, finished_at, *_ = rest
    return JobImage(
        job_id=job_id,
        index=index,
        name=name,
        source=Source(_SOURCE_KINDS[source_kind], source_location),
        ref=ref,
        mask=None if mask_kind is None else Source(_SOURCE_KINDS[mask_kind], mask_location),
        status=_STATUSES[status],
        attempt=attempt,
        excused=excused,
        lost=lost,
        worker=worker,
        lease_until=lease_until,
        retry_at=retry_at,
        sent_at=sent_at,
        waiting_for=waiting_for,
        failure=None if failure_code is None else Failure(failure_code, failure_message),
        results=() if results is None else tuple(map(_to_result, results)),
        comparison=None if comparison is None else _to_comparison(comparison),
        warnings=() if warnings is None else tuple(ImageWarning(**each) for each in warnings),
        version=version,
        finished_at=finished_at,
        input_sha256=input_sha256,
        mask_sha256=mask_sha256,
    )


_STATUSES = {each.value: each for each in ImageStatus}
_SOURCE_KINDS = {each.value: each for each in SourceKind}


def moved_values(move: Move) -> Values:
    """The columns that images which go this way get anew, whatever they were."""
    values: Values = {"status": move.target.value}
    for name, value in move.put.items():
        values.update(_WRITTEN[name](value) if name in _WRITTEN else {name: value})
    return values


def _failure_values(failure: Failure | None) -> Values:
    if failure is None:
        return {"failure_code": None, "failure_message": None}
    return {"failure_code": failure.code, "failure_message": storable(failure.message)}


def results_values(results: Sequence[ImageResult]) -> Values:
    if not results:
        return {"results": None, "confidence": None, "miou": None, "clarity": None, "surety": None}
    metrics = results[0].metrics
    return {
        "results": [_from_result(each) for each in results],
        "confidence": metrics.mean_confidence,
        "miou": metrics.miou,
        "clarity": clarity(metrics),
        "surety": surety(metrics),
    }


def clarity(metrics: ImageMetrics) -> float | None:
    """The lower, the larger the mean entropy."""
    return None if metrics.mean_entropy is None else 1 - metrics.mean_entropy


def surety(metrics: ImageMetrics) -> float | None:
    """The lower, the more pixels have little confidence."""
    return None if metrics.low_confidence is None else 1 - metrics.low_confidence


def comparison_values(comparison: Comparison | None) -> Values:
    if comparison is None:
        return {"comparison": None, "accord": None}
    agreement = comparison.agreement.to_dict()
    artifacts = _from_artifacts(comparison.artifacts)
    return {"comparison": {"agreement": agreement, "artifacts": artifacts}, "accord": comparison.agreement.accord}


def _warnings_values(warnings: Sequence[ImageWarning]) -> Values:
    found = [{"code": each.code, "detail": storable(each.detail)} for each in warnings]
    return {"warnings": found or None}


_WRITTEN: Mapping[str, Callable[[Any], Values]] = {
    "failure": _failure_values,
    "results": results_values,
    "comparison": comparison_values,
    "warnings": _warnings_values,
}


_LATER = ("low_confidence", "coverage")  # of ImageMetrics; beside those that older versions read


def _from_result(result: ImageResult) -> Values:
    metrics, identity = result.metrics, result.identity
    return {
        "width": result.width,
        "height": result.height,
        "artifacts": _from_artifacts(result.artifacts),
        "metrics": {
            "class_fractions": dict(metrics.class_fractions),
            "mean_confidence": metrics.mean_confidence,
            "mean_entropy": metrics.mean_entropy,
            "confusion": _nested_lists(metrics.confusion),
            "pixel_accuracy": metrics.pixel_accuracy,
            "miou": metrics.miou,
            "mean_dice": metrics.mean_dice,
            "iou": None if metrics.iou is None else dict(metrics.iou),
            **({"corrected": True} if metrics.corrected else {}),
        },
        "timings_ms": dict(result.timings_ms),
        **({"reused": True} if result.reused else {}),
        **{name: value for name in _LATER if (value := getattr(metrics, name)) is not None},
        **{column: getattr(identity, part) for part, column in _IDENTITY.items()},
    }


def _to_result(value: Mapping[str, Any]) -> ImageResult:
    metrics = value["metrics"]
    later: dict[str, Any] = {name: value.get(name) for name in _LATER}
    if metrics["confusion"] is not None:
        metrics = {**metrics, "confusion": _nested_tuples(metrics["confusion"])}
    return ImageResult(
        width=value["width"],
        height=value["height"],
        artifacts=_to_artifacts(value["artifacts"]),
        metrics=ImageMetrics(**metrics, **later),
        timings_ms=value["timings_ms"],
        reused=value.get("reused", False),
        identity=ModelIdentity(**{part: value.get(name, "") for part, name in _IDENTITY.items()}),
    )


def _to_comparison(value: Mapping[str, Any]) -> Comparison:
    return Comparison(agreement=Agreement.from_dict(value["agreement"]), artifacts=_to_artifacts(value["artifacts"]))


def _from_artifacts(artifacts: Sequence[Artifact]) -> list[list[Any]]:
    return [[each.name, each.key, each.media_type, each.size, each.crc32] for each in artifacts]


def _to_artifacts(values: Sequence[Sequence[Any]]) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(name=name, key=key, media_type=media_type, size=size, crc32=crc32)
        for name, key, media_type, size, crc32 in values
    )


# Parts of an identity → as they are stored; the last two came with 0004.
_IDENTITY = {
    "device": "device",
    "version": "model_version",
    "name": "model_name",
    "sha256": "model_sha256",
    "precision": "precision",
    "engine": "engine",
}


def storable(text: str) -> str:
    """PostgreSQL holds neither NUL nor half a surrogate pair, and file names from archives may have both."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _nested_lists(matrix: tuple[tuple[int, ...], ...] | None) -> list[list[int]] | None:
    return None if matrix is None else [list(line) for line in matrix]


def _nested_tuples(matrix: list[list[int]] | None) -> tuple[tuple[int, ...], ...] | None:
    return None if matrix is None else tuple(tuple(line) for line in matrix)
