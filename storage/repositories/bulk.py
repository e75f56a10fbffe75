"""Insert a job's images in bulk: a hundred thousand rows in about a second, from an iterator, in bounded memory.

Past SQLAlchemy, whose work per row would take longer than the database's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection

from jobs.job import ImageStatus, Job, NewImage
from storage.rows import storable
from storage.tables import JobImageRow
from storage.transaction import Transaction

CHUNK = 500  # rows per statement
OWN = (
    *("index", "name", "ref", "source_kind", "source_location", "mask_kind", "mask_location"),
    *("input_sha256", "mask_sha256"),
)

Record = tuple[str | int | None, ...]


def insert_images(transaction: Transaction, job: Job, images: Iterable[NewImage]) -> int:
    """Images that nobody has touched yet; the columns that are not named stay empty. Returns how many there were."""
    connection = transaction.writing
    if transaction.dialect == "sqlite":
        return _insert_many(connection, job, images)
    return _copy(connection, job, images)


def _insert_many(connection: Connection, job: Job, images: Iterable[NewImage]) -> int:
    shared = _shared(job)
    stored = JobImageRow.__table__.c.sent_at.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    assert stored is not None  # SQLite keeps a time as text
    shared["sent_at"] = stored(job.created_at)
    columns = _columns(connection, shared)
    row = f"({', '.join([*(f'?{number}' for number in range(1, len(shared) + 1)), *'?' * len(OWN)])})"
    records = _records(images)
    added = 0
    while chunk := list(islice(records, CHUNK)):
        statement = f"INSERT INTO {columns} VALUES {', '.join([row] * len(chunk))}"  # noqa: S608 only our own names
        connection.exec_driver_sql(statement, (*shared.values(), *chain.from_iterable(chunk)))
        added += len(chunk)
    return added


def _copy(connection: Connection, job: Job, images: Iterable[NewImage]) -> int:
    driver = connection.connection.driver_connection
    assert driver is not None  # it is connected
    shared = _shared(job)
    first = tuple(shared.values())
    added = 0
    with driver.cursor() as cursor, cursor.copy(f"COPY {_columns(connection, shared)} FROM STDIN") as copy:
        for record in _records(images):
            copy.write_row(first + record)
            added += 1
    return added


def _columns(connection: Connection, shared: Iterable[str]) -> str:
    """The table with the names of what is inserted, the shared ones first."""
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(JobImageRow.__tablename__)} ({', '.join(map(quote, [*shared, *OWN]))})"


def _shared(job: Job) -> dict[str, Any]:
    """Columns that are the same for all new images of a job."""
    return {
        "job_id": job.id,
        "status": ImageStatus.QUEUED.value,
        "attempt": 0,
        "lost": 0,
        "sent_at": job.created_at,
    }


def _records(images: Iterable[NewImage]) -> Iterator[Record]:
    """In the order of OWN."""
    for index, (source, name, ref, mask, input_sha256, mask_sha256) in enumerate(images):
        yield (
            index,
            storable(name),
            None if ref is None else storable(ref),
            source.kind.value,
            storable(source.location),
            None if mask is None else mask.kind.value,
            None if mask is None else storable(mask.location),
            input_sha256,
            mask_sha256,
        )
