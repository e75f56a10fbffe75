"""Jobs whose time is over when a backup is restored: the first upkeep would delete them, with their results.

The database is read as it lies there: one of an older version is brought up to date later, when the stack starts.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

_FORM = "%Y-%m-%d %H:%M:%S.%f"  # in UTC, as SQLAlchemy writes moments into SQLite
_GONE = "expires_at <= ? AND NOT is_deleted"  # also what had not ended: it is done again, and goes an hour later


class Expired(NamedTuple):
    """Of `of` jobs, `jobs` have expired, the first of them at `since`."""

    jobs: int
    of: int
    since: datetime | None


def find_expired(database: Path, *, keep_days: int | None = None) -> Expired:
    """keep_days: those that have expired are kept for so many days from now on. Raises sqlite3.Error."""
    now = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.10
    moment = now.strftime(_FORM)
    with closing(sqlite3.connect(database)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone():
            return Expired(0, 0, None)  # of a stack that was never started to its end
        (jobs,) = connection.execute("SELECT count(*) FROM jobs WHERE NOT is_deleted").fetchone()
        found = f"SELECT count(*), min(expires_at) FROM jobs WHERE {_GONE}"  # noqa: S608 - of our own words
        expired, first = connection.execute(found, (moment,)).fetchone()
        if keep_days is not None:
            until = (now + timedelta(days=keep_days)).strftime(_FORM)
            change = f"UPDATE jobs SET expires_at = ?, version = version + 1 WHERE {_GONE}"  # noqa: S608
            connection.execute(change, (until, moment))
    since = None if first is None else datetime.strptime(first, _FORM).replace(tzinfo=timezone.utc)  # noqa: UP017
    return Expired(expired, jobs, since)
