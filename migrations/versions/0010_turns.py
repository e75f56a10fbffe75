"""An index on the unfinished jobs of each tenant, for whose turn it is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UNFINISHED = sa.text("finished_at IS NULL")


def upgrade() -> None:
    columns = ["tenant", "priority", "id"]
    op.create_index("ix_jobs_turns", "jobs", columns, sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)


def downgrade() -> None:
    op.drop_index("ix_jobs_turns", "jobs")
