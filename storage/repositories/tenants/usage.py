"""Rows of what was asked with keys: `jobs.tenants.ports.UsageRepository`."""

from __future__ import annotations

from sqlalchemy import func, select, update

from jobs.tenants import window
from jobs.tenants.window import Use
from storage.repositories.upsert import insert_for
from storage.tables import JOB, UsageRow
from storage.transaction import Transaction


class SqlUsage:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, credential_id: str, kind: str, amount: int, *, period_s: int) -> Use:
        at = self._transaction
        values = {"credential": credential_id, "kind": kind, "tenant": at.owner, "parts": []}
        new = insert_for(at.dialect, UsageRow).values(**values)
        locked = new.on_conflict_do_update(index_elements=["credential", "kind"], set_={"parts": UsageRow.parts})
        parts = window.add(
            at.write(locked.returning(UsageRow.parts)).scalar_one() or [], amount, at=at.now, period_s=period_s
        )
        mine = (UsageRow.credential == credential_id, UsageRow.kind == kind)
        at.write(update(UsageRow).where(*mine).values(parts=parts))
        return window.use(parts, at=at.now, period_s=period_s)

    def so_far(self, credential_id: str, kind: str, *, period_s: int) -> Use:
        mine = (UsageRow.credential == credential_id, UsageRow.kind == kind)
        parts = self._transaction.read(select(UsageRow.parts).where(*mine)).scalar()
        return window.use(parts or [], at=self._transaction.now, period_s=period_s)

    def queued(self, credential_id: str) -> int:
        waiting = select(func.coalesce(func.sum(JOB.queued), 0)).where(
            JOB.credential == credential_id, JOB.finished_at.is_(None), JOB.is_deleted.is_(False)
        )
        return int(self._transaction.read(waiting).scalar_one())
