"""Two API processes on one database, fifty clients at once: no limit of a key is ever exceeded."""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.callers import Limits
from jobs.tenants.keyring import Keyring
from storage.migrate import upgrade
from storage.settings import StorageSettings
from storage.unit_of_work import Database
from tests.databases import opened
from tests.factories import picture
from tests.plain_http import NO_TLS
from tests.services.processes import dies_with_us, free_port, running, wait_for
from tests.tiny_models import tiny_bundle

CLIENTS = 50
AT_LEAST_S = 10.0  # between what a process remembers of a key and the next look


@dataclass
class Service:
    """Two processes that share everything, and nobody who works."""

    addresses: list[str]
    database: Database

    def key(self, **limits: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {Keyring(self.database.unit).create('acme', 'submit', Limits(**limits))[1]}"}

    def all_at_once(self, method: str, path: str, headers: dict[str, str], **content: object) -> list[httpx.Response]:
        def call(number: int) -> httpx.Response:
            address = self.addresses[number % len(self.addresses)]
            options: dict[str, Any] = {"timeout": 60, "verify": NO_TLS, **content}
            return httpx.request(method, address + path, headers=headers, **options)

        with ThreadPoolExecutor(CLIENTS) as clients:
            return list(clients.map(call, range(2 * CLIENTS)))


@contextmanager
def api(home: Path, database_url: str | None) -> Iterator[str]:
    port = free_port()
    settings = {"MASKMILL_HOME": str(home), "MASKMILL_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    settings |= {"MASKMILL_API_UPLOADS_PER_CALLER": "16", "MASKMILL_API_UPLOAD_WAIT_S": "60"}
    settings |= {"MASKMILL_BROKER_PUBLISH_TIMEOUT_S": "0.2", "MASKMILL_STORAGE_DATABASE_WAIT_S": "60"}
    settings |= {} if database_url is None else {"MASKMILL_STORAGE_DATABASE_URL": database_url}
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/health", verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False

    command = [*dies_with_us(), sys.executable, "-m", "api", "--port", str(port)]
    with running(command, log=home / f"api-{port}.log", ready=answers, env={**os.environ, **settings}):
        yield address


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    tiny_bundle(home / "models")
    url = None
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_server").create(f"quotas_{secrets.token_hex(6)}")
    settings = StorageSettings(home=home, database_url=url)
    upgrade(settings)
    with ExitStack() as stack:
        addresses = [stack.enter_context(api(home, url)) for _ in range(2)]
        yield Service(addresses, stack.enter_context(opened(settings)))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.slow
def test_requests_of_a_minute(service: Service) -> None:
    key = service.key(requests_per_minute=37)
    answers = service.all_at_once("GET", "/jobs", key)
    assert statuses(answers) == {200: 37, 429: 2 * CLIENTS - 37}
    assert all(1 <= int(each.headers["retry-after"]) <= 63 for each in answers if each.status_code == 429)


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["images_per_day", "queued_images"])
def test_images(service: Service, limit: str) -> None:
    key = service.key(**{limit: 41})
    files = [("files", (f"{number}.jpg", picture())) for number in range(3)]
    answers = service.all_at_once("POST", "/jobs", key, files=files)
    assert statuses(answers) == {202: 13, 429: 2 * CLIENTS - 13}
    accepted = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    with service.database.unit("acme") as unit:
        assert sum(job.counts.total for job in unit.jobs.several(accepted)) == 39


@pytest.mark.slow
def test_a_revoked_key_is_refused_by_every_process_within_seconds(service: Service) -> None:
    key = service.key()
    for address in service.addresses:
        assert httpx.get(f"{address}/jobs", headers=key).status_code == 200
    keyring = Keyring(service.database.unit)
    keyring.revoke(keyring.all()[-1].id)

    def is_refused() -> bool:
        answers = [httpx.get(f"{address}/jobs", headers=key, verify=NO_TLS) for address in service.addresses]
        return all(each.status_code == 401 for each in answers)

    wait_for(is_refused, what="the key to be refused everywhere", timeout_s=AT_LEAST_S)
