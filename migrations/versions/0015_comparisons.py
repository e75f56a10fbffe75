"""Several models in one job: how far their results agree, of each image and of the job.

Downgrading forgets it; every model's results and totals stay.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEX = "ix_job_images_accord"
Json = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("agreement", Json))
    op.add_column("job_images", sa.Column("comparison", Json))
    op.add_column("job_images", sa.Column("accord", sa.Float(53)))
    known = sa.text("accord IS NOT NULL")
    columns = ["job_id", "accord", "index"]
    op.create_index(INDEX, "job_images", columns, sqlite_where=known, postgresql_where=known)


def downgrade() -> None:
    op.drop_index(INDEX, "job_images")
    for table, column in (("job_images", "accord"), ("job_images", "comparison"), ("jobs", "agreement")):
        op.drop_column(table, column)
