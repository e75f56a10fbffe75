"""Sending one webhook over the guarded connection. Raises nothing: that nobody answers is an answer too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from jobs.deliveries.delivery import RESPONSE_BYTES, Reply
from worker.web.safe_http import Guard, NotReached, Request, ask

_HEADERS = {"Content-Type": "application/json", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Implements `jobs.deliveries.ports.Sender`. guard: its time limit is for all of a try."""

    guard: Guard
    software: str = "maskmill"

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        began = time.monotonic()
        status: int | None = None
        response, error, retry_after_s = b"", None, None
        headers = {**_HEADERS, "User-Agent": self.software, **headers}
        try:
            with ask(Request(url=url, method="POST", headers=headers, content=body), self.guard) as answer:
                status = answer.status
                retry_after_s = seconds_until(answer.header("retry-after"), now=datetime.now(UTC))
                response = answer.read(RESPONSE_BYTES)[:RESPONSE_BYTES]
        except NotReached as reason:
            error = None if status is not None else str(reason)  # a status counts, whatever becomes of the rest
        return Reply(
            status_code=status,
            error=error,
            response=response.decode("utf-8", "replace"),
            retry_after_s=retry_after_s,
            duration_ms=round((time.monotonic() - began) * 1e3, 1),
        )


def seconds_until(text: str, *, now: datetime) -> float | None:
    """What a `Retry-After` asks for: seconds, or a date. None for what is neither."""
    if text.strip().isdecimal() and len(text) < 20:
        return float(text)
    with suppress(ValueError, TypeError, OverflowError):
        at = parsedate_to_datetime(text)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    return None
