"""Deliveries and what tenants chose for their webhooks, of the database in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from jobs.deliveries import schedule
from jobs.deliveries.delivery import Backlog, Delivery, DeliveryStatus
from jobs.deliveries.endpoint import host_of
from jobs.deliveries.ports import AtOnce, TenantWebhooks
from jobs.deliveries.signing import Secrets, new_secret
from jobs.errors import DeliveryNotFound, JobNotFound
from tests.memory_state import State, View

PENDING = DeliveryStatus.PENDING


def forget_deliveries(state: State, job_id: str) -> None:
    for name in [name for name, each in state.deliveries.items() if each.job_id == job_id]:
        del state.deliveries[name]


class MemoryDeliveries:
    def __init__(self, view: View) -> None:
        self._view = view
        self._rows = view.state.deliveries

    def add(self, delivery: Delivery) -> bool:
        return self._view.owe(delivery)

    def get(self, delivery_id: str) -> Delivery:
        if delivery_id not in self._rows:
            raise DeliveryNotFound(f"there is no delivery {delivery_id}")
        return self._rows[delivery_id]

    def page(self, job_id: str, *, limit: int, after: int = 0) -> Sequence[Delivery]:
        if job_id in self._view.state.hidden or job_id not in self._view.state.jobs:
            raise JobNotFound(f"there is no job {job_id}")
        found = [each for each in self._rows.values() if each.job_id == job_id and each.version > after]
        return sorted(found, key=lambda each: each.version)[:limit]

    def claim(self, *, limit: int, at_once: AtOnce, lease_s: float) -> Sequence[Delivery]:
        until = self._view.now + timedelta(seconds=lease_s)
        sent = Counter(_place(each) for each in self._rows.values() if self._is_held(each))
        busy = Counter(each.tenant for each in self._rows.values() if self._is_held(each))
        failing = {_place(each) for each in self._rows.values() if each.status is PENDING and each.tries}
        fitting: list[Delivery] = []
        for each in sorted(
            filter(self._may_go, self._rows.values()), key=lambda each: (each.job_id is not None, _due(each))
        ):
            of_host = 1 if _place(each) in failing else at_once.per_host
            if sent[_place(each)] < of_host or each.job_id is None:
                sent[_place(each)] += 1
                busy[each.tenant] += 1  # the place in the tenant's row is taken even where the row is too long
                if busy[each.tenant] <= at_once.per_tenant:
                    fitting.append(each)
        taken = [
            replace(each, claims=each.claims + 1, lease_until=until, origin=self._origin(each))
            for each in sorted(fitting, key=_due)[:limit]
        ]
        self._rows.update({each.id: each for each in taken})
        return taken

    def end_try(self, delivery: Delivery) -> bool:
        found = self._rows.get(delivery.id)
        if found is None or found.status is not PENDING or found.lease_until is None:
            return False
        if found.claims != delivery.claims:
            return False
        self._rows[delivery.id] = delivery
        if delivery.status is DeliveryStatus.GONE:
            self._give_up(delivery)
        return True

    def redeliver(self, delivery_id: str) -> Delivery:
        wanted = self._rows[delivery_id] = schedule.again(self.get(delivery_id), now=self._view.now)
        for each in list(self._rows.values()):
            if each.status is PENDING and each.job_id == wanted.job_id and each.version < wanted.version:
                self._rows[each.id] = schedule.again(each, now=self._view.now)
        return wanted

    def remove(self, delivery_id: str) -> None:
        self._rows.pop(delivery_id, None)

    def forget_pings(self, *, older_than_s: float) -> None:
        before = self._view.now - timedelta(seconds=older_than_s)
        for name in [name for name, each in self._rows.items() if each.job_id is None and each.created_at < before]:
            del self._rows[name]

    def backlog(self) -> Backlog:
        owed = [each.created_at for each in self._rows.values() if each.status is PENDING]
        oldest_s = max(((self._view.now - at).total_seconds() for at in owed), default=0.0)
        return Backlog(pending=len(owed), oldest_s=max(0.0, oldest_s))

    def _give_up(self, gone: Delivery) -> None:
        for each in list(self._rows.values()):
            if each.status is PENDING and each.job_id and (each.tenant, each.url) == (gone.tenant, gone.url):
                self._rows[each.id] = replace(
                    each, status=DeliveryStatus.GONE, due_at=None, lease_until=None, ended_at=gone.ended_at
                )

    def _origin(self, each: Delivery) -> Mapping[str, str]:
        return {} if each.job_id is None else self._view.state.origins.get(each.job_id, {})

    def _is_held(self, each: Delivery) -> bool:
        return each.status is PENDING and each.lease_until is not None and each.lease_until > self._view.now

    def _may_go(self, each: Delivery) -> bool:
        if each.status is not PENDING or self._is_held(each) or each.due_at is None or each.due_at > self._view.now:
            return False
        return each.job_id is None or not any(
            other.job_id == each.job_id and other.status is PENDING and other.version < each.version
            for other in self._rows.values()
        )


def _due(delivery: Delivery) -> tuple[str, str]:
    return str(delivery.due_at), delivery.id


def _place(delivery: Delivery) -> tuple[str, str]:
    return delivery.tenant, host_of(delivery.url)


class MemoryWebhooks:
    def __init__(self, view: View) -> None:
        self._view = view
        self._rows = view.state.webhooks

    def find(self, tenant: str) -> TenantWebhooks | None:
        return self._rows.get(tenant)

    def lock(self, tenant: str) -> TenantWebhooks:
        if self._view.tenant not in (None, tenant):
            raise ValueError("another tenant's webhooks")
        made = TenantWebhooks(secrets=Secrets(current=new_secret(), made_at=self._view.now))
        return self._rows.setdefault(tenant, made)

    def put(self, tenant: str, webhooks: TenantWebhooks) -> None:
        if tenant in self._rows:
            self._rows[tenant] = webhooks
