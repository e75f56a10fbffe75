"""Rows of idempotency keys: `jobs.ports.IdempotencyRepository`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update

from jobs.ports import IdempotencyRecord
from storage.repositories.upsert import insert_for
from storage.rows import storable
from storage.tables import IdempotencyRow
from storage.transaction import Transaction


class SqlIdempotency:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def begin(self, key: str, *, now: datetime) -> IdempotencyRecord | None:
        statement = (
            insert_for(self._transaction, IdempotencyRow)
            .values(key=storable(key), created_at=now)
            .on_conflict_do_nothing(index_elements=["key"])
            .returning(IdempotencyRow.key)
        )
        while self._transaction.writing.execute(statement).first() is None:
            found = self._find(key)
            if found is not None:
                return found
            # The first request gave the key up in between: it can be had again.
        return None

    def renew(self, key: str, *, now: datetime) -> None:
        unfinished = (IdempotencyRow.key == storable(key)) & IdempotencyRow.job_id.is_(None)
        self._transaction.writing.execute(update(IdempotencyRow).where(unfinished).values(created_at=now))

    def complete(self, key: str, *, fingerprint: str, job_id: str) -> None:
        statement = update(IdempotencyRow).where(IdempotencyRow.key == storable(key))
        self._transaction.writing.execute(statement.values(fingerprint=fingerprint, job_id=job_id))

    def abandon(self, key: str) -> None:
        self._transaction.writing.execute(delete(IdempotencyRow).where(IdempotencyRow.key == storable(key)))

    def forget(self, *, before: datetime) -> None:
        self._transaction.writing.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < before))

    def _find(self, key: str) -> IdempotencyRecord | None:
        statement = select(IdempotencyRow).where(IdempotencyRow.key == storable(key))
        row = self._transaction.reading.execute(statement).first()
        if row is None:
            return None
        return IdempotencyRecord(key=key, fingerprint=row.fingerprint, job_id=row.job_id, created_at=row.created_at)
