"""In which engine and precision each worker runs its models."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("variants", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    with op.batch_alter_table("workers") as batch:
        batch.drop_column("variants")
