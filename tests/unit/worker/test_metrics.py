"""What a worker counts of its work, on a service in memory."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram

from jobs.deliveries.delivery import Reply
from jobs.errors import ModelFailed
from jobs.job import Priority, Slice
from jobs.ports import Claim, Finished, Outcome
from jobs.upkeep import UpkeepReport
from telemetry import trail
from telemetry.exposition import SECONDS
from tests.factories import make_image, make_job, make_result
from tests.job_steps import FAILURE
from worker.metrics import WorkerMetrics
from worker.settings import WorkerSettings
from worker.web.webhook_metrics import WebhookMetrics


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics(CollectorRegistry())


def value(metrics: WorkerMetrics | WebhookMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"maskmill_{name}", labels)


PIECE = Slice(job_id="job_1", first=0, last=2, priority=Priority.BULK)


def test_images_are_counted_by_model_status_and_reason_and_their_steps_timed(metrics: WorkerMetrics) -> None:
    job = make_job(4)
    (model,) = job.models
    outcomes = [
        Outcome(index=0, attempt=1, results=(make_result(timings_ms={"infer": 20.0, "total": 30.0}),)),
        Outcome(index=1, attempt=1, failure=FAILURE),
        Outcome(index=2, attempt=1, canceled=True),
        Outcome(index=3, attempt=1, failure=FAILURE),
    ]
    metrics.ended(job, outcomes, Finished(ended=[0, 1, 2], lost=frozenset({3})))
    assert value(metrics, "images_total", model=model, status="succeeded", reason="") == 1
    assert value(metrics, "images_total", model=model, status="failed", reason=FAILURE.code) == 1
    assert value(metrics, "images_total", model=model, status="canceled", reason="") == 1
    assert value(metrics, "late_results_total") == 1
    infer = {"stage": "infer", "model": model}
    assert value(metrics, "stage_seconds_sum", **infer) == pytest.approx(0.02)
    assert value(metrics, "stage_seconds_count", **infer) == 1


def test_steps_are_counted_by_how_long_they_took_as_a_usual_histogram_does(metrics: WorkerMetrics) -> None:
    took_ms = [0.4, 1.0, 2.6, 70_000.0]
    usual = Histogram("usual", "", registry=metrics.registry, buckets=SECONDS)
    for each in took_ms:
        metrics.stage_s.labels("infer", "street").observe(each / 1e3)
        usual.observe(each / 1e3)
    assert _samples(metrics, "maskmill_stage_seconds") == _samples(metrics, "usual")


def _samples(metrics: WorkerMetrics, of: str) -> dict[tuple[str, str | None], float]:
    return {
        (sample.name.removeprefix(of), sample.labels.get("le")): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith(of) and not sample.name.endswith("_created")
    }


def test_new_attempts_are_counted_by_what_they_wait_for(metrics: WorkerMetrics) -> None:
    again = [
        Outcome(index=0, attempt=1, failure=FAILURE, retry_in_s=2),
        Outcome(index=1, attempt=1, retry_in_s=1, waiting_for="storage"),
        Outcome(index=2, attempt=1, retry_in_s=0),
    ]
    metrics.ended(make_job(3), again, Finished(ended=[0, 1, 2], lost=frozenset()))
    for reason in (FAILURE.code, "storage_away", "handed_back"):
        assert value(metrics, "image_retries_total", reason=reason) == 1


def test_a_slice_is_one_line_that_names_its_request(metrics: WorkerMetrics, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen: list[Mapping[str, Any]] = []

    def run(piece: Slice) -> Claim:
        seen.append(trail.current())
        return Claim(job=make_job(3), images=(make_image(0), make_image(2)))

    metrics.watch(PIECE, run, {"request_id": "r-1"})
    (said,) = [vars(record) for record in caplog.records if vars(record).get("action") == "slice_done"]
    assert (said["first"], said["last"], said["images"], said["queue"]) == (0, 2, 2, "bulk")
    assert {"request_id": "r-1", "job_id": "job_1"}.items() <= seen[0].items()
    assert value(metrics, "slices_total", queue="bulk", result="worked") == 1
    assert value(metrics, "slice_seconds_count", queue="bulk") == 1


def test_a_slice_that_others_took_is_counted_and_not_told(
    metrics: WorkerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics.watch(PIECE, lambda piece: None, {})
    assert caplog.text == ""
    assert value(metrics, "slices_total", queue="bulk", result="nothing") == 1


def test_lines_within_an_attempt_name_its_image(metrics: WorkerMetrics) -> None:
    with pytest.raises(ModelFailed), metrics.attempt(make_job(1), make_image(0, attempt=2)):
        within = trail.current()
        raise ModelFailed("it failed")
    assert {"job_id": "job_1", "image": 0, "attempt": 2}.items() <= within.items()
    assert value(metrics, "attempt_seconds_count") == 1


def test_device_calls_are_counted_by_their_size(metrics: WorkerMetrics) -> None:
    run = metrics.measured(lambda batch: batch, "tiny")
    run(np.zeros((3, 3, 4, 4), np.float32))
    assert value(metrics, "batch_size_sum", model="tiny") == 3
    assert value(metrics, "batch_seconds_count", model="tiny") == 1


def test_what_upkeep_found_is_counted(metrics: WorkerMetrics) -> None:
    metrics.upkeep_done(UpkeepReport(freed=2, resent=3, deleted=1))
    found = [value(metrics, name) for name in ("leases_lost_total", "images_resent_total", "jobs_deleted_total")]
    assert found == [2, 3, 1]


def test_the_memory_of_loaded_models_and_of_a_gpu_is_told(
    metrics: WorkerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = SimpleNamespace(is_initialized=lambda: True, memory_allocated=lambda: 5, memory_reserved=lambda: 7)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    model: Any = SimpleNamespace(
        card=SimpleNamespace(name="tiny"), engine=SimpleNamespace(device="torch cuda:0 fp16"), memory_bytes=9
    )
    metrics.show(lambda: [model])
    assert value(metrics, "model_memory_bytes", model="tiny", device="torch cuda:0 fp16") == 9
    assert value(metrics, "device_memory_bytes", kind="allocated") == 5


def test_tries_of_webhooks_are_counted_by_what_came_back() -> None:
    metrics = WebhookMetrics(CollectorRegistry())
    delivery: Any = SimpleNamespace(event="job.completed")
    for status in (200, 503, None):
        metrics.observe(delivery, Reply(status_code=status, duration_ms=500))
    for result in ("2xx", "5xx", "no_answer"):
        assert value(metrics, "webhook_attempts_total", event="job.completed", result=result) == 1
    assert value(metrics, "webhook_seconds_sum") == pytest.approx(1.5)


def test_null_in_the_environment_means_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_WORKER_METRICS_PORT", "null")
    assert WorkerSettings().metrics_port is None
