"""How many images of a job had ended before its last retry, so that its rate counts only those of this run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("finished_before", sa.Integer))


def downgrade() -> None:
    op.drop_column("jobs", "finished_before")
