"""Which versions of a model made a job's results, and what workers follow."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("made_by", sa.JSON))
    op.add_column("workers", sa.Column("followed", sa.JSON))


def downgrade() -> None:
    op.drop_column("workers", "followed")
    op.drop_column("jobs", "made_by")
