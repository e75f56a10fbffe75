"""A scripted server and a job as the API writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.maskmill.toy_server import ToyServer


@pytest.fixture
def server() -> Iterator[ToyServer]:
    toy = ToyServer()
    yield toy
    toy.close()


@pytest.fixture
def job_state() -> Callable[..., dict[str, Any]]:
    """A job as the API writes it: total images, of which `done` succeeded and `failed` failed."""

    def make(status: str = "queued", *, total: int = 4, done: int = 0, failed: int = 0) -> dict[str, Any]:
        counts = {"total": total, "queued": total - done - failed, "running": 0}
        counts |= {"succeeded": done, "failed": failed, "canceled": 0}
        return {
            "id": "job_1",
            "status": status,
            "model": "toy",
            "label_space": "camvid-11",
            "images": counts,
            "progress": (done + failed) / total,
            "queue_position": 0,
            "eta_seconds": 1.5,
            "images_per_second": 2.0,
            "created_at": "2026-01-01T00:00:00Z",
            "metrics": {"class_fractions": {}},
            "metadata": {},
        }

    return make
