"""Answers that are held until a job changes: what they cost, and what they say when a part is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import httpx
import pytest
from fastapi.testclient import TestClient

from api.live.job_watch import JobWatch
from api.main import create_app
from api.settings import ApiSettings
from tests.factories import picture
from tests.unit.api.house import House

pytestmark = pytest.mark.anyio

MANY = 200
FILE = {"files": ("a.jpg", picture())}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[tuple[httpx.AsyncClient, JobWatch]]:
    app = create_app(lambda: nullcontext(house.services()))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        yield http, app.state.services.watch


async def all_wait(watch: JobWatch, count: int) -> None:
    async with asyncio.timeout(60):
        while watch.waiting < count:  # noqa: ASYNC110 it is the server's doing
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)  # and have been told how the job is


@pytest.mark.parametrize("is_broker_away", [False, True])
async def test_hundreds_of_long_polls_share_a_few_queries(house: House, is_broker_away: bool) -> None:
    house.settings = ApiSettings(poll_s=0.5)
    house.channel.is_away = is_broker_away
    async with serving(house) as (http, watch):
        job = (await http.post("/jobs", files=FILE)).json()["links"]["self"]
        before = house.units
        polls = [asyncio.create_task(http.get(job, params={"wait": 30})) for _ in range(MANY)]
        await all_wait(watch, MANY)
        await asyncio.to_thread(house.work)
        answers = await asyncio.gather(*polls)
        assert watch.waiting == 0
    assert {answer.json()["status"] for answer in answers} <= {"running", "succeeded"}
    assert house.units - before < MANY // 4


async def test_jobs_without_number_are_waited_for_with_few_queries(house: House) -> None:
    async with serving(house) as (http, watch):
        jobs = [(await http.post("/jobs", files=FILE)).json()["links"]["self"] for _ in range(20)]
        before = house.units
        polls = [asyncio.create_task(http.get(job, params={"wait": 30})) for job in jobs]
        await all_wait(watch, len(jobs))
        assert house.units - before < len(jobs)
        await asyncio.to_thread(house.work)
        answers = await asyncio.gather(*polls)
    assert {answer.json()["status"] for answer in answers} <= {"running", "succeeded"}


async def test_a_deleted_job_ends_the_wait_for_it(house: House) -> None:
    async with serving(house) as (http, watch):
        job = (await http.post("/jobs", files=FILE)).json()["links"]["self"]
        poll = asyncio.create_task(http.post("/predict", files={"file": FILE["files"]}, headers={"Prefer": "wait=30"}))
        await all_wait(watch, 1)
        prediction = (await http.get("/jobs")).json()["items"][0]["id"]
        with house.database.unit() as unit:
            unit.jobs.purge(prediction)
            unit.commit()
        assert (await poll).status_code == 404
        assert (await http.get(job)).status_code == 200


def test_a_job_that_was_taken_is_answered_although_the_database_has_gone(client: TestClient, house: House) -> None:
    dispatch = house.dispatcher.dispatch

    def dispatch_and_lose_the_database(pieces: object) -> None:
        dispatch(pieces)  # type: ignore[arg-type]
        house.is_database_away = True

    house.dispatcher.dispatch = dispatch_and_lose_the_database  # type: ignore[method-assign]
    for path, field in (("/jobs", "files"), ("/predict", "file")):
        for prefer in ("wait=1", "respond-async"):
            house.is_database_away = False
            answer = client.post(path, files={field: FILE["files"]}, headers={"Prefer": prefer})
            assert (answer.status_code, answer.json()["status"]) == (202, "queued"), answer.text
            assert answer.json()["queue_position"] is None
