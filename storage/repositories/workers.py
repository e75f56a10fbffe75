"""Rows of workers: `jobs.ports.WorkerRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from jobs.job import Failure
from jobs.ports import FollowedModel, WorkerBeat
from storage.repositories.upsert import insert_for
from storage.tables import WorkerRow
from storage.transaction import Transaction


class SqlWorkers:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def beat(self, beat: WorkerBeat) -> None:
        values = {
            "device": beat.device,
            "models": list(beat.models),
            "followed": [_from_followed(each) for each in beat.followed],
            "beat_at": beat.beat_at,
        }
        statement = insert_for(self._transaction, WorkerRow).values(name=beat.name, **values)
        self._transaction.writing.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    def alive(self, *, since: datetime) -> Sequence[WorkerBeat]:
        statement = select(WorkerRow).where(WorkerRow.beat_at >= since).order_by(WorkerRow.name)
        return [
            WorkerBeat(
                name=row.name,
                device=row.device,
                models=tuple(row.models),
                beat_at=row.beat_at,
                followed=tuple(_to_followed(*each) for each in row.followed or ()),
            )
            for row in self._transaction.reading.execute(statement)
        ]

    def forget(self, *, before: datetime) -> None:
        self._transaction.writing.execute(delete(WorkerRow).where(WorkerRow.beat_at < before))


def _from_followed(model: FollowedModel) -> list[str | None]:
    problem = model.problem
    return [model.name, model.version, problem.code if problem else None, problem.message if problem else None]


def _to_followed(name: str, version: str | None, code: str | None, message: str | None) -> FollowedModel:
    problem = None if code is None else Failure(code, message or "")
    return FollowedModel(name=name, version=version, problem=problem)
