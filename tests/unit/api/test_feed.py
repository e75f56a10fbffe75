"""Who listens to all jobs misses none, also where all hints of a job are lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.live.job_watch import LATE_S
from jobs.job import Counts, Job
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
