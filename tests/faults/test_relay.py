"""A connection that was forgotten on its way: neither end notices, and who connects anew is served."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.services.relay import Relay


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back whatever it is sent, to each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(link: socket.socket) -> None:
            with link:
                while data := link.recv(100):
                    link.sendall(data)

        def accept() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(link,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def answer(link: socket.socket, *, timeout_s: float) -> bytes:
    link.settimeout(timeout_s)
    link.sendall(b"a")
    return link.recv(100)


def test_what_is_connected_hears_nothing_any_more_and_what_comes_later_does(echo: int) -> None:
    with Relay(lambda: echo).running() as relay, socket.create_connection(("127.0.0.1", relay.port)) as old:
        assert answer(old, timeout_s=20) == b"a"
        relay.abandon()
        with socket.create_connection(("127.0.0.1", relay.port)) as new:
            assert answer(new, timeout_s=20) == b"a"
        with pytest.raises(TimeoutError):
            answer(old, timeout_s=0.2)
