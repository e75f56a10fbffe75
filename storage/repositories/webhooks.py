"""Rows of what tenants chose for their webhooks: `jobs.deliveries.ports.WebhookRepository`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update

from jobs.deliveries.endpoint import Endpoint
from jobs.deliveries.ports import TenantWebhooks
from jobs.deliveries.signing import Secrets, new_secret
from storage.repositories.upsert import insert_for
from storage.scope import Prepared
from storage.tables import WebhookRow
from storage.transaction import Transaction


class SqlWebhooks:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def find(self, tenant: str) -> TenantWebhooks | None:
        row = self._transaction.look_up(_OF_ONE, whose=tenant).first()
        return None if row is None else _to_webhooks(row)

    def lock(self, tenant: str) -> TenantWebhooks:
        if not self._transaction.owns(tenant):
            raise ValueError(f"the webhooks of {tenant} are another tenant's")
        made = insert_for(self._transaction.dialect, WebhookRow).values(
            tenant=tenant, secret=new_secret(), secret_made_at=self._transaction.now
        )
        self._transaction.write(made.on_conflict_do_nothing(index_elements=["tenant"]))
        locked = _OF_ALL.where(WebhookRow.tenant == tenant).with_for_update()
        return _to_webhooks(self._transaction.write(locked).one())

    def put(self, tenant: str, webhooks: TenantWebhooks) -> None:
        secrets, endpoint = webhooks.secrets, webhooks.endpoint
        values = {
            "secret": secrets.current,
            "secret_made_at": secrets.made_at,
            "previous_secret": secrets.previous,
            "previous_until": secrets.previous_until,
            "url": None if endpoint is None else endpoint.url,
            "events": None if endpoint is None else list(endpoint.events),
            "gone_at": webhooks.gone_at,
        }
        self._transaction.write(update(WebhookRow).where(WebhookRow.tenant == tenant).values(values))


_OF_ALL = select(WebhookRow.__table__)
_OF_ONE = Prepared(_OF_ALL.where(WebhookRow.tenant == bindparam("whose")))


def _to_webhooks(row: Any) -> TenantWebhooks:
    secrets = Secrets(
        current=row.secret,
        made_at=row.secret_made_at,
        previous=row.previous_secret,
        previous_until=row.previous_until,
    )
    endpoint = None if row.url is None else Endpoint(url=row.url, events=tuple(row.events))
    return TenantWebhooks(secrets=secrets, endpoint=endpoint, gone_at=row.gone_at)
