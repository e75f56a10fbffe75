"""INSERT … ON CONFLICT, which both databases spell alike and SQLAlchemy keeps in their dialects."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite

from storage.tables import Base


def insert_for(dialect: str, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
