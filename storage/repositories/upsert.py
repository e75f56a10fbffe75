"""INSERT … ON CONFLICT, which both databases spell alike and SQLAlchemy keeps in their dialects."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite

from storage.tables import Base
from storage.transaction import Transaction


def insert_for(transaction: Transaction, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if transaction.dialect == "sqlite" else postgresql.insert(table)
