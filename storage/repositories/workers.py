"""Rows of workers: `jobs.ports.WorkerRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select

from jobs.job import Failure
from jobs.watching.workers import FollowedModel, WorkerBeat
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
            "variants": dict(beat.variants),
            "beat_at": self._transaction.now,
        }
        statement = insert_for(self._transaction.dialect, WorkerRow).values(name=beat.name, **values)
        self._transaction.write(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    def alive(self, *, within_s: float) -> Sequence[WorkerBeat]:
        since = self._transaction.now - timedelta(seconds=within_s)
        statement = select(WorkerRow).where(WorkerRow.beat_at >= since).order_by(WorkerRow.name)
        return [
            WorkerBeat(
                name=row.name,
                device=row.device,
                models=tuple(row.models),
                variants=dict(row.variants or {}),
                followed=tuple(_to_followed(*each) for each in row.followed or ()),
            )
            for row in self._transaction.read(statement)
        ]

    def forget(self, *, older_than_s: float) -> None:
        before = self._transaction.now - timedelta(seconds=older_than_s)
        self._transaction.write(delete(WorkerRow).where(WorkerRow.beat_at < before))


def _from_followed(model: FollowedModel) -> list[str | None]:
    problem = model.problem
    return [model.name, model.version, problem.code if problem else None, problem.message if problem else None]


def _to_followed(name: str, version: str | None, code: str | None, message: str | None) -> FollowedModel:
    problem = None if code is None else Failure(code, message or "")
    return FollowedModel(name=name, version=version, problem=problem)
