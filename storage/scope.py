"""The one place that keeps tenants apart: every statement passes through here on its way to the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Delete, FromClause, Join, Select, Update, exists, select
from sqlalchemy.sql import Executable

from storage.tables import IMAGE, JOBS, DraftRow, IdempotencyRow, JobImageRow, JobRow

# Looked up, never compared by `is`: a statement holds annotated copies of tables, which are equal to them.
_OWNER = JOBS.alias("owner").c
_OWNED: dict[Any, Any] = {each.__table__: each.__table__.c for each in (JobRow, DraftRow, IdempotencyRow, JobImageRow)}


def scoped(statement: Executable, tenant: str | None) -> Executable:
    """The statement with other tenants' rows out of its sight; as it is when there is no tenant.

    What is inserted carries its owner itself. A table that occurs only inside a subquery is not looked at.
    """
    if tenant is None or not isinstance(statement, (Select, Update, Delete)):
        return statement
    return statement.where(*(_owned_by(table, tenant) for table in _tables(statement) if table in _OWNED))


def _tables(statement: Select[Any] | Update | Delete) -> Iterator[FromClause]:
    if not isinstance(statement, Select):
        yield statement.table
        return
    for each in statement.get_final_froms():
        yield from _leaves(each)


def _leaves(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _leaves(source.left)
        yield from _leaves(source.right)
    else:
        yield source


def _owned_by(table: FromClause, tenant: str) -> ColumnElement[bool]:
    row = _OWNED[table]
    if row is IMAGE:
        return exists(select(_OWNER.id).where(_OWNER.id == IMAGE.job_id, _OWNER.tenant == tenant))
    column: ColumnElement[bool] = row.tenant == tenant
    return column
