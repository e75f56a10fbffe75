"""Fetching a picture from an address that a stranger chose: few redirects, limits on size and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin

from jobs.errors import DownloadFailed
from worker.web.safe_http import Answer, Guard, NotReached, Request, ask

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRYABLE = frozenset({408, 425, 429})
_HEADERS = {"Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "maskmill"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """guard: its time limit is for the whole download, redirects included."""

    max_bytes: int = 64 * 2**20
    guard: Guard = field(default_factory=Guard)


def fetch(url: str, rules: FetchRules) -> Iterator[bytes]:
    """The body of `url`, in pieces. Raises DownloadFailed, also where it turns out to be too large."""
    deadline = time.monotonic() + rules.guard.timeout_s
    try:
        for _ in range(MOST_REDIRECTS + 1):
            with ask(Request(url=url, headers=_HEADERS), rules.guard, deadline=deadline) as answer:
                if answer.status not in _REDIRECTS:
                    yield from _body(answer, rules.max_bytes)
                    return
                url = urljoin(url, answer.header("location"))
    except NotReached as error:
        raise DownloadFailed(str(error), retryable=not error.lasting) from error
    raise DownloadFailed(f"more than {MOST_REDIRECTS} redirects", retryable=False)


def _body(answer: Answer, max_bytes: int) -> Iterator[bytes]:
    if answer.status != 200:
        retryable = answer.status >= 500 or answer.status in _RETRYABLE
        raise DownloadFailed(f"the server answered {answer.status}", retryable=retryable)
    if answer.header("content-encoding", "identity").lower() != "identity":
        raise DownloadFailed("the server insists on a compressed answer", retryable=False)
    announced = answer.header("content-length", "0")
    too_large = DownloadFailed(f"the file is larger than {max_bytes} bytes", retryable=False)
    if announced.isdecimal() and len(announced) < 20 and int(announced) > max_bytes:
        raise too_large
    size = 0
    for piece in answer.pieces():
        size += len(piece)
        if size > max_bytes:
            raise too_large
        yield piece
