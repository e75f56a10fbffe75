"""Following a job over its stream of events, with connections that break."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from maskmill import Maskmill
from maskmill.errors import NotFound, WaitTimeout
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem

State = Callable[..., dict[str, Any]]
JOB, EVENTS = "/jobs/job_1", "/jobs/job_1/events"


@pytest.fixture
def streamed(job_state: State) -> State:
    return lambda *words, **counts: {**job_state(*words, **counts), "links": {"events": EVENTS}}


def of_job(identity: int, state: dict[str, Any]) -> bytes:
    return f"event: job\nid: {identity}\ndata: {json.dumps(state)}\n\n".encode()


def of_image(identity: str, index: int) -> bytes:
    row = {"index": index, "name": f"{index}.jpg", "status": "succeeded"}
    return f"event: image\nid: {identity}\ndata: {json.dumps(row)}\n\n".encode()


def stream(*events: bytes) -> Answer:
    return Answer(body=b"".join(events), headers={"Content-Type": "text/event-stream"})


def client(server: ToyServer) -> Maskmill:
    return Maskmill(server.url)


def test_waiting_listens_and_asks_nothing_else(server: ToyServer, streamed: State) -> None:
    server.on("GET", JOB, as_json(streamed("running", done=1)))
    alive = b": still here\n\n"
    server.on(
        "GET", EVENTS, stream(of_job(3, streamed("running", done=2)), alive, of_job(5, streamed("succeeded", done=4)))
    )
    seen: list[int] = []
    with client(server) as maskmill:
        job = maskmill.job("job_1").wait(on_progress=lambda job: seen.append(job.finished_images))
    assert (job.status, seen) == ("succeeded", [1, 2, 4])
    assert len(server.seen("GET", JOB)) == 1
    assert server.seen("GET", EVENTS)[0].query == {"only": "job"}


def test_what_other_texts_end_lines_with_ends_no_event(server: ToyServer, streamed: State) -> None:
    server.on("GET", JOB, as_json(streamed("running")))
    ended = {**streamed("succeeded", done=4), "metadata": {"note": "a\u2028b\u2029c\u0085d"}}
    data = json.dumps(ended, ensure_ascii=False).encode()
    server.on("GET", EVENTS, stream(b"event: job\r\nid: 3\r\ndata: " + data + b"\r\n\r\n"))
    with client(server) as maskmill:
        assert maskmill.job("job_1").wait().state["metadata"] == ended["metadata"]


def test_a_broken_connection_goes_on_where_it_was(server: ToyServer, streamed: State) -> None:
    server.on("GET", JOB, as_json(streamed("running")))
    first = stream(of_image("2.0", 0), of_image("2.1", 1))
    server.on(
        "GET",
        EVENTS,
        Answer(body=first.body, headers=first.headers, cut_after=len(first.body) - 5),
        stream(of_image("2.1", 1), of_job(2, streamed("running", done=2))),
        stream(of_image("4.2", 2), of_image("4.3", 3), of_job(4, streamed("succeeded", done=4))),
    )
    with client(server) as maskmill:
        assert [image.index for image in maskmill.job("job_1").images()] == [0, 1, 2, 3]
    asked = [request.headers.get("last-event-id") for request in server.seen("GET", EVENTS)]
    assert asked == [None, "2.0", "2"]


PAGE = Answer(body=b"<html>\n\nSomebody else.\n\n</html>", headers={"Content-Type": "text/html"})  # of a proxy


@pytest.mark.parametrize("answer", [problem(404, "not_found"), problem(503, "database_unavailable"), Answer(204), PAGE])
def test_where_no_stream_comes_through_the_job_is_looked_at(server: ToyServer, streamed: State, answer: Answer) -> None:
    server.on(
        "GET",
        JOB,
        as_json(streamed("running")),
        as_json(streamed("running", done=1)),
        as_json(streamed("succeeded", done=4)),
    )
    server.on("GET", EVENTS, answer)
    rows = [{"index": index, "name": "x", "status": "succeeded"} for index in range(4)]
    server.on("GET", JOB + "/images", as_json({"items": rows, "next_cursor": None}))
    with client(server) as maskmill:
        job = maskmill.job("job_1")
        assert [image.index for image in job.images()] == [0, 1, 2, 3]
        assert job.wait().status == "succeeded"


def test_a_job_that_is_gone_is_told(server: ToyServer, streamed: State) -> None:
    server.on("GET", JOB, as_json(streamed("running")))
    server.on("GET", EVENTS, problem(404, "job_not_found"))
    with client(server) as maskmill, pytest.raises(NotFound):
        maskmill.job("job_1").wait()


def test_listening_ends_with_its_timeout(server: ToyServer, streamed: State) -> None:
    server.on("GET", JOB, as_json(streamed("running", done=1)))
    server.on("GET", EVENTS, stream(of_job(2, streamed("running", done=1))))
    with client(server) as maskmill, pytest.raises(WaitTimeout, match="1/4"):
        maskmill.job("job_1").wait(timeout=0.3)


@pytest.mark.parametrize("is_silent", [True, False])
def test_waiting_ends_with_its_timeout_whatever_the_server_does(
    server: ToyServer, job_state: State, is_silent: bool
) -> None:
    """It may be stopped, or ask for a long pause."""
    over = threading.Event()

    def answer(_: object) -> Answer:
        if is_silent:
            over.wait(20.0)
        return problem(503, "busy", retry_after="20")

    server.on("GET", JOB, *[as_json(job_state("running", done=1))] * 2, answer)
    server.on("GET", f"{JOB}/images", answer)
    began = time.monotonic()
    with client(server) as maskmill:
        job = maskmill.job("job_1")
        for waits in (job.wait, lambda timeout: list(job.images(timeout=timeout))):
            with pytest.raises(WaitTimeout, match="1/4"):
                waits(timeout=0.15)
    over.set()
    assert time.monotonic() - began < 10.0


def test_the_images_of_a_job_that_has_ended_are_told_in_input_order(server: ToyServer, streamed: State) -> None:
    server.on("GET", JOB, as_json(streamed("succeeded", total=2, done=2)))
    rows = [{"index": index, "name": f"{index}.jpg", "status": "succeeded"} for index in (0, 1)]
    server.on("GET", f"{JOB}/images", as_json({"items": rows, "next_cursor": None}))
    server.on("GET", EVENTS, stream(of_image("3.0", 1), of_image("4.0", 0)))
    with client(server) as maskmill:
        assert [image.index for image in maskmill.job("job_1").images()] == [0, 1]
