"""What a tenant asks of its webhooks: where they go, its secret, what was sent, and that it is sent again.

Called by the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

from jobs.callers import DEFAULT, Caller
from jobs.deliveries.delivery import Delivery
from jobs.deliveries.endpoint import Endpoint, refuse_private
from jobs.deliveries.message import ping
from jobs.deliveries.ports import TenantWebhooks
from jobs.deliveries.signing import Secrets, new_secret
from jobs.errors import QueueUnavailable, WebhookNotFound
from jobs.ports import Dispatcher, OpenUnit, UnitOfWork


@dataclass(frozen=True, slots=True)
class Webhooks:
    """private_allowed: whether receivers may stand in private networks."""

    open_unit: OpenUnit
    dispatcher: Dispatcher
    private_allowed: bool = False
    caller: Caller = DEFAULT

    def default(self) -> TenantWebhooks:
        """With the endpoint of jobs that name none. Raises WebhookNotFound when there is none."""
        with self._unit() as unit:
            found = unit.webhooks.find(self.caller.tenant)
        if found is None or found.endpoint is None:
            raise WebhookNotFound("no default webhook is set")
        return found

    def set_default(self, endpoint: Endpoint) -> TenantWebhooks:
        """For jobs that are submitted from now on. Raises InvalidOptions."""
        refuse_private(endpoint, allowed=self.private_allowed)
        return self._change(endpoint)

    def remove_default(self) -> None:
        self._change(None)

    def secrets(self) -> Secrets:
        """Made when they are first asked for, or first needed."""
        with self._unit() as unit:
            found = unit.webhooks.lock(self.caller.tenant)
            unit.commit()
        return found.secrets

    def rotate(self) -> Secrets:
        with self._unit() as unit:
            found = unit.webhooks.lock(self.caller.tenant)
            after = replace(found, secrets=found.secrets.rotated(new_secret(), now=unit.now))
            unit.webhooks.put(self.caller.tenant, after)
            unit.commit()
        return after.secrets

    def deliveries(self, job_id: str, *, limit: int, after: int = 0) -> Sequence[Delivery]:
        """Of a job, in order. Raises JobNotFound."""
        with self._unit() as unit:
            return unit.deliveries.page(job_id, limit=limit, after=after)

    def redeliver(self, delivery_id: str) -> Delivery:
        """Send once more what was sent, or at once what waits. Raises DeliveryNotFound."""
        with self._unit() as unit:
            delivery = unit.deliveries.redeliver(delivery_id)
            unit.commit()
        self._call()
        return delivery

    def ping(self, endpoint: Endpoint) -> Delivery:
        """Raises InvalidOptions. What comes of it, `delivery` tells; then it is to be forgotten."""
        refuse_private(endpoint, allowed=self.private_allowed)
        with self._unit() as unit:
            delivery = ping(self.caller.tenant, endpoint, now=unit.now)
            unit.deliveries.add(delivery)
            unit.commit()
        self._call()
        return delivery

    def delivery(self, delivery_id: str) -> Delivery:
        """Raises DeliveryNotFound."""
        with self._unit() as unit:
            return unit.deliveries.get(delivery_id)

    def forget(self, delivery_id: str) -> None:
        with self._unit() as unit:
            unit.deliveries.remove(delivery_id)
            unit.commit()

    def _change(self, endpoint: Endpoint | None) -> TenantWebhooks:
        with self._unit() as unit:
            found = unit.webhooks.lock(self.caller.tenant)
            after = replace(found, endpoint=endpoint, gone_at=None)
            unit.webhooks.put(self.caller.tenant, after)
            unit.commit()
        return after

    def _call(self) -> None:
        """A queue that is away costs a second: the process that sends looks into the database by itself."""
        with suppress(QueueUnavailable):
            self.dispatcher.call_webhooks()

    def _unit(self) -> AbstractContextManager[UnitOfWork]:
        return self.open_unit(self.caller.tenant)
