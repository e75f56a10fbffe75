"""PUT and GET of objects in as little Python as they take: of both, a worker makes one for each picture.

What succeeds at once is understood here, and nothing else. An error, a redirect, a connection that the server closed
meanwhile, an answer of another form: all of that is left to the `minio` client, which asks again.
"""

from __future__ import annotations

import ssl
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from http.client import HTTPConnection, HTTPSConnection
from socket import socket
from typing import NamedTuple
from urllib.parse import quote

from jobs.errors import StorageSilent
from storage.objects.pieces import PIECE
from storage.objects.s3_client import S3Client
from storage.settings import StorageSettings

Waiting = Callable[[], AbstractContextManager[None]]

_LONGEST_HEAD = 64 * 1024
_SUCCESS = b"200"


class _Answer(NamedTuple):
    """length: of its body, of which `begun` has been read."""

    connection: socket
    length: int
    begun: bytes


class PlainRequests:
    """To one bucket. Safe for many threads at once."""

    def __init__(self, client: S3Client, settings: StorageSettings, waiting: Waiting = nullcontext) -> None:
        """client: knows where keys of the bucket lie, and signs. waiting: entered until an answer begins."""
        assert settings.s3_bucket is not None
        self._client = client
        self._bucket = settings.s3_bucket
        self._place = client.place_of(self._bucket)
        self._waiting = waiting
        self._settings = settings
        self._tls = ssl.create_default_context() if self._place.scheme == "https" else None
        self._free: list[socket] = []
        self._is_understood = True
        weakref.finalize(self, _close, self._free)

    def put(self, key: str, data: bytes, *, media_type: str) -> bool:
        """Whether it is there. Raises StorageSilent."""
        if not (media_type.isascii() and media_type.isprintable()):  # it would be a header of another form
            return False
        answer = self._ask("PUT", key, {"content-length": str(len(data)), "content-type": media_type}, data)
        if answer is None:
            return False
        for _ in self._body(answer):
            pass
        return True

    def get(self, key: str) -> Iterator[bytes] | None:
        """None when the client has to ask. Raises StorageSilent, also later on."""
        answer = self._ask("GET", key, {"accept-encoding": "identity"}, b"")
        if answer is None:
            return None
        pieces = self._body(answer)
        next(pieces)  # whoever drops it from here on ends the connection
        return pieces

    def _ask(self, method: str, key: str, headers: Mapping[str, str], body: bytes) -> _Answer | None:
        path = self._place.path + quote(key, safe="/~")
        headers = self._client.signed_headers(self._bucket, method, path, {**headers, "host": self._place.netloc}, body)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        request = f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()
        connection = self._connection() if self._is_understood else None
        if connection is None:
            return None
        try:
            with self._waiting():
                connection.sendall(request + body)
                head, begun = _head(connection)
        except TimeoutError as error:
            connection.close()
            raise StorageSilent("the object store does not answer") from error
        except OSError:
            connection.close()
            return None
        length = length_told(head)
        if length is not None and len(begun) <= length:
            return _Answer(connection, length, begun)
        connection.close()
        if _SUCCESS in head.split(maxsplit=2)[1:2]:  # in another form: each object would be asked for twice
            self._is_understood = False
        return None

    def _connection(self) -> socket | None:
        """None when the server cannot be reached just now."""
        try:
            return self._free.pop()
        except IndexError:
            pass
        server, connect_s = self._place.netloc, self._settings.s3_connect_timeout_s
        opened = (
            HTTPConnection(server, timeout=connect_s)
            if self._tls is None
            else HTTPSConnection(server, timeout=connect_s, context=self._tls)
        )
        try:
            opened.connect()
        except OSError:
            return None
        connection: socket = opened.sock
        connection.settimeout(self._settings.s3_read_timeout_s)
        return connection

    def _body(self, answer: _Answer) -> Iterator[bytes]:
        """First nothing, then the pieces. Only who reads all of them leaves the connection to others."""
        connection, length, piece = answer
        left = length - len(piece)
        try:
            yield b""
            if piece:
                yield piece
            while left:
                piece = connection.recv(min(left, PIECE))
                if not piece:
                    raise StorageSilent("the object store broke off")
                left -= len(piece)
                yield piece
        except OSError as error:
            raise StorageSilent("the object store does not answer") from error
        finally:
            if left or len(self._free) >= self._settings.s3_pool_size:
                connection.close()
            else:
                self._free.append(connection)


def _head(connection: socket) -> tuple[bytes, bytes]:
    """Of the answer, with what came of its body. Raises OSError."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(_LONGEST_HEAD)
        if not piece or len(head) > _LONGEST_HEAD:
            raise ConnectionError("no answer")
        head += piece
    head, _, begun = head.partition(b"\r\n\r\n")
    return head, begun


def length_told(head: bytes) -> int | None:
    """Of the body of an answer that begins so; None where that is no plain success on a connection that stays."""
    status, *lines = head.lower().split(b"\r\n")
    fields = {name: value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    length = fields.get(b"content-length", b"")
    is_plain = status.split()[:2] == [b"http/1.1", _SUCCESS] and b"transfer-encoding" not in fields and length.isdigit()
    return int(length) if is_plain and fields.get(b"connection", b"keep-alive") == b"keep-alive" else None


def _close(connections: list[socket]) -> None:
    for each in connections:
        each.close()
