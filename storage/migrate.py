"""Bring the database to a revision: `python -m storage.migrate [upgrade | downgrade REVISION | current]`.

Processes that start together may all call it: one migrates, the others wait and find nothing left to do.
"""

from __future__ import annotations

import argparse
import fcntl
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from jobs.errors import DatabaseUnavailable
from storage.settings import StorageSettings
from storage.transaction import BEGIN
from storage.unit_of_work import make_engine, translated

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
ADVISORY_LOCK = 0x6D61736B  # one number for all of us; PostgreSQL keeps such locks per database


class DatabaseUnfit(Exception):
    """It is there, and this code cannot use it; the message says why."""

    code = "database_unfit"


def upgrade(settings: StorageSettings, revision: str = "head") -> None:
    """Raises DatabaseUnavailable, DatabaseUnfit."""
    _run(settings, lambda config: command.upgrade(config, revision))


def downgrade(settings: StorageSettings, revision: str) -> None:
    """Raises DatabaseUnavailable, DatabaseUnfit."""
    _run(settings, lambda config: command.downgrade(config, revision))


def current(settings: StorageSettings) -> str | None:
    """The revision that the database is at; None when it has never been migrated. Raises as `upgrade`."""
    with connected(settings) as connection:
        return _known(settings, MigrationContext.configure(connection).get_current_revision())


def newest() -> str:
    """The revision that this code is written for."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # there is a baseline
    return revision


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m storage.migrate", description=__doc__)
    parser.add_argument("action", nargs="?", default="upgrade", choices=("upgrade", "downgrade", "current"))
    parser.add_argument("revision", nargs="?", help="default for upgrade: the newest")
    chosen = parser.parse_args(arguments)
    if chosen.action == "downgrade" and chosen.revision is None:
        parser.error("downgrade needs a revision; `base` removes every table")
    settings = StorageSettings()
    try:
        _act(settings, chosen.action, chosen.revision)
        sys.stdout.write(f"revision {current(settings)}; this version of maskmill needs {newest()}\n")
    except DatabaseUnavailable as error:
        raise SystemExit(f"{where(settings)}: {error} ({reason(error)})") from None
    except DatabaseUnfit as error:
        raise SystemExit(str(error)) from None


def where(settings: StorageSettings) -> str:
    """The database's address without its password."""
    return make_url(settings.resolved_database_url).render_as_string(hide_password=True)


def _act(settings: StorageSettings, action: str, revision: str | None) -> None:
    if action == "downgrade" and revision is not None:
        downgrade(settings, revision)
    elif action == "upgrade":
        upgrade(settings, revision or "head")


def reason(error: DatabaseUnavailable) -> str:
    """What the driver says, in one line."""
    cause = error.__cause__
    said = str(getattr(cause, "orig", None) or cause or error)
    return " ".join(said.split())


def _run(settings: StorageSettings, migrate: Callable[[Config], None]) -> None:
    with _alone(settings), connected(settings) as connection:
        begin(connection)
        _known(settings, MigrationContext.configure(connection).get_current_revision())
        config = _config()
        config.attributes["connection"] = connection
        try:
            migrate(config)
        except CommandError as error:  # a revision that nobody knows, or that does not lie that way
            raise DatabaseUnfit(f"{error}; this version of Maskmill knows revisions up to {newest()}") from error
        connection.commit()


def _known(settings: StorageSettings, revision: str | None) -> str | None:
    """The same. Raises DatabaseUnfit for one that this code has never heard of."""
    known = {each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision in (None, *known):
        return revision
    said = f"{where(settings)} has tables of revision {revision}, and this version of Maskmill knows them up to"
    mend = "it was used with a newer one: install that again, or let it run `python -m storage.migrate downgrade"
    raise DatabaseUnfit(f"{said} {newest()}; {mend} {newest()}` first")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def connected(settings: StorageSettings) -> Iterator[Connection]:
    engine = make_engine(settings)
    try:
        with translated(engine), engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
            raise
        raise DatabaseUnfit(f"{where(settings)} is damaged, or no database: {error.orig}") from error
    finally:
        engine.dispose()


@contextmanager
def _alone(settings: StorageSettings) -> Iterator[None]:
    """For a SQLite file, hold what only one migrating process can hold; waits for it. Already the first connection to
    a new file changes it, and would find it locked. Raises DatabaseUnavailable."""
    url = make_url(settings.resolved_database_url)
    if url.get_backend_name() != "sqlite":
        yield  # `begin` takes the lock of a server
        return
    path = Path(url.database or "")
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context(Path(f"{path}.migrate-lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            mend = "choose a folder on a local disk that can be written"
            raise DatabaseUnavailable(f"{path.parent} cannot be locked: {mend}") from error
        yield


def begin(connection: Connection) -> None:
    """The one transaction in which everything happens."""
    if connection.dialect.name == "sqlite":
        connection.info[BEGIN] = "BEGIN IMMEDIATE"
        return
    connection.execute(select(func.set_config("lock_timeout", "0", True)))
    connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))


if __name__ == "__main__":
    main()
