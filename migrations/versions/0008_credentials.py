"""Keys, what was asked with them, and the key with which a job was submitted. Jobs from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Time = sa.DateTime(timezone=True)
UNFINISHED = sa.text("finished_at IS NULL AND credential IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("images_per_day", sa.Integer),
        sa.Column("queued_images", sa.Integer),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("revoked_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
    )
    op.create_index("ix_credentials_tenant", "credentials", ["tenant"])
    op.create_table(
        "usage",
        sa.Column("credential", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("began_at", Time, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("credential", "kind", name="pk_usage"),
    )
    op.add_column("jobs", sa.Column("credential", sa.String(32)))
    op.create_index("ix_jobs_credential", "jobs", ["credential"], sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)


def downgrade() -> None:
    op.drop_index("ix_jobs_credential", "jobs")
    op.drop_column("jobs", "credential")
    op.drop_table("usage")
    op.drop_table("credentials")
