"""An index along which `GET /events` finds the jobs of a tenant that ended lately."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NAME = "ix_jobs_tenant_finished_at"


def upgrade() -> None:
    op.create_index(NAME, "jobs", ["tenant", "finished_at"])


def downgrade() -> None:
    op.drop_index(NAME, "jobs")
