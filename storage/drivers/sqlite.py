"""SQLite: a file, which each connection opens with the same pragmas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

from storage.transaction import begin_as_asked

_PAGES_UNTIL_CHECKPOINT = 16_384  # of its log, 64 MiB, where no worker takes it over (`Database.checkpoint`)


def sqlite(url: URL, *, wait_s: float, **common: Any) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": wait_s, "isolation_level": None}, **common)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", begin_as_asked)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):  # changing it takes the whole file's lock
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_UNTIL_CHECKPOINT}")
