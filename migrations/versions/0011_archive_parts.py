"""What is kept of the archives of large jobs while they grow. Downgrading forgets it: nothing else is lost."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "archive_parts",
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("first", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary),
        sa.PrimaryKeyConstraint("job_id", "first", name="pk_archive_parts"),
    )


def downgrade() -> None:
    op.drop_table("archive_parts")
