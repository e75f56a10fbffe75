"""The service on in-memory adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from jobs.tenants.keyring import Keyring
from tests.unit.api.house import LOCAL, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def keyring(house: House) -> Keyring:
    return Keyring(house.database.unit)


@pytest.fixture
def open_client() -> Iterator[Callable[[House], TestClient]]:
    """A client of a house whose settings the test chose."""
    opened: list[TestClient] = []

    def open_one(house: House) -> TestClient:
        client = TestClient(
            create_app(lambda: nullcontext(house.services())), base_url=LOCAL, raise_server_exceptions=False
        )
        client.__enter__()
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(house: House, open_client: Callable[[House], TestClient]) -> TestClient:
    return open_client(house)
