"""The database as units of work: one connection and one transaction each. Knows engines, pools and vendors' errors."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIModule
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from jobs.errors import DatabaseUnavailable
from jobs.ports import OnCommit
from jobs.watching.hints import Hint
from storage.drivers.sqlite import sqlite
from storage.repositories import (
    SqlCorrections,
    SqlCredentials,
    SqlDeliveries,
    SqlDrafts,
    SqlIdempotency,
    SqlImages,
    SqlJobs,
    SqlKnown,
    SqlParts,
    SqlTurns,
    SqlUploads,
    SqlUsage,
    SqlWebhooks,
    SqlWorkers,
)
from storage.settings import StorageSettings
from storage.tables import CredentialRow, JobRow
from storage.transaction import Clock, Transaction

_TOO_LARGE = "54"  # begins PostgreSQL's codes of what is beyond its limits, whenever it is tried

_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

R = TypeVar("R")


class _Made(Generic[R]):
    """A repository of the unit's transaction, made when it is first asked for: most units need one of them."""

    def __init__(self, kind: Callable[[Transaction], R]) -> None:
        self._kind = kind

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    def __get__(self, unit: SqlUnitOfWork, owner: type[object]) -> R:
        made = self._kind(unit.transaction)
        unit.__dict__[self._name] = made  # found first from now on
        return made


class SqlUnitOfWork:
    """`jobs.ports.UnitOfWork`."""

    jobs = _Made(SqlJobs)
    images = _Made(SqlImages)
    parts = _Made(SqlParts)
    known = _Made(SqlKnown)
    corrections = _Made(SqlCorrections)
    drafts = _Made(SqlDrafts)
    idempotency = _Made(SqlIdempotency)
    workers = _Made(SqlWorkers)
    deliveries = _Made(SqlDeliveries)
    webhooks = _Made(SqlWebhooks)
    uploads = _Made(SqlUploads)
    credentials = _Made(SqlCredentials)
    usage = _Made(SqlUsage)
    turns = _Made(SqlTurns)

    def __init__(self, transaction: Transaction, on_commit: OnCommit) -> None:
        self.transaction = transaction
        self._on_commit = on_commit

    @property
    def now(self) -> datetime:
        return self.transaction.now

    def commit(self) -> None:
        hint = self.transaction.commit()
        if hint is not None:
            self._on_commit(hint)


def _tell_nobody(_hint: Hint) -> None: ...


class Database:
    """Safe to share between threads. `unit` is a `jobs.ports.OpenUnit`."""

    def __init__(self, engine: Engine, *, on_commit: OnCommit = _tell_nobody, clock: Clock | None = None) -> None:
        """on_commit: told what a commit has just changed, by the thread that committed.

        clock: for tests; None takes the database's own.
        """
        self._engine = engine
        self._on_commit = on_commit
        self._clock = clock

    @contextmanager
    def unit(self, tenant: str | None = None) -> Iterator[SqlUnitOfWork]:
        """Raises DatabaseUnavailable, also from within the block."""
        with translated(self._engine), self._engine.connect() as connection:
            yield SqlUnitOfWork(Transaction(connection, tenant=tenant, clock=self._clock), self._on_commit)

    def check(self) -> None:
        """Raises DatabaseUnavailable when the database cannot be reached or its tables were never made."""
        with translated(self._engine), self._engine.connect() as connection:
            if not inspect(connection).has_table(JobRow.__tablename__):
                raise DatabaseUnavailable("the database has no tables; run `python -m storage.migrate`")

    def has_keys(self) -> bool:
        """Whether any key was ever made; also of a database without tables. Raises DatabaseUnavailable."""
        with translated(self._engine), self._engine.connect() as connection:
            if not inspect(connection).has_table(CredentialRow.__tablename__):
                return False
        with self.unit() as unit:
            return unit.credentials.exist()

    def checkpoint(self) -> None:
        """Take over into SQLite's file what was committed to its log, which waits for the disk: done now and then, no
        commit has to. Whoever reads or writes goes on meanwhile. Raises DatabaseUnavailable."""
        if self._engine.dialect.name != "sqlite":
            return
        with translated(self._engine), closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        self._engine.dispose()


def open_database(
    settings: StorageSettings, *, on_commit: OnCommit = _tell_nobody, clock: Clock | None = None
) -> Database:
    engine = make_engine(settings, answer_s=settings.database_answer_s)
    return Database(engine, on_commit=on_commit, clock=clock)


def make_engine(settings: StorageSettings, *, answer_s: float | None = None) -> Engine:
    """Connects when it is first used. Makes the folder of a SQLite file.

    answer_s: how long PostgreSQL may take for a statement; None for as long as it takes, as migrations need it.
    """
    url = make_url(settings.resolved_database_url)
    common: dict[str, Any] = {
        "json_serializer": _encode_json,
        "pool_size": settings.database_pool_size,
        "pool_use_lifo": True,  # the connection that was used last still has its statements at hand
        "max_overflow": settings.database_pool_overflow,
        "pool_timeout": settings.database_wait_s,
    }
    if url.get_backend_name() == "sqlite":
        return sqlite(url, wait_s=settings.database_wait_s, **common)
    from storage.drivers.postgresql import postgresql  # a process with a file for a database has no use for the driver

    return postgresql(url, wait_s=settings.database_wait_s, answer_s=answer_s, **common)


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """The driver's errors that may pass by themselves, as ours; faults of our own stay what they are.

    Outside of statements SQLAlchemy lets the driver's through as they are.
    """
    driver = engine.dialect.loaded_dbapi
    try:
        yield
    except PoolExhausted as error:
        raise DatabaseUnavailable("the database does not answer") from error
    except (DBAPIError, driver.Error) as error:
        if not _may_pass(error, driver):
            raise
        raise DatabaseUnavailable("the database does not answer") from error


def _may_pass(error: Exception, driver: DBAPIModule) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):  # which reports a missing table as an operational error too
        return isinstance(cause, sqlite3.OperationalError) and _code(cause) != sqlite3.SQLITE_ERROR
    if isinstance(cause, driver.OperationalError):
        return not (getattr(cause, "sqlstate", None) or "").startswith(_TOO_LARGE)
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def _code(cause: sqlite3.Error) -> int:
    """SQLite's primary result code; an error of the Python module itself has none and is a fault of ours."""
    return int(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
