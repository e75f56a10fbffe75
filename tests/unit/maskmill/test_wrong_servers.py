"""Somebody else answers at the address, or sends requests elsewhere: that is told, and nothing is taken for done."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskmill import AsyncMaskmill, Maskmill
from maskmill.errors import InvalidInput, NotMaskmill, WaitTimeout
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json

PAGE = Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
CALLS: dict[str, Callable[[Maskmill, Path], Any]] = {
    "GET /jobs": lambda client, picture: client.jobs(),
    "GET /jobs/job_1": lambda client, picture: client.job("job_1"),
    "POST /jobs": lambda client, picture: client.submit(picture),
    "GET /models": lambda client, picture: client.models(),
    "GET /limits": lambda client, picture: client.limits(),
    "GET /ready": lambda client, picture: client.ready(),
    "POST /predict": lambda client, picture: client.predict(picture),
    "GET /webhook-secret": lambda client, picture: client.webhooks.secret(),
}


@pytest.mark.parametrize("answer", [PAGE, Answer(204), as_json([]), as_json(None)])
def test_what_is_no_answer_of_the_service_is_said_so(server: ToyServer, picture: Path, answer: Answer) -> None:
    with Maskmill(server.url) as client:
        for name, ask in CALLS.items():
            method, path = name.split()
            server.on(method, path, answer)
            with pytest.raises(NotMaskmill, match="is no Maskmill service"):
                ask(client, picture)


@pytest.mark.parametrize("status", [302, 303])
def test_a_redirect_that_makes_another_request_does_nothing_and_says_so(
    server: ToyServer, job_state: Callable[..., dict[str, Any]], picture: Path, status: int
) -> None:
    """What is deleted, or set, would be read instead, and seem done."""
    there = as_json(job_state("succeeded", done=4))
    server.on("GET", "/jobs/job_1", there)
    server.on("GET", "/elsewhere", there)
    server.on("GET", "/jobs", as_json({"items": []}))
    for method, path in (("DELETE", "/jobs/job_1"), ("POST", "/jobs"), ("PUT", "/webhook")):
        server.on(method, path, Answer(status, headers={"Location": f"{server.url}/elsewhere"}))
    with Maskmill(server.url) as client:
        job = client.job("job_1")
        for ask in (
            job.delete,
            lambda: client.submit(picture),
            lambda: client.webhooks.set_default("https://example.org"),
        ):
            with pytest.raises(NotMaskmill, match=r"nothing was done; use the address that it names, .*/elsewhere"):
                ask()


@pytest.mark.parametrize("headers", [{}, {"Location": "/jobs"}])
def test_a_redirect_that_leads_nowhere_is_said_so(server: ToyServer, headers: dict[str, str]) -> None:
    server.on("GET", "/jobs", Answer(302, headers=headers))
    with Maskmill(server.url) as client, pytest.raises(NotMaskmill):
        client.jobs()


def test_what_cannot_be_asked_is_refused_before_it_is_sent(server: ToyServer) -> None:
    asked: list[Callable[[Maskmill], Any]] = [
        lambda client: client.label_space("../jobs"),
        lambda client: client.label_space(""),
        lambda client: client.correct("..", 0, b""),
        lambda client: client.webhooks.redeliver("../jobs"),
        lambda client: client.webhooks.redeliver("\udcff"),
        lambda client: client.jobs(limit=-1),
        lambda client: client.jobs(model="\udcff"),
        lambda client: client.jobs(metadata={"taken": object()}),
        lambda client: client.submit({"sample": "a"}, min_confidence=float("nan")),
        lambda client: client.submit({"sample": "a"}, metadata={"name": "\udcff"}),
        lambda client: client.submit({"sample": "a"}, metadata={"at": object()}),
        lambda client: client.submit(__file__, metadata={"at": object()}),
        lambda client: Maskmill(f"{client.server}?key=a"),
    ]
    with Maskmill(server.url) as client:
        for ask in asked:
            with pytest.raises(InvalidInput):
                ask(client)
    assert server.requests == []


def test_an_awaited_client_may_be_closed_twice(server: ToyServer) -> None:
    async def close() -> None:
        async with AsyncMaskmill(server.url) as client:
            await client.close()

    asyncio.run(close())


def test_an_awaited_call_that_finds_no_thread_free_ends_with_its_timeout(
    server: ToyServer, job_state: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.aio.client._THREADS", 1)
    monkeypatch.setattr("maskmill.aio.client._GRACE_S", 0.0)
    over = threading.Event()
    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=1)))
    server.on("GET", "/models", lambda _: as_json({"items": [], "over": over.wait(20.0)}))

    async def wait() -> None:
        async with AsyncMaskmill(server.url) as client:
            job = await client.job("job_1")
            slow = asyncio.create_task(client.models())
            await asyncio.sleep(0)  # it has the thread now
            with pytest.raises(WaitTimeout, match="1/4"):
                await job.wait(timeout=0.05)
            assert not slow.done()
            over.set()
            await slow

    asyncio.run(wait())


def test_who_looks_at_the_job_while_images_come_loses_none(
    server: ToyServer, job_state: Callable[..., dict[str, Any]]
) -> None:
    """The end is known by then, and images are still on their way."""
    running = job_state("running", total=2, done=1) | {"links": {"events": "/jobs/job_1/events"}}
    ended = job_state("succeeded", total=2, done=2) | {"links": running["links"]}
    rows = [{"index": index, "name": f"{index}", "status": "succeeded"} for index in range(2)]
    told = [("image", rows[0]), ("job", running), ("image", rows[1]), ("job", ended)]
    body = "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in told)
    server.on("GET", "/jobs/job_1/events", Answer(200, body.encode(), {"Content-Type": "text/event-stream"}))
    server.on("GET", "/jobs/job_1", as_json(running), as_json(ended))
    with Maskmill(server.url) as client:
        job = client.job("job_1")
        assert [(image.index, job.refresh().status) for image in job.stream()] == [(0, "succeeded"), (1, "succeeded")]
