"""A database as earlier code filled it, what is in it row by row, and what the code of today must read from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, Table, inspect

from jobs.errors import JobNotFound
from jobs.job import JobTotals, ModelIdentity, ModelVersion
from jobs.ports import Remains
from jobs.submitting.idempotency import IdempotencyRecord
from storage.settings import StorageSettings
from storage.tables import Base
from storage.unit_of_work import make_engine
from tests.databases import opened
from tests.factories import NOON
from tests.job_steps import every_image

TABLES = set(Base.metadata.tables)


@contextmanager
def connected(settings: StorageSettings) -> Iterator[Engine]:
    engine = make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()


OLD_JOB: dict[str, Any] = {
    "model": "tiny",
    "label_space": "camvid-11",
    "priority": "bulk",
    "slice_size": 1,
    "status": "partial",
    "options": {"model": "tiny", "artifacts": ["mask"], "overlay": {"opacity": 0.5, "format": "jpeg"}},
    "details": {"b": 1, "a": [0.1]},
    "version": 7,
    "is_deleted": False,
    "queued": 0,
    "running": 0,
    "succeeded": 1,
    "failed": 1,
    "canceled": 0,
    "class_pixels": {"sky": 3, "road": 2**40},
    "confidence_sum": 0.1 + 0.2,
    "confidence_images": 1,
    "confusion": [[1, 2], [3, 2**40]],
    "truth_images": 1,
    "made_by": [["tiny", "1", "ab", 1]],
}
OLD_RESULT: dict[str, Any] = {
    "width": 3,
    "height": 2,
    "artifacts": [["mask", "jobs/job_1/mask/000000", "image/png", 5, 7]],
    "timings_ms": {"infer": 1.5, "decode": 0.1},
    "device": "openvino cpu int8",
    "model_version": "1",
    "metrics": {
        "class_fractions": {"sky": 1 / 3, "road": 2 / 3},
        "mean_confidence": 0.1 + 0.2,
        "mean_entropy": None,
        "confusion": [[1, 2], [3, 4]],
        "pixel_accuracy": 0.5,
        "miou": 0.25,
        "mean_dice": 0.5,
        "iou": {"sky": 0.1},
    },
}
OLD_IMAGE: dict[str, Any] = {
    "job_id": "job_1",
    "source_kind": "object",
    "attempt": 1,
    "lost": 0,
    "sent_at": NOON,
    "finished_at": NOON,
}


def fill(settings: StorageSettings) -> None:
    """As the code before wrote it: a job with versions and one from before they were kept, a draft, two keys."""
    named = {**OLD_RESULT, "model_name": "tiny", "model_sha256": "ab"}
    rows: dict[str, list[dict[str, Any]]] = {
        "jobs": [
            {**OLD_JOB, "id": "job_1", "created_at": NOON, "started_at": NOON, "finished_at": NOON},
            {**OLD_JOB, "id": "job_2", "created_at": NOON, "made_by": None, "confusion": None, "finished_before": 1},
        ],
        "job_images": [
            {**OLD_IMAGE, "index": 0, "name": "é.jpg", "status": "succeeded", "result": named, "confidence": 0.1 + 0.2},
            {**OLD_IMAGE, "index": 1, "name": "b.jpg", "status": "failed", "failure_code": "x", "failure_message": "y"},
            {**OLD_IMAGE, "job_id": "job_2", "index": 0, "name": "c", "status": "succeeded", "result": OLD_RESULT},
            {**OLD_IMAGE, "job_id": "job_2", "index": 1, "name": "d", "status": "queued", "finished_at": None},
        ],
        "drafts": [{"job_id": "job_3", "opened_at": NOON}],
        "idempotency": [
            {"key": "k", "fingerprint": "f", "job_id": "job_1", "created_at": NOON},
            {"key": "open", "fingerprint": None, "job_id": None, "created_at": NOON},
        ],
        "workers": [{"name": "w", "device": "cpu", "models": ["tiny"], "beat_at": NOON}],
    }
    with connected(settings) as engine, engine.begin() as connection:
        for name, values in rows.items():
            table = Table(name, MetaData(), autoload_with=engine)
            for row in values:
                given = {"source_location": f"jobs/job_1/inputs/{row['index']}"} if name == "job_images" else {}
                connection.execute(table.insert(), {**given, **row})


def contents(settings: StorageSettings) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that there is, by its key."""
    found: dict[str, list[dict[str, Any]]] = {}
    with connected(settings) as engine, engine.connect() as connection:
        for name in sorted(TABLES & set(inspect(connection).get_table_names())):
            table = Table(name, MetaData(), autoload_with=engine)
            rows = connection.execute(table.select().order_by(*table.primary_key.columns)).mappings()
            found[name] = [dict(row) for row in rows]
    return found


def check_filled(settings: StorageSettings) -> None:
    with opened(settings) as database:
        with database.unit("default") as unit:
            first, second = unit.jobs.get("job_1"), unit.jobs.get("job_2")
            images = every_image(unit, "job_1")
            ended = unit.images.since("job_1", 0, limit=9)
            older = unit.images.get("job_2", 0).result
            key = unit.idempotency.begin("k", holder="me", patience_s=0)
            drafts = unit.drafts.stale(older_than_s=0, limit=9)
        with database.unit("else") as unit, pytest.raises(JobNotFound):
            unit.jobs.get("job_1")
    assert (first.tenant, first.prefix, first.models) == ("default", "jobs/job_1/", ("tiny",))
    assert first.totals == (
        JobTotals(
            class_pixels={"sky": 3, "road": 2**40},
            confidence_sum=0.1 + 0.2,
            confidence_images=1,
            confusion=((1, 2), (3, 2**40)),
            truth_images=1,
            made_by={ModelVersion("tiny", "1", "ab"): 1},
        ),
    )
    assert (first.skipped, first.warnings, first.waiting_for, list(first.metadata)) == (None, {}, None, ["b", "a"])
    assert (second.totals[0].made_by, second.totals[0].confusion, second.finished_before) == ({}, None, 1)
    result = images[0].result
    assert result is not None
    assert result.identity == ModelIdentity("tiny", "1", "ab", device="openvino cpu int8")
    assert (result.metrics.mean_confidence, list(result.timings_ms)) == (0.1 + 0.2, ["infer", "decode"])
    assert [(image.index, image.version, image.excused) for image in ended] == [(0, 7, 0), (1, 7, 0)]
    assert older is not None
    assert older.identity == ModelIdentity("", "1", "", device="openvino cpu int8")
    assert key == IdempotencyRecord(fingerprint="f", job_id="job_1")
    assert list(drafts) == [Remains("job_3", "jobs/job_3/")]
