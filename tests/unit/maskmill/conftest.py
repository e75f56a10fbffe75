"""A scripted server and a job as the API writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
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


@pytest.fixture
def run(server: ToyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`maskmill …` in an empty folder, talking to the scripted server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKMILL_HOME", raising=False)
    monkeypatch.setenv("MASKMILL_SERVER", server.url)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models of one's own lie, of a command that runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MASKMILL_STORAGE_MODEL_FOLDERS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"jpeg")
    return tmp_path / "a.jpg"
