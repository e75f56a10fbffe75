"""Deliveries of webhooks, and what tenants chose for them.

Downgrading forgets what was sent, what is still owed, and the secrets.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("told_at", Time))
    op.create_table(
        "deliveries",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("job_id", Identifier),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("due_at", Time),
        sa.Column("lease_until", Time),
        sa.Column("ended_at", Time),
        sa.Column("log", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_job", "deliveries", ["job_id", "version"], unique=True)
    _partial("ix_deliveries_due", ["due_at"], where="status = 'pending'")
    _partial("ix_deliveries_pending", ["tenant", "url"], where="status = 'pending'")
    _partial("ix_deliveries_pings", ["created_at"], where="job_id IS NULL")
    op.create_table(
        "webhooks",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("secret_made_at", Time, nullable=False),
        sa.Column("previous_secret", sa.Text),
        sa.Column("previous_until", Time),
        sa.Column("url", sa.Text),
        sa.Column("events", Json),
        sa.Column("gone_at", Time),
        sa.PrimaryKeyConstraint("tenant", name="pk_webhooks"),
    )


def downgrade() -> None:
    op.drop_table("webhooks")
    op.drop_table("deliveries")
    op.drop_column("jobs", "told_at")


def _partial(name: str, columns: list[str], *, where: str) -> None:
    op.create_index(name, "deliveries", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
