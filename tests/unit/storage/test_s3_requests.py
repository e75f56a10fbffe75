"""What is taken of a server's answers, and what is left to the `minio` client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import pytest

from jobs.errors import StorageSilent
from storage.objects.minio import open_client
from storage.objects.pieces import PIECE
from storage.objects.s3_requests import PlainRequests
from storage.settings import StorageSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Server:
    """Gives one answer after the other, whatever it is asked; `None` ends the connection instead."""

    answers: list[bytes | None]
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the test is over
            while self.answers:
                connection, _ = listener.accept()
                self.connections += 1
                with suppress(ConnectionError), connection, connection.makefile("rb") as coming:  # or it has gone
                    self._answer(connection, coming)

    def _answer(self, connection: socket.socket, coming: BinaryIO) -> None:
        while self.answers and self._heard(coming):
            answer = self.answers.pop(0)
            if answer is None:
                return
            connection.sendall(answer)

    def _heard(self, coming: BinaryIO) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = coming.readline()
            if not line:
                return False
            head += line
        length = next((int(each[15:]) for each in head.split(b"\r\n") if each.startswith(b"content-length:")), 0)
        self.asked.append(head + coming.read(length))
        return True


@contextmanager
def asking(*answers: bytes | None, **settings: float) -> Iterator[tuple[PlainRequests, Server]]:
    server = Server(list(answers))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        keys = {"s3_access_key": "key", "s3_secret_key": "secret"}
        given = StorageSettings(s3_bucket="pictures", s3_endpoint=endpoint, **keys, **settings)  # type: ignore[arg-type]
        yield PlainRequests(open_client(given, endpoint), given), server


def test_a_connection_is_used_again():
    with asking(OK % 0, OK % 3 + b"abc", OK % 0) as (requests, server):
        assert requests.put("a b/ü", b"abc", media_type="text/plain")
        assert b"".join(requests.get("a b/ü") or ()) == b"abc"
        assert requests.put("c", b"", media_type="text/plain")
        assert server.connections == 1
        assert server.asked[0].startswith(b"PUT /pictures/a%20b/%C3%BC HTTP/1.1\r\n")
        assert server.asked[0].endswith(b"\r\n\r\nabc")


def test_a_connection_that_the_server_ended_is_left_to_the_client_and_the_next_one_is_new():
    with asking(OK % 0, None, OK % 0) as (requests, server):
        assert requests.put("a", b"1", media_type="text/plain")
        assert requests.get("a") is None
        assert requests.put("b", b"2", media_type="text/plain")
        assert server.connections == 2


def test_an_error_is_left_to_the_client_and_the_next_object_is_asked_for():
    with asking(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", OK % 1 + b"1") as (requests, server):
        assert requests.get("a") is None
        assert b"".join(requests.get("a") or ()) == b"1"
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 2),
    ],
)
def test_a_connection_that_does_not_stay_is_not_used_again(answer: bytes, connections: int):
    with asking(answer, OK % 1 + b"1") as (requests, server):
        assert b"".join(requests.get("a") or ()) == b"a"
        assert b"".join(requests.get("a") or ()) == b"1"
        assert server.connections == connections


def test_who_does_not_read_all_ends_the_connection():
    with asking(OK % (3 * PIECE) + bytes(3 * PIECE), OK % 1 + b"1") as (requests, server):
        pieces = requests.get("a")
        assert pieces is not None
        assert len(next(pieces)) == PIECE
        del pieces
        assert b"".join(requests.get("a") or ()) == b"1"
        assert server.connections == 2


def test_a_large_object_comes_in_pieces():
    whole = bytes(range(256)) * (3 * PIECE // 256)
    with asking(OK % len(whole) + whole) as (requests, _):
        pieces = list(requests.get("a") or ())
        assert b"".join(pieces) == whole
        assert max(map(len, pieces)) <= PIECE


def test_an_object_that_breaks_off_is_an_error():
    with asking(OK % 4 + b"abc") as (requests, _):
        pieces = requests.get("a")
        assert pieces is not None
        assert next(pieces) == b"abc"
        with pytest.raises(StorageSilent):
            next(pieces)


def test_a_server_that_says_nothing_is_not_asked_twice():
    with asking(b"", b"", s3_read_timeout_s=0.05) as (requests, server):
        with pytest.raises(StorageSilent):
            requests.get("a")
        assert len(server.asked) == 1


def test_a_server_that_is_away_is_left_to_the_client():
    settings = StorageSettings(
        s3_bucket="pictures", s3_endpoint="http://127.0.0.1:9", s3_access_key="k", s3_secret_key="s"
    )
    requests = PlainRequests(open_client(settings, "http://127.0.0.1:9"), settings)
    assert requests.get("a") is None


@pytest.mark.parametrize("media_type", ["text/plain\r\nx-amz-acl: public-read", "text/ü"])
def test_a_media_type_is_no_header_of_another_kind(media_type: str):
    with asking(OK % 0) as (requests, server):
        assert not requests.put("a", b"1", media_type=media_type)
        assert not server.asked
