"""A job as it is told to clients: the values of its view, in answers, in streams and in webhooks alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.job import Job, JobStatus
from jobs.reporting.read import Progress
from jobs.reporting.summary import job_metrics

COUNTS = ("total", "queued", "running", "succeeded", "failed", "canceled")
LINKS = ("images", "events", "archive", "cancel", "retry", "deliveries")


def job_document(job: Job, progress: Progress) -> dict[str, Any]:
    """JSON values, with datetimes as they are. What a job need not have is left out where it has none."""
    return {
        "id": job.id,
        "status": job.status,
        "model": job.model,
        "label_space": job.label_space,
        "priority": job.priority,
        "images": {name: getattr(job.counts, name) for name in COUNTS},
        "progress": progress.progress,
        "queue_position": progress.queue_position,
        "eta_seconds": _rounded(progress.eta_seconds),
        "images_per_second": _rounded(progress.images_per_second),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "metrics": job_metrics(job),
        "model_versions": versions(job, 0),
        "reused": job.reused,
        "error": _error(job),
        **_extras(job),
        "metadata": dict(job.metadata),
        "options": _options(job),
        "links": _links(job, f"/jobs/{job.id}"),
    }


def _options(job: Job) -> dict[str, Any]:
    """Everybody who may read the job is told them, so not where its webhooks go; its metadata stands beside them."""
    webhook = job.options.webhook
    shown = job.options if webhook is None else replace(job.options, webhook=webhook.masked())
    return {name: value for name, value in shown.to_dict().items() if name != "metadata"}


def versions(job: Job, model: int) -> list[dict[str, Any]]:
    """Which weights ran under the name of the model at this position, and for how many images."""
    made_by = sorted(job.totals[model].made_by.items())
    return [
        {"name": each.name, "version": each.version, "sha256": each.sha256, "images": images}
        for each, images in made_by
    ]


def _extras(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if len(job.models) > 1:
        found["models"] = list(job.models)
        found["results"] = {
            name: {"metrics": job_metrics(job, model), "model_versions": versions(job, model)}
            for model, name in enumerate(job.models)
        }
    if job.waiting_for is not None:
        found["waiting_for"] = job.waiting_for
    if job.warnings:
        found["warnings"] = dict(job.warnings)
    if job.skipped is not None and job.skipped.count:
        found["skipped"] = {"count": job.skipped.count, "examples": list(job.skipped.examples)}
    return found


def _error(job: Job) -> dict[str, str] | None:
    if job.status is not JobStatus.FAILED:
        return None
    return {"code": "all_images_failed", "message": "no image succeeded; each image's row says why"}


def _links(job: Job, here: str) -> dict[str, str]:
    several = ("comparison",) if len(job.models) > 1 else ()
    return {"self": here, **{name: f"{here}/{name}" for name in (*LINKS, *several)}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
