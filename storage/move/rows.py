"""Rows of all tables, from one database to another, as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, Table, insert, or_, select

from storage.tables import IMAGES, JOB, JOBS, Base, DraftRow, UploadRow, WorkerRow

BATCH = 1000
# Requests that nobody is sending any more, and workers that run no more: they go with the processes.
LEFT_BEHIND = frozenset({DraftRow.__tablename__, WorkerRow.__tablename__})
_DELETED = select(JOB.id).where(JOB.is_deleted)


def first_used(connection: Connection) -> str | None:
    """The name of a table that has rows; None where there is nothing yet."""
    for table in _tables():
        if connection.execute(select(1).select_from(table).limit(1)).first() is not None:
            return table.name
    return None


def prefixes(connection: Connection) -> Iterator[str]:
    """Below which the objects of all jobs and uploads lie."""
    of_jobs = select(JOB.prefix).where(~JOB.is_deleted).order_by(JOB.id).execution_options(yield_per=BATCH)
    yield from connection.execute(of_jobs).scalars()
    upload = UploadRow.__table__.c
    for tenant in connection.execute(select(upload.tenant).distinct().order_by(upload.tenant)).scalars():
        yield f"{tenant}/uploads/"


def copy_rows(source: Connection, target: Connection) -> Mapping[str, int]:
    """How many of each table. Deleted jobs, whose objects have still to go, are left behind."""
    counts: dict[str, int] = {}
    for table in _tables():
        counts[table.name] = 0
        found = source.execute(_kept(table).execution_options(yield_per=BATCH)).mappings()
        rows = (_moved(table, dict(row)) for row in found)
        while batch := list(islice(rows, BATCH)):
            target.execute(insert(table), batch)
            counts[table.name] += len(batch)
    return counts


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_BEHIND]


def _kept(table: Table) -> Select[Any]:
    if table is JOBS:
        return select(table).where(~table.c.is_deleted)
    if "job_id" not in table.c:
        return select(table)
    return select(table).where(or_(table.c.job_id.is_(None), table.c.job_id.not_in(_DELETED)))


def _moved(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Messages of the old broker reach nobody: upkeep sends what waits at once."""
    return {**row, "sent_at": None} if table is IMAGES and row["status"] == "queued" else row
