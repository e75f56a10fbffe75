"""The request and the trace that jobs came from, for what is told of them later. Jobs from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("origin", sa.JSON))


def downgrade() -> None:
    op.drop_column("jobs", "origin")
