"""Lists by model find each of a job's models, along the index of its tenant: that of the first one is of no use."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FIRST = "ix_jobs_tenant_model_id"


def upgrade() -> None:
    op.drop_index(FIRST, "jobs")


def downgrade() -> None:
    op.create_index(FIRST, "jobs", ["tenant", "model", "id"])
