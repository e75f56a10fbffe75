"""Local parts for the end-to-end tests: SQLite, a directory, and a broker that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.valkey import MortalValkey
from tests.stack import Stack, running_stack


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalValkey]:
    mortal = MortalValkey(tmp_path_factory.mktemp("broker"))
    yield mortal
    mortal.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, broker: MortalValkey) -> Iterator[Stack]:
    """One for the tests of a file. What a test kills it starts again."""
    with running_stack(tmp_path_factory.mktemp("stack"), {"MASKMILL_BROKER_URL": broker.server.url}) as stack:
        yield stack
