"""Indexes along which upkeep finds the jobs of everybody that ended or were corrected lately, for their buckets."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ENDED, CORRECTED = "ix_jobs_finished_at", "ix_corrections_made_at"


def upgrade() -> None:
    given = sa.text("finished_at IS NOT NULL")
    op.create_index(ENDED, "jobs", ["finished_at"], sqlite_where=given, postgresql_where=given)
    op.create_index(CORRECTED, "corrections", ["made_at", "job_id"])


def downgrade() -> None:
    op.drop_index(CORRECTED, "corrections")
    op.drop_index(ENDED, "jobs")
