"""One transaction on one connection: how each database takes a lock for writing, and what time it says it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, func, select
from sqlalchemy.sql import Executable

from jobs.callers import DEFAULT_TENANT
from jobs.watching.hints import Hint
from storage.scope import Prepared, scoped

BEGIN = "sqlite_begin"  # of a connection's `info`: how its next transaction starts, where it is to write

Clock = Callable[[], datetime]
Answer = CursorResult[*tuple[Any, ...]]


class Transaction:
    """Begins with its first statement, and sees the rows of `tenant` alone; of everybody when there is none.

    PostgreSQL: READ COMMITTED; a job's row is locked before anything of the job changes.
    SQLite: reading takes a snapshot; writing needs BEGIN IMMEDIATE, because a snapshot that another writer has
    overtaken can no longer be written from. So the first write ends a reading transaction and begins anew: what was
    read before may have changed, exactly as under READ COMMITTED.
    """

    def __init__(self, connection: Connection, *, tenant: str | None = None, clock: Clock | None = None) -> None:
        """clock: None asks PostgreSQL, and for a SQLite file the host, which is the only one that has it."""
        self._connection = connection
        self._tenant = tenant
        self._clock = clock
        self._now: datetime | None = None
        self._writes = False
        self._changed: set[str] = set()
        self._ended: set[str] = set()
        self._owes = False
        self.dialect = connection.dialect.name

    @property
    def owner(self) -> str:
        """Whose rows are made here."""
        return self._tenant or DEFAULT_TENANT

    @property
    def now(self) -> datetime:
        """Asked once: all that happens in one transaction happens at one time."""
        if self._now is None:
            self._now = self._ask()
        return self._now

    def read(self, statement: Executable) -> Answer:
        return self._connection.execute(scoped(statement, self._tenant))

    def look_up(self, statement: Prepared, **values: Any) -> Answer:
        """As `read`."""
        return self._connection.execute(*statement.given(self._tenant, values))

    def carry_out(self, statement: Prepared, **values: Any) -> Answer:
        """As `write`."""
        return self.writing.execute(*statement.given(self._tenant, values))

    def write(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> Answer:
        """Also for what is read to be changed."""
        return self.writing.execute(scoped(statement, self._tenant), rows)

    @property
    def writing(self) -> Connection:
        """For bulk inserts, whose rows say themselves whose they are."""
        if not self._writes:
            self._writes = True
            if self.dialect == "sqlite":
                self._connection.rollback()  # nothing was written yet
                self._connection.info[BEGIN] = "BEGIN IMMEDIATE"
        return self._connection

    def owns(self, tenant: str) -> bool:
        return self._tenant in (None, tenant)

    def note_change(self, job_id: str, *, ended: bool = False, owes: bool = False) -> None:
        """This job will differ for whoever looks at it after the commit. See `Hint`."""
        self._changed.add(job_id)
        self._owes = self._owes or owes
        if ended:
            self._ended.add(job_id)

    def commit(self) -> Hint | None:
        """Returns what it changed; None where no job did."""
        self._connection.commit()
        self._writes = False
        self._now = None
        if not self._changed:
            return None
        done = Hint(frozenset(self._changed), frozenset(self._ended), self._owes)
        self._changed, self._ended, self._owes = set(), set(), False
        return done

    def _ask(self) -> datetime:
        if self._clock is not None:
            return self._clock()
        if self.dialect == "sqlite":
            return datetime.now(UTC)
        now: datetime = self._connection.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)


def begin_as_asked(connection: Connection) -> None:
    """Start a SQLite transaction ourselves: the driver would only do so before the first INSERT, UPDATE or DELETE.

    Source: SQLAlchemy's documentation of the SQLite dialect, "Enabling Non-Legacy SQLite Transactional Modes".
    """
    driver = connection.connection.driver_connection
    assert driver is not None  # it is connected
    driver.execute(connection.info.pop(BEGIN, "BEGIN"))  # for SQLAlchemy it would be a statement
