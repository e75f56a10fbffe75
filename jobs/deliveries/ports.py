"""What webhooks need from outside. An adapter keeps the promises written here; contract tests hold it to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.deliveries.delivery import Backlog, Delivery, Reply
from jobs.deliveries.endpoint import Endpoint
from jobs.deliveries.signing import Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """How much of a tenant's is sent at the same time, over all processes: to one host, and to all."""

    per_host: int = 4
    per_tenant: int = 16


class DeliveryRepository(Protocol):
    """Rows of deliveries. They come with a change of their job and go with it."""

    def add(self, delivery: Delivery) -> bool:
        """False, and nothing is written, when the job's receiver said that it wants nothing more, or when it is owed an
        earlier progress of the same job still: one that was away is not told of every step that it missed."""

    def get(self, delivery_id: str) -> Delivery:
        """Raises DeliveryNotFound."""

    def page(self, job_id: str, *, limit: int, after: int = 0) -> Sequence[Delivery]:
        """In order; `after`: those of later versions of the job alone. Raises JobNotFound."""

    def claim(self, *, limit: int, at_once: AtOnce, lease_s: float) -> Sequence[Delivery]:
        """Take what is due, the longest due first, claims + 1.

        They are given with their origins. Of a job only the first that is still owed. Of a tenant never more at a time
        than `at_once` says, those that other processes have among them, and to a host never more than one where a try
        was in vain: receivers that do not answer must not hold up the others, nor whoever has many of them the other
        tenants. A ping, which tells what is wrong with a receiver, waits for nothing else that goes to its host.
        """

    def end_try(self, delivery: Delivery) -> bool:
        """Write a claimed delivery as it is after its try. False, and nothing is written, when another claim, or none,
        counts by now. When its receiver is gone, so is what else is owed to the same address by the same tenant."""

    def redeliver(self, delivery_id: str) -> Delivery:
        """As `schedule.again` says; so is what waits of the same job before it, which has to go first. Raises
        DeliveryNotFound."""

    def remove(self, delivery_id: str) -> None:
        """Nothing happens when it is gone."""

    def forget_pings(self, *, older_than_s: float) -> None: ...

    def backlog(self) -> Backlog: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantWebhooks:
    """What a tenant chose. endpoint: of jobs that name none. gone_at: when it answered 410."""

    secrets: Secrets
    endpoint: Endpoint | None = None
    gone_at: datetime | None = None

    @property
    def default(self) -> Endpoint | None:
        """Of jobs that are submitted now."""
        return self.endpoint if self.gone_at is None else None


class WebhookRepository(Protocol):
    """A row for each tenant that has anything to do with webhooks."""

    def find(self, tenant: str) -> TenantWebhooks | None: ...

    def lock(self, tenant: str) -> TenantWebhooks:
        """With a new secret when it had none. Nobody else changes it until the end of the transaction."""

    def put(self, tenant: str, webhooks: TenantWebhooks) -> None:
        """Of one that was locked."""


class Sender(Protocol):
    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One POST, and what came back; a redirect is not followed. Raises nothing: that nobody answers is a reply."""
