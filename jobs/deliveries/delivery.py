"""What is owed to a receiver: one message about a job, from the change that causes it to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

RESPONSE_BYTES = 1024  # of a receiver's answer that are kept


class DeliveryStatus(StrEnum):
    PENDING = "pending"  # waits for a try, or for what is owed of the same job before it
    DELIVERED = "delivered"  # answered with 2xx
    EXHAUSTED = "exhausted"  # every try was in vain
    GONE = "gone"  # the receiver said 410: it wants nothing more


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back from one try. status_code None: no answer, and `error` says why.

    response: the first RESPONSE_BYTES of the body as text. retry_after_s: as the receiver asked for.
    """

    status_code: int | None = None
    error: str | None = None
    response: str = ""
    retry_after_s: float | None = None
    duration_ms: float = 0.0

    @property
    def is_accepted(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try, as it is shown to whom it concerns."""

    at: datetime
    status_code: int | None
    error: str | None
    response: str
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """job_id None: a ping, which is tried once. version: of the job when it changed; the order among its deliveries.

    body: JSON, as it is signed and sent, the same in every try. tries: that ended, since it was first owed or last
    asked for again. due_at: of the next one; None when it has ended. claims: how often a process took it to send it;
    the number of the last one is what a late writer is fenced off with. lease_until: how long that process has it.
    log: the latest tries, oldest first. origin: of one that was claimed, what its job came from: a request, a trace.
    """

    id: str
    tenant: str
    job_id: str | None
    version: int
    event: str
    url: str
    body: str
    created_at: datetime
    due_at: datetime | None
    status: DeliveryStatus = DeliveryStatus.PENDING
    tries: int = 0
    claims: int = 0
    lease_until: datetime | None = None
    log: tuple[Try, ...] = ()
    ended_at: datetime | None = None
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """pending: deliveries that have not ended. oldest_s: how long ago the oldest of them was owed; 0 without any."""

    pending: int = 0
    oldest_s: float = 0.0
