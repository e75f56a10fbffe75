"""Local parts for the end-to-end tests: SQLite, a directory, and a broker that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.valkey import MortalValkey
from tests.stack import Stack, running_stack


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MortalValkey]:
    mortal = MortalValkey(tmp_path / "broker")
    yield mortal
    mortal.close()


@pytest.fixture
def stack(tmp_path: Path, broker: MortalValkey) -> Iterator[Stack]:
    with running_stack(tmp_path / "stack", {"MASKMILL_BROKER_URL": broker.server.url}) as stack:
        yield stack
