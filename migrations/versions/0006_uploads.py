"""Uploads: files that clients bring before the job that uses them.

Downgrading drops what was uploaded and not yet used; images of jobs that were made of uploads cannot be read again by
the older code, their results can.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("secret", sa.String(64)),
        sa.Column("stored", sa.Boolean, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("expires_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])


def downgrade() -> None:
    # The older code knows two kinds of what lies in the store as one, and addresses for what it fetches.
    for column in ("source_kind", "mask_kind"):
        op.execute(f"UPDATE job_images SET {column} = 'object' WHERE {column} IN ('upload', 'bucket')")  # noqa: S608
    op.drop_table("uploads")
