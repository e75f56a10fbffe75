"""What is known of pictures, so that nobody asks a model twice. Downgrading forgets it: nothing else is lost."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("reused", sa.Integer))
    op.create_table(
        "known_results",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("recipe", sa.LargeBinary, nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("kinds", sa.Text, nullable=False),
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("model", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "recipe", "input_sha256", "kinds", "job_id", name="pk_known_results"),
    )
    op.create_index("ix_known_results_job_id", "known_results", ["job_id"])


def downgrade() -> None:
    op.drop_table("known_results")
    op.drop_column("jobs", "reused")
