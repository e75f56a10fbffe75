"""Sending files to the addresses that `POST /uploads` gives, several at a time."""

from __future__ import annotations

import mimetypes
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import httpx

from maskmill.errors import APIError, Conflict, InvalidInput, NotFound, RateLimited, ServerUnreachable, Unavailable
from maskmill.inputs import IMAGE_SUFFIXES, is_film_name
from maskmill.transport import Call, Transport, takes_proxy
from maskmill.uploads.ledger import Ledger
from maskmill.uploads.multipart import PIECE, FilePart, OnSent

DIRECT_BYTES = 64 * 2**20  # what is more goes this way
DIRECT_FILES = 1_000
AT_ONCE = 4
ANNOUNCED = 500  # files of one request
STALL_S = 120.0  # a file of which nothing more arrives for so long is given up
PAUSE_S = 0.5
HAS_IT = 412  # a store that was asked to take something once
_RANGE = re.compile(r"bytes=0-(\d+)")


class NotOffered(Exception):
    """The server knows no direct uploads."""


class _Stopped(Exception):
    """Somebody wants no more to be sent."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """Where a file goes. offset: bytes of it that are there."""

    upload: str
    url: str
    headers: Mapping[str, str]
    offset: int = 0

    @property
    def is_resumable(self) -> bool:
        """An address of the service itself, which knows how much of a file is there; a store's takes files whole."""
        return f"/uploads/{self.upload}/content" in self.url


def goes_direct(parts: Sequence[FilePart]) -> bool:
    return len(parts) > DIRECT_FILES or sum(part.size for part in parts) > DIRECT_BYTES


@dataclass(slots=True)
class DirectUploads:
    """One submission's files. api: speaks for the caller; addresses are signed and get no key."""

    api: Transport
    parts: Sequence[FilePart]
    ledger: Ledger
    on_sent: OnSent | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _sent: dict[int, int] = field(default_factory=dict)
    _so_far: int = 0
    _total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> list[str]:
        """The ids of the uploads, in the order of the parts, once all have arrived.

        Raises NotOffered, APIError, ServerUnreachable, InvalidInput. What had arrived by then is noted.
        """
        self._total = sum(part.size for part in self.parts)
        for place in self.ledger.stored:
            self._note(place, self.parts[place].size)
        missing = [place for place in range(len(self.parts)) if place not in self.ledger.stored]
        timeout, proxied = httpx.Timeout(30.0, read=600.0), takes_proxy(str(self.api.http.base_url))
        with (
            httpx.Client(headers={"User-Agent": "maskmill-python"}, timeout=timeout, trust_env=proxied) as http,
            ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as threads,
        ):
            store = Transport(http=http, patience_s=max(self.api.patience_s, 30.0))
            try:
                for start in range(0, len(missing), ANNOUNCED):
                    tickets = self._tickets(missing[start : start + ANNOUNCED])
                    _all_of([threads.submit(self._send_one, store, *each) for each in tickets.items()])
            finally:
                self._stop.set()
        return [self.ledger.uploads[place] for place in range(len(self.parts))]

    def _tickets(self, places: Sequence[int]) -> dict[int, _Ticket]:
        """Those that were announced before go on; the others are announced now."""
        known = {place: self._known(self.ledger.uploads[place]) for place in places if place in self.ledger.uploads}
        found = {place: ticket for place, ticket in known.items() if ticket is not None}
        new = [place for place in places if place not in found]
        if new:
            found.update(self._announced(new))
        return found

    def _known(self, upload: str) -> _Ticket | None:
        try:
            told = self.api.json(Call(method="GET", path=f"/uploads/{upload}"), holds=("received",))
        except NotFound:
            return None  # it has expired
        return self._ticket(upload, told.get("url", ""), told.get("headers", {}), told["received"])

    def _announced(self, places: Sequence[int]) -> dict[int, _Ticket]:
        files = [_described(self.parts[place]) for place in places]
        try:
            call = Call(method="POST", path="/uploads", json={"files": files}, read_timeout_s=120.0)
            answer = self.api.json(call, holds=("uploads",))
        except APIError as error:
            if error.status in (404, 405):
                raise NotOffered from error
            raise
        tickets = {
            place: self._ticket(each["upload"], each["url"], each["headers"])
            for place, each in zip(places, answer["uploads"], strict=True)
        }
        self.ledger.announce({place: ticket.upload for place, ticket in tickets.items()})
        return tickets

    def _ticket(self, upload: str, url: str, headers: Mapping[str, str], offset: int = 0) -> _Ticket:
        """An address of the service itself begins as the caller's does: a proxy may have taken scheme and path away."""
        _, ours, signed = url.partition(f"/uploads/{upload}/content")
        base = str(self.api.http.base_url).rstrip("/")
        return _Ticket(upload, f"{base}{ours}{signed}" if ours else url, headers, offset)

    def _send_one(self, store: Transport, place: int, ticket: _Ticket) -> None:
        part = self.parts[place]
        if ticket.offset < part.size:
            if ticket.is_resumable:
                self._send_resumable(store, place, ticket)
            else:
                headers = {**ticket.headers, "Content-Length": str(part.size)}
                body = _FileBody(self, place, 0)
                _send_once(store, Call(method="PUT", path=ticket.url, headers=headers, content=body))
        self._note(place, part.size)
        self.ledger.store(place)

    def _send_resumable(self, store: Transport, place: int, ticket: _Ticket) -> None:
        """Until all of it is there, however often the connection breaks, as long as it gets on."""
        size, offset, progress_at = self.parts[place].size, ticket.offset, time.monotonic()
        while offset < size:
            try:
                reached = self._reached(self._put_rest(store, place, ticket, offset), size)
            except (ServerUnreachable, Conflict, Unavailable, RateLimited) as error:  # a conflict: an older connection
                if time.monotonic() > progress_at + STALL_S:
                    raise
                self._stop.wait(PAUSE_S)
                reached = self._reached(self._ask(store, ticket, size, error), size)
            if self._stop.is_set():
                raise _Stopped
            if reached > offset:
                progress_at = time.monotonic()
            offset = reached

    def _put_rest(self, store: Transport, place: int, ticket: _Ticket, offset: int) -> httpx.Response:
        size = self.parts[place].size
        headers = {**ticket.headers, "Content-Length": str(size - offset)}
        if offset:
            headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
        body = _FileBody(self, place, offset)
        call = Call(method="PUT", path=ticket.url, headers=headers, content=body, repeatable=False)
        return store.send(call, patience_s=0.0)

    def _ask(self, store: Transport, ticket: _Ticket, size: int, reason: Exception) -> httpx.Response:
        headers = {**ticket.headers, "Content-Range": f"bytes */{size}"}
        try:
            return store.send(Call(method="PUT", path=ticket.url, headers=headers, content=b""))
        except ServerUnreachable as error:
            raise error from reason

    def _reached(self, response: httpx.Response, size: int) -> int:
        if response.status_code != 308:
            return size
        found = _RANGE.fullmatch(response.headers.get("range", ""))
        return 0 if found is None else int(found[1]) + 1

    def note_sent(self, place: int, sent: int) -> None:
        """Called while a file is read. Raises when no more is to be sent."""
        if self._stop.is_set():
            raise _Stopped
        self._note(place, sent)

    def _note(self, place: int, sent: int) -> None:
        with self._lock:
            self._so_far += sent - self._sent.get(place, 0)
            self._sent[place] = sent
            if self.on_sent is not None:
                self.on_sent(self._so_far, self._total)


class _FileBody:
    """A file from `offset` on. Iterating it anew reads it anew."""

    def __init__(self, uploads: DirectUploads, place: int, offset: int) -> None:
        self._uploads, self._place, self._offset = uploads, place, offset

    def __iter__(self) -> Iterator[bytes]:
        part, sent = self._uploads.parts[self._place], self._offset
        try:
            with part.path.open("rb") as file:
                file.seek(self._offset)
                while piece := file.read(min(PIECE, part.size - sent)):
                    yield piece
                    sent += len(piece)
                    self._uploads.note_sent(self._place, sent)
                is_longer = bool(file.read(1))
        except OSError as error:
            raise InvalidInput(f"{part.path}: {error.strerror or error}") from error
        part.require_whole(part.size - sent, is_longer=is_longer)


def _send_once(store: Transport, call: Call) -> None:
    """A store takes each file once: that it has it is what a repetition hears, when the first answer was lost."""
    try:
        store.send(call)
    except APIError as error:
        if error.status != HAS_IT:
            raise


def _all_of(sending: Sequence[Future[None]]) -> None:
    """Raises the first error of any, and begins no more then."""
    try:
        wait(sending, return_when=FIRST_EXCEPTION)
        for each in sending:
            if each.done():
                each.result()
    finally:
        for each in sending:
            each.cancel()


def _described(part: FilePart) -> dict[str, Any]:
    return {"name": part.name, "size": part.size, "content_type": _media_type(part)}


def _media_type(part: FilePart) -> str:
    name = part.path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return "application/gzip"
    guessed = mimetypes.guess_type(name)[0]
    if guessed in ("application/zip", "application/x-tar") or (guessed or "").startswith("image/"):
        return str(guessed)
    told_by_name = part.path.suffix.lower() in IMAGE_SUFFIXES or is_film_name(name)
    return "application/octet-stream" if told_by_name else "image/x-unknown"
