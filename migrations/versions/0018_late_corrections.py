"""An index along which corrections of the last day are found, whenever their job has ended."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NAME = "ix_corrections_made_at"


def upgrade() -> None:
    op.create_index(NAME, "corrections", ["made_at", "job_id"])


def downgrade() -> None:
    op.drop_index(NAME, "corrections")
