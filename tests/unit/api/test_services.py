"""The service on the adapters that it opens by itself: SQLite, a directory, a broker that is away."""

from __future__ import annotations

import gc
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.edge.stopping import noticed_stop
from api.main import create_app
from api.settings import ApiSettings
from benchmarks.receiving.upload_memory import BOUNDARY, server
from jobs.listing.filters import JobFilter
from jobs.upkeep import UpkeepRules
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from tests.factories import picture
from tests.unit.api.house import LOCAL, House


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MASKMILL_BROKER_URL", "redis://127.0.0.1:1/0")
    upgrade(StorageSettings())
    with TestClient(create_app(), base_url=LOCAL) as opened:
        yield opened


def test_garbage_is_collected_again_once_it_serves(house: House) -> None:
    """`python -m api` begins without."""
    gc.disable()
    try:
        with TestClient(create_app(lambda: nullcontext(house.services())), base_url=LOCAL):
            assert gc.isenabled()
    finally:
        gc.enable()


def test_a_default_model_that_is_not_there_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    House(tmp_path, ApiSettings(default_model="tiny")).services()
    assert not caplog.records
    House(tmp_path, ApiSettings(default_model="nosuch")).services()
    assert caplog.records[0].levelname == "WARNING"
    assert "nosuch" in caplog.text


def test_no_body_may_come_for_longer_than_upkeep_waits_for_its_request() -> None:
    allowed = ApiSettings.model_json_schema()["properties"]["upload_longest_s"]["maximum"]
    assert allowed <= UpkeepRules().draft_s - 3600
    with pytest.raises(ValidationError):
        ApiSettings(upload_longest_s=UpkeepRules().draft_s)


def test_a_job_is_taken_while_the_broker_is_away(client: TestClient) -> None:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())})
    assert answer.status_code == 202
    assert client.get("/jobs").json()["items"][0]["id"] == answer.json()["id"]
    assert client.get(answer.json()["links"]["images"] + "/0/input").content == picture()


def test_what_is_away_is_named(client: TestClient) -> None:
    missing = [fault["field"] for fault in client.get("/ready").json()["errors"]]
    assert missing == ["broker", "worker"]


def test_the_bundled_catalogue_and_samples_are_there(client: TestClient) -> None:
    models = client.get("/models").json()["items"]
    assert [model["default"] for model in models].count(True) == 1
    assert client.get("/samples").status_code == 200


@pytest.mark.slow
def test_a_client_that_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="%d.jpg"\r\n\r\n'
    body = b"".join((head % index).encode() + bytes(100_000) + b"\r\n" for index in range(20))
    start = f"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) * 2}\r\n"
    start += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    settings = StorageSettings(home=tmp_path)
    database, objects = open_database(settings), open_objects(settings)
    with server(tmp_path) as (_, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
            connection.sendall(start.encode() + body)
            _wait_for(lambda: any(objects.keys("")))
        _wait_for(lambda: not any(objects.keys("")))
    with database.unit() as unit:
        assert not unit.jobs.page(JobFilter(), limit=1, before=None)
    assert not list((tmp_path / "run" / "uploads").iterdir())
    database.close()


@pytest.mark.slow
def test_a_server_that_stops_answers_who_waits(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        with server(tmp_path) as (_, url):
            job = httpx.post(f"{url}/jobs", files={"files": ("a.jpg", picture())}).json()
            waiting = threads.submit(httpx.get, url + job["links"]["self"], params={"wait": 60}, timeout=70)
            time.sleep(1)
            begun = time.monotonic()
        assert time.monotonic() - begun < 20
        assert waiting.result().json()["status"] == "queued"


def test_a_signal_is_noticed_and_passed_on() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with noticed_stop() as asked:
            assert not asked.is_set()
            signal.raise_signal(signal.SIGTERM)
            assert asked.is_set()
        assert seen == [signal.SIGTERM]
        with noticed_stop() as asked:
            pass
        signal.raise_signal(signal.SIGTERM)
        assert not asked.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
