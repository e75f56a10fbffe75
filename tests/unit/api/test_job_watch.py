"""One look for all who wait, without a broker and without a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from api.live.job_feed import Feed
from api.live.job_watch import LATELY, MOST_JOBS, JobWatch, Place, Reading, Seen, Waiter
from jobs.errors import DatabaseUnavailable, JobNotFound
from jobs.job import Counts, Job
from jobs.ports import Standing
from jobs.reporting.read import Progress
from jobs.watching.hints import Hint
from tests.factories import NOON, make_job

HALF = Progress(progress=0.5, queue_position=0, eta_seconds=None, images_per_second=None)
SOON_S = 60

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Table:
    """Jobs by id, and how often they were looked at."""

    jobs: dict[str, Job] = field(default_factory=dict)
    looks: list[frozenset[str]] = field(default_factory=list)
    polls: list[frozenset[str]] = field(default_factory=list)
    places: list[frozenset[str]] = field(default_factory=list)
    standings: int = 0
    longest_s: float = 0.0
    is_away: bool = False
    fault: Exception | None = None

    def put(self, job_id: str, version: int) -> None:
        self.jobs[job_id] = replace(make_job(job_id=job_id), version=version)

    def look(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        self.looks.append(frozenset(job_ids))
        if self.fault is not None:
            raise self.fault
        if self.is_away:
            raise DatabaseUnavailable("away")
        return {job_id: self.jobs[job_id] for job_id in job_ids if job_id in self.jobs}

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        self.polls.append(frozenset(job_ids))
        if self.fault is not None:
            raise self.fault
        if self.is_away:
            raise DatabaseUnavailable("away")
        return {job_id: self.jobs[job_id].version for job_id in job_ids if job_id in self.jobs}

    def progress(self, jobs: Sequence[Job]) -> Mapping[str, Progress]:
        self.places.append(frozenset(job.id for job in jobs))
        return {job.id: HALF for job in jobs}

    def watch(self, poll_s: float) -> JobWatch:
        return JobWatch(Reading(self.look, self.versions, self.progress, self.standing), poll_s=poll_s)

    def standing(self, ended_within_s: float) -> Sequence[Standing]:
        self.standings += 1
        self.longest_s = max(self.longest_s, ended_within_s)
        return [Standing(job.id, job.tenant, job.version, job.finished_at) for job in self.jobs.values()]


@asynccontextmanager
async def watching(table: Table, *, poll_s: float = 3600) -> AsyncIterator[JobWatch]:
    watch = table.watch(poll_s)
    task = asyncio.create_task(watch.run(lambda: False))
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def mine(job_id: str) -> Place:
    return Place(job_id, make_job().tenant)


def any_version(_job: Job) -> bool:
    return True


@contextmanager
def many(watch: JobWatch, job_ids: Collection[str]) -> Iterator[list[Waiter]]:
    with ExitStack() as stack:
        yield [stack.enter_context(watch.waiting_for(mine(job_id), any_version)) for job_id in job_ids]


async def told(waiter: Waiter) -> int:
    """The version of which it is told next."""
    async with asyncio.timeout(SOON_S):
        while True:
            await waiter.woken.wait()
            if (seen := waiter.take()) is not None:
                return seen.job.version


async def test_hundreds_who_wait_for_one_job_cost_a_look_a_change() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table) as watch:
        with many(watch, ["job_1"] * 500) as waiters:
            assert {await told(waiter) for waiter in waiters} == {1}
            assert len(table.looks) == 1
            table.put("job_1", 2)
            watch.hint(Hint(frozenset({"job_1", "job_2"})))
            assert {await told(waiter) for waiter in waiters} == {2}
    assert table.looks == [{"job_1"}] * 2


async def test_jobs_that_change_together_are_looked_at_together() -> None:
    table = Table()
    names = [f"job_{number}" for number in range(100)]
    for name in names:
        table.put(name, 1)
    async with watching(table) as watch:
        with many(watch, names) as waiters:
            assert {await told(waiter) for waiter in waiters} == {1}
    assert table.looks == [set(names)]


async def test_a_hint_that_was_lost_is_made_up_for() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.waiting_for(mine("job_1"), any_version) as waiter:
            assert await told(waiter) == 1
            table.put("job_1", 2)
            assert await told(waiter) == 2
    assert len(table.looks) == 2
    assert set(table.polls) == {frozenset({"job_1"})}


async def test_nothing_is_asked_while_nobody_waits() -> None:
    table = Table()
    async with watching(table, poll_s=0.01) as watch:
        watch.hint(Hint(frozenset({"job_1"})))
        await asyncio.sleep(0.1)
    assert (table.looks, table.polls) == ([], [])


async def test_who_waits_for_a_job_that_is_deleted_is_told() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.waiting_for(mine("job_1"), any_version) as waiter:
            await told(waiter)
            del table.jobs["job_1"]
            with pytest.raises(JobNotFound):
                await told(waiter)


async def test_a_database_that_is_away_is_told_to_who_just_came_and_not_to_who_waits() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.waiting_for(mine("job_1"), any_version) as patient:
            await told(patient)
            table.is_away = True
            with watch.waiting_for(mine("job_1"), any_version) as new, pytest.raises(DatabaseUnavailable):
                await told(new)
            table.put("job_1", 2)
            table.is_away = False
            assert await told(patient) == 2


async def test_nobody_is_told_what_was_read_before_they_asked() -> None:
    table = Table()
    table.put("job_1", 1)
    watch = table.watch(3600)
    late: list[Waiter] = []

    def look(job_ids: Collection[str]) -> Mapping[str, Job]:
        found = table.look(job_ids)
        if not late:
            loop.call_soon_threadsafe(come)
            assert came.wait(SOON_S)
        return found

    def come() -> None:
        context = watch.waiting_for(mine("job_1"), any_version)
        late.append(context.__enter__())
        contexts.append(context)
        table.put("job_1", 2)
        came.set()

    loop, came = asyncio.get_running_loop(), threading.Event()
    contexts: list[AbstractContextManager[Waiter]] = []
    watch._reading = replace(watch._reading, jobs=look)
    task = asyncio.create_task(watch.run(lambda: False))
    with watch.waiting_for(mine("job_1"), any_version) as first:
        assert await told(first) == 1
        assert await told(late[0]) == 2
    contexts[0].__exit__(None, None, None)
    task.cancel()


async def test_all_are_woken_when_the_process_ends() -> None:
    table = Table()
    table.put("job_1", 1)
    ends: list[bool] = []
    watch = table.watch(0.02)
    task = asyncio.create_task(watch.run(lambda: bool(ends)))
    with watch.waiting_for(mine("job_1"), any_version) as waiter:
        await told(waiter)
        ends.append(True)
        async with asyncio.timeout(SOON_S):
            await waiter.woken.wait()
        assert waiter.take() is None
    task.cancel()


async def test_who_waits_for_something_else_is_not_woken_and_its_place_not_asked_for() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table) as watch:
        with watch.waiting_for(mine("job_1"), lambda job: job.version >= 3) as patient:
            for version in (2, 3):
                with watch.waiting_for(mine("job_1"), lambda job: job.version == 2) as other:
                    table.put("job_1", version)
                    watch.hint(Hint(frozenset({"job_1"})))
                    if version == 2:
                        assert await told(other) == 2
                        assert not patient.woken.is_set()
            assert await told(patient) == 3
    assert len(table.places) == 2


async def test_who_waits_no_longer_is_told_how_the_job_is() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table) as watch:
        with watch.waiting_for(mine("job_1"), lambda job: False) as waiter:
            watch.ask_at_last(waiter)
            assert await told(waiter) == 1


async def test_another_tenants_job_is_none_even_when_it_has_ended() -> None:
    table = Table()
    table.put("job_1", 1)
    table.jobs["job_2"] = replace(make_job(job_id="job_2"), finished_at=NOON)
    async with watching(table) as watch:
        for job_id in ("job_1", "job_2"):
            with watch.waiting_for(Place(job_id, "somebody"), any_version) as waiter, pytest.raises(JobNotFound):
                await told(waiter)
    assert table.places == []


async def test_a_feed_is_told_of_its_tenants_jobs_alone_and_of_each_change_once() -> None:
    table = Table()
    table.put("job_1", 1)
    table.jobs["job_2"] = replace(make_job(job_id="job_2"), tenant="somebody")
    async with watching(table, poll_s=0.02) as watch:
        with watch.listening("default") as feed:
            assert await heard(feed) == [("job_1", 1)]
            table.put("job_3", 1)
            watch.hint(Hint(frozenset({"job_2", "job_3"})))
            assert await heard(feed) == [("job_3", 1)]
            table.jobs["job_1"] = replace(table.jobs["job_1"], version=7, finished_at=NOON)
            assert await heard(feed) == [("job_1", 7)]
            watch.hint(Hint(frozenset({"job_1"})))
            await asyncio.sleep(0.1)
            assert not feed.woken.is_set()


async def test_a_fault_of_one_look_is_told_to_who_asked_and_does_not_end_the_watch(caplog: Any) -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.waiting_for(mine("job_1"), any_version) as patient:
            await told(patient)
            table.fault = KeyError("a fault of ours")
            with watch.waiting_for(mine("job_1"), any_version) as new, pytest.raises(KeyError):
                await told(new)
            table.fault = None
            table.put("job_1", 2)
            assert await told(patient) == 2
    assert "a fault of ours" in caplog.text


async def test_a_fault_of_a_poll_does_not_end_the_watch() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.waiting_for(mine("job_1"), any_version) as patient:
            await told(patient)
            table.fault, polls = KeyError("a fault of ours"), len(table.polls)
            await until(lambda: len(table.polls) > polls)
            table.fault = None
            table.put("job_1", 2)
            assert await told(patient) == 2


async def test_no_look_is_at_more_jobs_than_a_statement_may_name() -> None:
    table = Table()
    names = [f"job_{number}" for number in range(2 * MOST_JOBS + 1)]
    for name in names:
        table.put(name, 1)
    async with watching(table) as watch:
        with many(watch, names) as waiters:
            assert {await told(waiter) for waiter in waiters} == {1}
        with watch.listening("default") as feed:
            found: list[tuple[str, int]] = []
            while len(found) < len(names):
                found += await heard(feed)
    assert sorted(name for name, _ in found) == sorted(names)
    assert max(map(len, table.looks)) == MOST_JOBS


async def test_a_feed_asks_again_for_what_could_not_be_looked_at_and_no_more_for_what_was() -> None:
    table = Table()
    table.jobs["job_1"] = replace(make_job(job_id="job_1"), finished_at=NOON, counts=Counts(succeeded=1))
    table.put("job_2", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.listening("default") as feed:
            assert await heard(feed) == [("job_2", 1)]
            table.is_away = True
            watch.ask_for(feed, frozenset({"job_1", "job_2", "job_3"}))
            await until(lambda: len(table.looks) >= 2)
            table.is_away = False
            assert await heard(feed) == [("job_1", 1)]
            assert not feed.asked


async def test_a_feed_forgets_jobs_that_are_deleted() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table, poll_s=0.02) as watch:
        with watch.listening("default") as feed:
            assert await heard(feed) == [("job_1", 1)]
            del table.jobs["job_1"]
            await until(lambda: len(table.looks) >= 2)
            standings = table.standings
            await until(lambda: table.standings >= standings + 3)
    assert len(table.looks) == 2


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110  # what it looks at is no event
            await asyncio.sleep(0.01)


async def heard(feed: Feed[Seen]) -> list[tuple[str, int]]:
    async with asyncio.timeout(SOON_S):
        await feed.woken.wait()
    return [(seen.job.id, seen.job.version) for seen in feed.take()]


ENDED = Hint(frozenset({"job_1", "job_2"}), ended=frozenset({"job_1"}))


async def test_who_looks_for_himself_is_told_of_the_end_and_costs_no_look() -> None:
    table = Table()
    table.put("job_1", 1)
    async with watching(table) as watch:
        with watch.told_of("job_1") as one, watch.told_of("job_1") as other:
            watch.hint(Hint(frozenset({"job_1"})))
            assert not one.is_set()
            watch.hint(ENDED)
            async with asyncio.timeout(SOON_S):
                await one.wait()
                await other.wait()
        watch.hint(ENDED)  # of nobody any more
    assert table.looks == table.polls == []


async def test_who_begins_to_wait_for_what_has_just_ended_is_told_at_once() -> None:
    async with watching(Table()) as watch:
        watch.hint(ENDED)
        with watch.told_of("job_1") as ended, watch.told_of("job_2") as other:
            assert (ended.is_set(), other.is_set()) == (True, False)
        for number in range(LATELY):
            watch.hint(Hint(ended=frozenset({f"job_{number + 10}"})))
        with watch.told_of("job_1") as forgotten:
            assert not forgotten.is_set()


async def test_who_looks_for_himself_is_told_without_a_hint_too() -> None:
    async with watching(Table(), poll_s=0.01) as watch:
        with watch.told_of("job_1") as told:
            async with asyncio.timeout(SOON_S):
                await told.wait()
