"""What happens to a connection before the application hears of it: real sockets, a server in a thread."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.edge.connections import ConnectionRules, guarded
from api.edge.server import FILES_BESIDE, KEEP_ALIVE_S, main, rules_of
from api.settings import ApiSettings
from tests.services.processes import wait_for

RULES = ConnectionRules(head_bytes=4096, headers=20, head_s=60, stall_s=60, connections=5)
HURRIED = replace(RULES, head_s=1.0, stall_s=0.5)
BIG = 32 * 2**20
SOON_S = 60

begun = threading.Semaphore(0)  # one for each request that reached the application


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body; `/big` with a lot, `/unknown` without saying how long it is,
    `/given-up` not at all."""
    begun.release()
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"] == "/given-up":
        raise asyncio.CancelledError
    if scope["path"] == "/unknown":
        await send({"type": "http.response.start", "status": 200})
        for piece in (b"three ", b"pieces", b""):
            await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})
        return
    body = bytes(BIG) if scope["path"] == "/big" else b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(rules: ConnectionRules) -> Iterator[int]:
    config = uvicorn.Config(application, port=0, http=guarded(rules), ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join(SOON_S)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(RULES) as port:
        yield port


@pytest.fixture(scope="module")
def hurried() -> Iterator[int]:
    with serving(HURRIED) as port:
        yield port


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


def test_a_usual_request_is_answered(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
        assert answer(connection).endswith(b"\r\n\r\n3")


def test_a_body_may_be_larger_than_a_head(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n")
        connection.sendall(bytes(1_000_000))
        assert answer(connection).endswith(b"\r\n\r\n1000000")


def test_a_client_that_knows_no_chunks_gets_none(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /unknown HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
        head, _, body = answer(connection).partition(b"\r\n\r\n")
    assert b" 200 OK" in head.partition(b"\r\n")[0]
    assert b"chunked" not in head
    assert body == b"three pieces"


def test_what_is_given_up_at_the_end_has_no_answer(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST /given-up HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert answer(connection) == b""


def test_many_small_chunks_are_no_head(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"1\r\na\r\n" * 5000 + b"0\r\n\r\n")
        assert answer(connection).endswith(b"\r\n\r\n5000")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 21 + b"\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
        b"a" * 5000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: " + b"a" * 5000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 5000,
    ],
    ids=["one long", "one endless", "many", "address", "no HTTP", "trailer", "chunk extension"],
)
def test_a_head_that_is_too_large_is_refused_before_it_is_whole(port: int, head: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(head)
        if b"chunked" in head:  # what follows a whole head is weighed from the next bytes on
            time.sleep(0.05)
            connection.sendall(b"a" * 5000)
        received = answer(connection)
    status = received[9:12]
    assert status in ((b"400",) if head[:5] == b"aaaaa" else (b"431",))
    if status == b"431":
        assert b'"code": "headers_too_large"' in received


def test_a_head_in_drops_is_refused_as_well(port: int) -> None:
    with connected(port) as connection:
        received = b""
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(50):
                connection.sendall(b"a" * 200)
                time.sleep(0.001)
        except ConnectionError:
            pass
        received = answer(connection)
    assert received[9:12] in (b"431", b"")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_a_connection_that_brings_no_whole_head_ends(hurried: int, sent: bytes) -> None:
    with connected(hurried) as connection:
        connection.sendall(sent)
        assert answer(connection) == b""


def test_a_second_head_has_its_time_too(hurried: int) -> None:
    with connected(hurried) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        first = b""
        while not first.endswith(b"\r\n\r\n0"):  # it may come in two pieces
            piece = connection.recv(4096)
            assert piece, first
            first += piece
        connection.sendall(b"GET / HT")
        assert answer(connection) == b""


def test_a_client_that_takes_nothing_is_cut_off(hurried: int) -> None:
    with connected(hurried) as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(3)
        assert len(answer(connection)) < BIG


def test_a_client_that_takes_its_time_gets_everything(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = 0
        while piece := connection.recv(2**20):
            received += len(piece)
            if received < 5 * 2**20:
                time.sleep(0.05)
    assert received > BIG


def test_silent_connections_make_room(port: int) -> None:
    with serving(ConnectionRules(connections=5, head_s=600)) as own, ExitStack() as stack:
        silent = [stack.enter_context(connected(own)) for _ in range(20)]
        with connected(own) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert answer(connection).startswith(b"HTTP/1.1 200")
        wait_for(lambda: len(select.select(silent, [], [], 0)[0]) >= 15, what="the end of silent connections")


def test_when_all_are_busy_a_new_one_is_told_to_come_back() -> None:
    with serving(ConnectionRules(connections=2)) as own, ExitStack() as stack:
        while begun.acquire(blocking=False):
            pass
        for _ in range(2):
            busy = stack.enter_context(connected(own))
            busy.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            assert begun.acquire(timeout=SOON_S)
        with connected(own) as connection:
            received = answer(connection)
    assert received.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 5" in received


def test_a_process_never_serves_more_connections_than_it_may_have_files() -> None:
    settings = ApiSettings(max_connections=1000)
    assert rules_of(settings, files=100_000).connections == 1000
    assert rules_of(settings, files=FILES_BESIDE + 50).connections == 50
    assert rules_of(settings, files=10).connections == 1


def test_an_idle_connection_is_kept_longer_than_clients_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a request now and then meets the end of its connection, and only some may be sent again."""
    started: list[float] = []
    monkeypatch.setattr("uvicorn.run", lambda *_, **options: started.append(options["timeout_keep_alive"]))
    main(["--host", "127.0.0.1"])
    (kept_s,) = started
    assert kept_s == KEEP_ALIVE_S > 2 * (httpx.Limits().keepalive_expiry or 0)
