"""Rows of drafts: `jobs.ports.DraftRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select

from storage.tables import DraftRow
from storage.transaction import Transaction


class SqlDrafts:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def open(self, job_id: str, *, now: datetime) -> None:
        self._transaction.writing.execute(insert(DraftRow).values(job_id=job_id, opened_at=now))

    def close(self, job_id: str) -> None:
        self._transaction.writing.execute(delete(DraftRow).where(DraftRow.job_id == job_id))

    def stale(self, *, before: datetime, limit: int) -> Sequence[str]:
        statement = select(DraftRow.job_id).where(DraftRow.opened_at < before).order_by(DraftRow.opened_at)
        return self._transaction.reading.execute(statement.limit(limit)).scalars().all()
