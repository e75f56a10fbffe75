"""Limits over a period are counted in parts of it, so that none lets twice as much through across its border."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PART_S = {"requests": 2.5, "images": 3600.0}
USAGE = sa.table(
    "usage",
    sa.column("credential", sa.String),
    sa.column("kind", sa.String),
    sa.column("began_at", sa.DateTime(timezone=True)),
    sa.column("used", sa.Integer),
    sa.column("parts", sa.JSON),
)


def upgrade() -> None:
    op.add_column("usage", sa.Column("parts", sa.JSON))
    for row in _rows(USAGE.c.began_at, USAGE.c.used):
        began_at = row.began_at if row.began_at.tzinfo else row.began_at.replace(tzinfo=UTC)
        _put(row, parts=[[int(began_at.timestamp() // _part_s(row.kind)), row.used]])
    op.drop_column("usage", "began_at")
    op.drop_column("usage", "used")


def downgrade() -> None:
    never = sa.text("'1970-01-01 00:00:00'")
    op.add_column("usage", sa.Column("began_at", sa.DateTime(timezone=True), server_default=never, nullable=False))
    op.add_column("usage", sa.Column("used", sa.Integer, server_default="0", nullable=False))
    for row in _rows(USAGE.c.parts):
        if row.parts:
            began_at = datetime.fromtimestamp(row.parts[0][0] * _part_s(row.kind), UTC)
            _put(row, began_at=began_at, used=sum(used for _, used in row.parts))
    op.drop_column("usage", "parts")


def _part_s(kind: str) -> float:
    return PART_S.get(kind, 3600.0)


def _rows(*columns: sa.ColumnClause[Any]) -> list[sa.Row[Any]]:
    return list(op.get_bind().execute(sa.select(USAGE.c.credential, USAGE.c.kind, *columns)))


def _put(row: sa.Row[Any], **values: object) -> None:
    mine = (USAGE.c.credential == row.credential, USAGE.c.kind == row.kind)
    op.get_bind().execute(sa.update(USAGE).where(*mine).values(**values))
