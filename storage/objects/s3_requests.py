"""PUT and GET of objects by the standard library's HTTP: of both, a worker makes one for each picture.

What succeeds at once is taken, and nothing else. An error, a redirect, a connection that the server closed meanwhile:
all of that is left to the `minio` client, which asks again.
"""

from __future__ import annotations

import ssl
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote

from jobs.errors import StorageSilent
from storage.objects.pieces import PIECE
from storage.objects.s3_client import S3Client
from storage.settings import StorageSettings

Waiting = Callable[[], AbstractContextManager[None]]


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
        self._free: list[HTTPConnection] = []
        weakref.finalize(self, _close, self._free)

    def put(self, key: str, data: bytes, *, media_type: str) -> bool:
        """Whether it is there. Raises StorageSilent."""
        if not (media_type.isascii() and media_type.isprintable()):  # it would be a header of another form
            return False
        pieces = self._ask("PUT", key, {"content-length": str(len(data)), "content-type": media_type}, data)
        return pieces is not None and all(True for _ in pieces)

    def get(self, key: str) -> Iterator[bytes] | None:
        """None when the client has to ask. Raises StorageSilent, also later on."""
        return self._ask("GET", key, {}, b"")

    def _ask(self, method: str, key: str, headers: Mapping[str, str], body: bytes) -> Iterator[bytes] | None:
        """The body of the answer, if that is a success. Whoever drops it ends the connection."""
        path = self._place.path + quote(key, safe="/~")
        headers = self._client.signed_headers(self._bucket, method, path, {**headers, "host": self._place.netloc}, body)
        with self._waiting():
            connection = self._connection()
            answer = None if connection is None else _answer(connection, method, path, body, headers)
        if connection is None or answer is None:
            return None
        pieces = self._body(connection, answer)
        next(pieces)
        if answer.status == HTTPStatus.OK:
            return pieces
        with suppress(StorageSilent):
            deque(pieces, maxlen=0)  # what it says, the client is told too
        return None

    def _connection(self) -> HTTPConnection | None:
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
        opened.sock.settimeout(self._settings.s3_read_timeout_s)
        return opened

    def _body(self, connection: HTTPConnection, answer: HTTPResponse) -> Iterator[bytes]:
        """First nothing, then the pieces. Only who reads all of them leaves the connection to others."""
        is_whole = False
        try:
            yield b""
            while piece := answer.read(PIECE):
                yield piece
            is_whole = not answer.length  # `read` takes a connection that ended for the end
            if not is_whole:
                raise StorageSilent("the object store broke off")
        except (OSError, HTTPException) as error:
            raise StorageSilent("the object store does not answer") from error
        finally:
            if is_whole and not answer.will_close and len(self._free) < self._settings.s3_pool_size:
                self._free.append(connection)
            else:
                answer.close()
                connection.close()


def _answer(
    connection: HTTPConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> HTTPResponse | None:
    """None when the connection broke: the server may have closed it meanwhile. Raises StorageSilent."""
    try:
        connection.request(method, path, body or None, dict(headers))
        return connection.getresponse()
    except TimeoutError as error:
        connection.close()
        raise StorageSilent("the object store does not answer") from error
    except (OSError, HTTPException):
        connection.close()
        return None


def _close(connections: list[HTTPConnection]) -> None:
    for each in connections:
        each.close()
