"""Rows of keys: `jobs.tenants.ports.CredentialRepository`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import Row, Table, func, insert, select, update

from jobs.callers import Limits
from jobs.errors import CredentialNotFound
from jobs.tenants.credentials import Credential
from storage.tables import CredentialRow
from storage.transaction import Transaction

_TABLE, _C = cast(Table, CredentialRow.__table__), CredentialRow.__table__.c


class SqlCredentials:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def exist(self) -> bool:
        return self._transaction.read(select(_C.id).limit(1)).first() is not None

    def find(self, credential_id: str) -> Credential | None:
        row = self._transaction.read(select(_TABLE).where(_C.id == credential_id)).first()
        return None if row is None else _to_credential(row)

    def several(self, credential_ids: Collection[str]) -> Mapping[str, Credential]:
        rows = self._transaction.read(select(_TABLE).where(_C.id.in_(sorted(credential_ids))))
        return {row.id: _to_credential(row) for row in rows}

    def all(self) -> Sequence[Credential]:
        rows = self._transaction.read(select(_TABLE).order_by(_C.created_at, _C.id))
        return [_to_credential(row) for row in rows]

    def add(self, credential: Credential) -> None:
        own = {"id": credential.id, "tenant": credential.tenant, "scope": credential.scope}
        made = {"digest": credential.digest, "created_at": credential.created_at}
        self._transaction.write(insert(CredentialRow).values(**own, **made, **asdict(credential.limits)))

    def revoke(self, credential_id: str) -> Credential:
        return self._change(credential_id, revoked_at=func.coalesce(_C.revoked_at, self._transaction.now))

    def limit(self, credential_id: str, limits: Limits) -> Credential:
        return self._change(credential_id, **asdict(limits))

    def _change(self, credential_id: str, **values: Any) -> Credential:
        mine = update(_TABLE).where(_C.id == credential_id).values(**values).returning(*_C)
        row = self._transaction.write(mine).first()
        if row is None:
            raise CredentialNotFound(f"there is no key {credential_id!r}")
        return _to_credential(row)


def _to_credential(row: Row[Any]) -> Credential:
    return Credential(
        id=row.id,
        tenant=row.tenant,
        scope=row.scope,
        digest=row.digest,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        limits=Limits(
            requests_per_minute=row.requests_per_minute,
            images_per_day=row.images_per_day,
            queued_images=row.queued_images,
        ),
    )
