"""Rows of drafts: `jobs.ports.DraftRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import bindparam, delete, insert, select

from jobs.ports import Remains
from storage.scope import Prepared
from storage.tables import DraftRow
from storage.transaction import Transaction

_OPEN = Prepared(insert(DraftRow.__table__))  # type: ignore[arg-type]
_CLOSE = Prepared(delete(DraftRow).where(DraftRow.job_id == bindparam("job")))


class SqlDrafts:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def open(self, job_id: str, *, prefix: str) -> None:
        at = self._transaction
        at.carry_out(_OPEN, job_id=job_id, tenant=at.owner, prefix=prefix, opened_at=at.now)

    def close(self, job_id: str) -> None:
        self._transaction.carry_out(_CLOSE, job=job_id)

    def stale(self, *, older_than_s: float, limit: int, after: str = "") -> Sequence[Remains]:
        before = self._transaction.now - timedelta(seconds=older_than_s)
        statement = select(DraftRow.job_id, DraftRow.prefix).where(DraftRow.opened_at < before, DraftRow.job_id > after)
        found = self._transaction.read(statement.order_by(DraftRow.job_id).limit(limit))
        return [Remains(job_id, prefix) for job_id, prefix in found]
