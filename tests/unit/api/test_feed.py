"""Who listens to all jobs misses none: where hints are lost, and where it is cut off while it catches up."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from fastapi import FastAPI, Request

from api.live.job_watch import LATE_S, MOST_JOBS, JobWatch
from api.live.streams import ListeningToAll, Missed
from jobs.job import Counts, Job
from jobs.watching.hints import Hint
from tests.factories import NOON, make_job
from tests.unit.api.test_job_watch import SOON_S, Table, heard, until, watching

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ended(job_id: str, *, version: int = 4) -> Job:
    return replace(make_job(job_id=job_id), finished_at=NOON, counts=Counts(succeeded=1), version=version)


async def test_what_began_and_ended_between_two_polls_is_told_once() -> None:
    table = Table()
    table.put("job_1", 1)
    table.jobs["job_2"] = ended("job_2")  # before anybody listened
    async with watching(table, poll_s=0.02) as watch:
        with watch.listening("default") as feed:
            assert await heard(feed) == [("job_1", 1)]
            table.jobs["job_3"] = ended("job_3")
            assert await heard(feed) == [("job_3", 4)]
            standings = table.standings
            await until(lambda: table.standings >= standings + 3)
            assert not feed.woken.is_set()
            table.jobs["job_2"] = ended("job_2", version=9)  # which was tried again meanwhile
            assert await heard(feed) == [("job_2", 9)]
    assert LATE_S <= table.longest_s < LATE_S + SOON_S  # however long nobody had listened


@asynccontextmanager
async def catching_up(watch: JobWatch, missed: Missed, place: int) -> AsyncIterator[AsyncGenerator[bytes]]:
    app = FastAPI()
    app.state.stopping = threading.Event()
    request = Request({"type": "http", "app": app})
    async with aclosing(ListeningToAll(request, watch, SOON_S, missed, place).of("default")) as stream:
        yield stream


async def ids(stream: AsyncGenerator[bytes]) -> list[int]:
    """Of the next piece."""
    return list(map(int, re.findall(r"^id: (.*)$", (await anext(stream)).decode(), re.MULTILINE)))


async def test_who_is_cut_off_while_it_catches_up_comes_back_to_where_it_was() -> None:
    table, number = Table(), MOST_JOBS + 2  # more than one look reads
    missed = {f"job_{number - at:04}": 1000 + at for at in range(number)}  # what was submitted last ended first
    table.jobs = {job_id: ended(job_id) for job_id in missed}
    async with watching(table) as watch, catching_up(watch, missed, 1001) as stream:
        told: list[int] = []
        while len(told) < number:
            told += await ids(stream)
        assert told == [1001, 1001, *range(1002, 1000 + number)]
        table.put("job_new", 1)
        watch.hint(Hint(frozenset({"job_new"})))
        (later,) = await ids(stream)
        assert later > 1_700_000_000_000  # now, in milliseconds
