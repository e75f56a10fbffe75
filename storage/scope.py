"""The one place that keeps tenants apart: every statement passes through here on its way to the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    FromClause,
    Join,
    Select,
    Update,
    bindparam,
    exists,
    literal_column,
    select,
)
from sqlalchemy.sql import Executable

from storage.tables import (
    JOBS,
    ArchivePartRow,
    CorrectionRow,
    CredentialRow,
    DeliveryRow,
    DraftRow,
    IdempotencyRow,
    JobImageRow,
    JobRow,
    KnownRow,
    UploadRow,
    UsageRow,
    WebhookRow,
)

# Looked up, never compared by `is`: a statement holds annotated copies of tables, which are equal to them.
_ONE: ColumnElement[int] = literal_column("1")
_OWNER = JOBS.alias("owner").c
_ROWS = (
    *(JobRow, DraftRow, IdempotencyRow, JobImageRow, DeliveryRow, WebhookRow, UploadRow),
    *(CredentialRow, UsageRow, ArchivePartRow, CorrectionRow, KnownRow),
)
_OWNED: dict[Any, Any] = {each.__table__: each.__table__.c for each in _ROWS}

_TENANT = "of_tenant"


class Prepared:
    """A statement that is built once, with `bindparam` for what differs: building it takes longer than running it."""

    def __init__(self, statement: Executable) -> None:
        self._plain = statement
        self._of_one = scoped(statement, bindparam(_TENANT))

    def given(self, tenant: str | None, values: Mapping[str, Any]) -> tuple[Executable, Mapping[str, Any]]:
        """The form for this tenant, or for all, with what it takes."""
        return (self._plain, values) if tenant is None else (self._of_one, {**values, _TENANT: tenant})


def scoped(statement: Executable, tenant: str | BindParameter[str] | None) -> Executable:
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
    bare = statement.with_only_columns(_ONE, maintain_column_froms=True)  # it would make a label for each column
    for each in bare.get_final_froms():
        yield from _leaves(each)


def _leaves(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _leaves(source.left)
        yield from _leaves(source.right)
    else:
        yield source


def _owned_by(table: FromClause, tenant: str | BindParameter[str]) -> ColumnElement[bool]:
    row = _OWNED[table]
    if "tenant" not in row:  # it is its job's
        return exists(select(_OWNER.id).where(_OWNER.id == row.job_id, _OWNER.tenant == tenant))
    column: ColumnElement[bool] = row.tenant == tenant
    return column
