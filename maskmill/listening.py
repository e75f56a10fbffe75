"""Following a job over its stream of events, again from where it was when the connection broke."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from maskmill.errors import APIError, ServerUnreachable
from maskmill.transport import BUSY, Call, Transport

SILENCE_S = 40.0  # the server shows every 15 s that it is alive


@dataclass(frozen=True, slots=True)
class Event:
    """kind: `job` or `image`; data: its view. No kind: nothing happens, but the server is there."""

    kind: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Events:
    """Of one job. An event is given once, whatever happens to the connection."""

    def __init__(self, transport: Transport, path: str, *, only_job: bool) -> None:
        self._transport = transport
        self._path = path
        self._only_job = only_job
        self._last: str | None = None

    def read(self, *, silence_s: float = SILENCE_S) -> Iterator[Event]:
        """Of one connection, until it ends or breaks; a sign of life of the server is an event without a kind.

        Raises APIError, NotFound among them when the job is not there.
        """
        headers = {"Accept": "text/event-stream"} | ({} if self._last is None else {"Last-Event-ID": self._last})
        params = {"only": "job"} if self._only_job else {}
        call = Call(method="GET", path=self._path, params=params, headers=headers, silence_s=silence_s)
        with _passing(), self._transport.stream(call) as response:
            fields: dict[str, str] = {}
            for line in response.iter_lines():
                if line.startswith(":"):
                    yield Event()
                elif line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif fields:
                    self._last = fields.get("id", self._last)
                    yield Event(fields.get("event"), json.loads(fields.get("data", "null")))
                    fields = {}


@contextmanager
def _passing() -> Iterator[None]:
    """A connection that breaks ends the reading; so does a server that cannot just now, or has no such stream."""
    try:
        yield
    except ServerUnreachable:
        return
    except APIError as error:
        if error.code == "job_not_found" or error.status not in (404, 406, *BUSY):
            raise
