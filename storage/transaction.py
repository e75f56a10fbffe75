"""One transaction on one connection, and the knowledge of how each database takes a lock for writing."""

from __future__ import annotations

from sqlalchemy import Connection

BEGIN = "sqlite_begin"  # execution option: how the next transaction of a SQLite connection starts


class Transaction:
    """Begins with its first statement.

    PostgreSQL: READ COMMITTED; a job's row is locked before anything of the job changes.
    SQLite: reading takes a snapshot; writing needs BEGIN IMMEDIATE, because a snapshot that another writer has
    overtaken can no longer be written from. So the first write ends a reading transaction and begins anew: what was
    read before may have changed, exactly as under READ COMMITTED.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._writes = False
        self._changed: set[str] = set()
        self.dialect = connection.dialect.name

    @property
    def reading(self) -> Connection:
        return self._connection

    @property
    def writing(self) -> Connection:
        if not self._writes:
            self._writes = True
            if self.dialect == "sqlite":
                self._connection.rollback()  # nothing was written yet
                self._connection.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
        return self._connection

    def note_change(self, job_id: str) -> None:
        """This job will differ for whoever looks at it after the commit."""
        self._changed.add(job_id)

    def commit(self) -> frozenset[str]:
        """Returns the jobs that it changed."""
        self._connection.commit()
        self._writes = False
        if self.dialect == "sqlite":
            self._connection.execution_options(**{BEGIN: "BEGIN"})
        changed, self._changed = frozenset(self._changed), set()
        return changed


def begin_as_asked(connection: Connection) -> None:
    """Start a SQLite transaction ourselves: the driver would only do so before the first INSERT, UPDATE or DELETE.

    Source: SQLAlchemy's documentation of the SQLite dialect, "Enabling Non-Legacy SQLite Transactional Modes".
    """
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))
