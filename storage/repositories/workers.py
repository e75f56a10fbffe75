"""Rows of workers: `jobs.ports.WorkerRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from jobs.ports import WorkerBeat
from storage.repositories.upsert import insert_for
from storage.tables import WorkerRow
from storage.transaction import Transaction


class SqlWorkers:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def beat(self, beat: WorkerBeat) -> None:
        values = {"device": beat.device, "models": list(beat.models), "beat_at": beat.beat_at}
        statement = insert_for(self._transaction, WorkerRow).values(name=beat.name, **values)
        self._transaction.writing.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    def alive(self, *, since: datetime) -> Sequence[WorkerBeat]:
        statement = select(WorkerRow).where(WorkerRow.beat_at >= since).order_by(WorkerRow.name)
        return [
            WorkerBeat(name=row.name, device=row.device, models=tuple(row.models), beat_at=row.beat_at)
            for row in self._transaction.reading.execute(statement)
        ]

    def forget(self, *, before: datetime) -> None:
        self._transaction.writing.execute(delete(WorkerRow).where(WorkerRow.beat_at < before))
