"""One browser for a file; one stack with its page, and one job, for all files that look at the page at work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.dashboard_steps import PATIENCE_MS, coloured, page_of
from tests.services.chromium import chromium
from tests.services.valkey import MortalValkey
from tests.stack import ROOT, Stack, running_stack
from training.tracking.mlflow_client import Metric, connect, experiment_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With the bundled models beside the tiny one."""
    folder, broker = tmp_path_factory.mktemp("stack"), MortalValkey(tmp_path_factory.mktemp("broker"))
    models = json.dumps([str(ROOT / "data" / "models"), str(folder / "models")])
    parts = {"MASKMILL_BROKER_URL": broker.server.url, "MASKMILL_STORAGE_MODEL_FOLDERS": models}
    with running_stack(folder, parts) as stack:
        yield stack
    broker.close()


@pytest.fixture(scope="package")
def address(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the page, which knows two training runs."""
    folder = tmp_path_factory.mktemp("page")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    _tracked(uri)
    with page_of(stack.url, folder, MASKMILL_DASHBOARD_TRACKING_URI=uri) as address:
        yield address


def _tracked(uri: str) -> None:
    client = connect(uri)
    experiment = experiment_id(client, uri, "maskmill")
    for name, curve in {"first": [0.25, 0.5], "second": [0.5, 0.75]}.items():
        run = client.create_run(experiment, run_name=name).info.run_id
        for at, value in enumerate(curve):
            client.log_batch(run, metrics=[Metric("miou", value, at, at), Metric("train_loss", 1 - value, at, at)])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture(scope="package")
def job(stack: Stack) -> Any:
    """Two coloured pictures and a file that is none, with all that the viewer can show."""
    files = [("files", (f"{name}.png", coloured(), "image/png")) for name in ("one", "two")]
    files.append(("files", ("broken.png", b"no picture", "image/png")))
    options = {"model": "tiny", "artifacts": ["mask", "overlay", "confidence"]}
    with stack.http() as http:
        answer = http.post("/jobs", files=files, data={"options": json.dumps(options)})
    return stack.finished(answer.json()["id"])
