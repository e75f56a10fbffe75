"""The order of a move: objects first, which nobody sees without rows; then all rows in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from storage.migrate import DAMAGED, begin, connected, current, newest, upgrade, where
from storage.move.objects import Copied, Tell, copy_objects
from storage.move.rows import copy_rows, first_used, prefixes
from storage.objects import open_objects
from storage.settings import StorageSettings

DATABASE = "maskmill.db"


class MoveRefused(Exception):
    """The message says why, and what to do."""

    code = "move_refused"


@dataclass(frozen=True, slots=True)
class Moved:
    """What is in the new place. objects: None where both have one store; likewise jobs."""

    jobs: int | None
    objects: Copied | None


def local_settings(home: Path) -> StorageSettings:
    """Of the stack that keeps everything in this folder, whatever the environment says of another."""
    elsewhere = ("database_url", "objects_url", "s3_endpoint", "s3_bucket", "s3_region", "s3_public_endpoint")
    return StorageSettings(home=home, **dict.fromkeys(elsewhere), buckets={}, model_folders=[])


def move(source: StorageSettings, target: StorageSettings, tell: Tell) -> Moved:
    """All that a local stack has; it keeps what it had. source: `local_settings`.

    A move that breaks off has made nothing that anybody sees, and the next one goes on where it was. Raises
    MoveRefused, DatabaseUnavailable, DatabaseUnfit, StorageUnavailable.
    """
    has_rows = target.resolved_database_url != source.resolved_database_url
    has_objects = bool(target.s3_bucket) or target.home != source.home
    if not (has_rows or has_objects):
        raise MoveRefused("the settings name no other place: set MASKMILL_STORAGE_DATABASE_URL, _OBJECTS_URL or both")
    _check_source(source)
    if has_rows:
        upgrade(target)
        with connected(target) as new:
            _refuse_used(new, target)
    with connected(source) as old:
        begin(old)  # for writing: no stack that is started meanwhile does anything
        copied = None
        if has_objects:
            copied = copy_objects(open_objects(source), open_objects(target), prefixes(old), tell)
        counts = None
        if has_rows:
            with connected(target) as new:
                begin(new)
                _refuse_used(new, target)  # since it was looked at, hours may have gone by
                counts = copy_rows(old, new)
                new.commit()
    return Moved(None if counts is None else counts["jobs"], copied)


def _check_source(source: StorageSettings) -> None:
    file = source.home / DATABASE
    if not file.is_file():
        raise MoveRefused(f"there is no database in {source.home}")
    if _is_in_use(file):
        raise MoveRefused(f"a stack runs in {source.home}: end it first, with `maskmill down` or Ctrl-C")
    if (revision := current(source)) != newest():
        said = f"{where(source)} has tables of revision {revision}, and this version works with {newest()}"
        raise MoveRefused(f"{said}: start the stack once with it (`maskmill up`), and end it again")


def _is_in_use(file: Path) -> bool:
    """Whoever has a database with a write-ahead log open keeps its file's shared lock. Source: sqlite.org/wal.html."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode & 0xFF
            if code in DAMAGED:
                return False  # which is told where its revision is asked for
            if code != sqlite3.SQLITE_BUSY:
                raise MoveRefused(f"{file}: {error}; whoever moves a stack has to write into its folder") from error
            return True
        connection.execute("ROLLBACK")
    return False


def _refuse_used(connection: Connection, target: StorageSettings) -> None:
    if (table := first_used(connection)) is not None:
        said = f"{where(target)} is in use: its table {table} has rows"
        raise MoveRefused(f"{said}; a move needs a database without, which no service uses yet")
