"""Rows of what was asked with keys: `jobs.tenants.ports.UsageRepository`."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from jobs.tenants.ports import Use
from storage.repositories.upsert import insert_for
from storage.tables import JOB, UsageRow
from storage.transaction import Transaction


class SqlUsage:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, credential_id: str, kind: str, amount: int, *, period_s: int) -> Use:
        at = self._transaction
        is_over = UsageRow.began_at <= at.now - timedelta(seconds=period_s)
        values = {"credential": credential_id, "kind": kind, "tenant": at.owner, "began_at": at.now, "used": amount}
        counted = {
            "used": case((is_over, amount), else_=UsageRow.used + amount),
            "began_at": case((is_over, at.now), else_=UsageRow.began_at),
        }
        statement = (
            insert_for(at, UsageRow)
            .values(**values)
            .on_conflict_do_update(index_elements=["credential", "kind"], set_=counted)
            .returning(UsageRow.used, UsageRow.began_at)
        )
        used, began_at = at.write(statement).one()
        return Use(used, self._left_s(began_at, period_s))

    def so_far(self, credential_id: str, kind: str, *, period_s: int) -> Use:
        mine = (UsageRow.credential == credential_id, UsageRow.kind == kind)
        row = self._transaction.read(select(UsageRow.used, UsageRow.began_at).where(*mine)).first()
        left_s = 0.0 if row is None else self._left_s(row.began_at, period_s)
        return Use(row.used, left_s) if row is not None and left_s > 0 else Use(0, 0.0)

    def queued(self, credential_id: str) -> int:
        waiting = select(func.coalesce(func.sum(JOB.queued), 0)).where(
            JOB.credential == credential_id, JOB.finished_at.is_(None), JOB.is_deleted.is_(False)
        )
        return int(self._transaction.read(waiting).scalar_one())

    def _left_s(self, began_at: datetime, period_s: int) -> float:
        return period_s - (self._transaction.now - began_at).total_seconds()
