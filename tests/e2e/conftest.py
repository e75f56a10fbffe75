"""Local parts for the end-to-end tests: SQLite, a directory, and a broker that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.valkey import MortalValkey
from tests.stack import Stack, running_stack

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is slow."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


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
