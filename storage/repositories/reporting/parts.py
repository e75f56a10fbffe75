"""Rows of kept parts of archives: `jobs.reporting.kept_parts.PartRepository`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, or_, select

from jobs.job import ImageStatus
from storage.ledger import is_in
from storage.repositories.upsert import insert_for
from storage.scope import Prepared
from storage.tables import IMAGE, JOB, JOBS, PART, PARTS, ArchivePartRow
from storage.transaction import Transaction

_UNENDED = Prepared(
    select(IMAGE["index"])
    .where(IMAGE.job_id == bindparam("job"), IMAGE["index"].between(bindparam("first"), bindparam("last")))
    .where(or_(is_in(ImageStatus.QUEUED), is_in(ImageStatus.RUNNING)))
    .limit(1)
)


class SqlParts:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def of(self, job_id: str) -> Mapping[int, bytes | None]:
        found = self._transaction.read(select(PARTS).where(PART.job_id == job_id))
        return {row.first: row.content for row in found}

    def firsts(self, job_id: str) -> frozenset[int]:
        return frozenset(self._transaction.read(select(PART.first).where(PART.job_id == job_id)).scalars())

    def is_ripe(self, job_id: str, first: int, last: int) -> bool:
        return self._transaction.look_up(_UNENDED, job=job_id, first=first, last=last).first() is None

    def keep(self, job_id: str, first: int, content: bytes | None) -> None:
        if self._is_there(job_id):
            statement = insert_for(self._transaction.dialect, ArchivePartRow)
            values = {"job_id": job_id, "first": first, "content": content}
            self._transaction.write(statement.values(values).on_conflict_do_nothing())

    def forget(self, job_id: str, first: int) -> None:
        if self._is_there(job_id):
            statement = insert_for(self._transaction.dialect, ArchivePartRow)
            values = {"job_id": job_id, "first": first, "content": None}
            place = [PART.job_id, PART.first]
            self._transaction.write(
                statement.values(values).on_conflict_do_update(index_elements=place, set_={"content": None})
            )

    def _is_there(self, job_id: str) -> bool:
        """Its row is locked until the end."""
        found = self._transaction.write(select(JOBS.c.id).where(JOB.id == job_id).with_for_update()).first()
        return found is not None
