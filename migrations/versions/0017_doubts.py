"""How sure results are, in two more ways, so that lists can sort by them. Older images come last."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NAMES = ("clarity", "surety")


def upgrade() -> None:
    for name in NAMES:
        op.add_column("job_images", sa.Column(name, sa.Float(53)))
        given = sa.text(f"{name} IS NOT NULL")
        columns = ["job_id", name, "index"]
        op.create_index(f"ix_job_images_{name}", "job_images", columns, sqlite_where=given, postgresql_where=given)


def downgrade() -> None:
    for name in NAMES:
        op.drop_index(f"ix_job_images_{name}", "job_images")
        op.drop_column("job_images", name)
