"""Rows of idempotency keys: `jobs.submitting.idempotency.IdempotencyRepository`."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select, update

from jobs.errors import IdempotencyKeyLost
from jobs.submitting.idempotency import IdempotencyRecord
from storage.repositories.upsert import insert_for
from storage.rows import storable
from storage.tables import IdempotencyRow
from storage.transaction import Transaction


class SqlIdempotency:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def begin(self, idempotency_key: str, *, holder: str, patience_s: float) -> IdempotencyRecord | None:
        at = self._transaction
        values = {"tenant": at.owner, "key": storable(idempotency_key), "holder": holder}
        statement = (
            insert_for(at.dialect, IdempotencyRow)
            .values(**values, created_at=at.now)
            .on_conflict_do_nothing(index_elements=["tenant", "key"])
            .returning(IdempotencyRow.key)
        )
        while at.write(statement).first() is None:
            if self._takes_over(idempotency_key, holder, patience_s):
                return None
            found = self._find(idempotency_key)
            if found is not None:
                return found
            # The first request gave the key up in between: it can be had again.
        return None

    def renew(self, idempotency_key: str, *, holder: str) -> None:
        mine = update(IdempotencyRow).where(*self._is_held(idempotency_key, holder))
        self._transaction.write(mine.values(created_at=self._transaction.now))

    def complete(self, idempotency_key: str, *, holder: str, fingerprint: str, job_id: str) -> None:
        mine = update(IdempotencyRow).where(*self._is_held(idempotency_key, holder))
        ended = self._transaction.write(mine.values(fingerprint=fingerprint, job_id=job_id))
        if not ended.rowcount:
            raise IdempotencyKeyLost("another request with this key came while this one stood still")

    def abandon(self, idempotency_key: str, *, holder: str) -> None:
        self._transaction.write(delete(IdempotencyRow).where(*self._is_held(idempotency_key, holder)))

    def forget(self, *, older_than_s: float) -> None:
        before = self._transaction.now - timedelta(seconds=older_than_s)
        self._transaction.write(delete(IdempotencyRow).where(IdempotencyRow.created_at < before))

    def _takes_over(self, idempotency_key: str, holder: str, patience_s: float) -> bool:
        now = self._transaction.now
        silent = IdempotencyRow.created_at < now - timedelta(seconds=patience_s)
        statement = update(IdempotencyRow).where(*self._is(idempotency_key), IdempotencyRow.job_id.is_(None), silent)
        return self._transaction.write(statement.values(holder=holder, created_at=now)).rowcount > 0

    def _find(self, idempotency_key: str) -> IdempotencyRecord | None:
        row = self._transaction.read(select(IdempotencyRow).where(*self._is(idempotency_key))).first()
        return None if row is None else IdempotencyRecord(fingerprint=row.fingerprint, job_id=row.job_id)

    def _is(self, idempotency_key: str) -> list[ColumnElement[bool]]:
        return [IdempotencyRow.tenant == self._transaction.owner, IdempotencyRow.key == storable(idempotency_key)]

    def _is_held(self, idempotency_key: str, holder: str) -> list[ColumnElement[bool]]:
        held = [IdempotencyRow.holder == holder, IdempotencyRow.job_id.is_(None)]
        return [*self._is(idempotency_key), *held]
