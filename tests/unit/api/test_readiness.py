"""Parts that say nothing: they are named in time, and asking for them again costs no further thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from api.readiness import Readiness
from jobs.errors import StorageUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def frozen() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def away() -> None:
    raise StorageUnavailable("the store is full")


async def test_what_is_there_says_so_and_what_is_away_says_why() -> None:
    answers = await Readiness().ask({"database": lambda: 7, "store": away})
    assert (answers["database"].fault, answers["database"].value) == (None, 7)
    assert answers["store"].fault == "the store is full"


async def test_a_part_that_says_nothing_is_named(frozen: threading.Event) -> None:
    answers = await Readiness(2.0).ask({"database": lambda: frozen.wait(60), "store": lambda: None})
    assert answers["database"].fault == "said nothing for 2 s"
    assert answers["store"].fault is None


async def test_asking_again_starts_no_second_check_while_the_first_hangs(frozen: threading.Event) -> None:
    readiness, asked = Readiness(0.05), []

    def hang() -> str:
        asked.append(1)
        frozen.wait(60)
        return "back"

    for _ in range(5):
        assert (await readiness.ask({"database": hang}))["database"].fault is not None
    assert asked == [1]
    frozen.set()
    readiness.limit_s = 20
    assert (await readiness.ask({"database": hang}))["database"].value == "back"
