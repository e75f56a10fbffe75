"""Corrections of images. Downgrading forgets them: who has corrected anything downloads it first."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")

CORRECTIONS = sa.table("corrections", sa.column("job_id", Identifier), sa.column("index", sa.Integer))
IMAGES = sa.table(
    "job_images", sa.column("job_id", Identifier), sa.column("index", sa.Integer), sa.column("results", sa.JSON)
)


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("index", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("crc32", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(32)),
        sa.PrimaryKeyConstraint("job_id", "index", "version", name="pk_corrections"),
    )


def downgrade() -> None:
    """The scores stay; that they are against corrections, the code before cannot read."""
    connection = op.get_bind()
    places = sa.select(CORRECTIONS.c.job_id, CORRECTIONS.c["index"]).distinct()
    for job_id, index in connection.execute(places).all():
        here = sa.and_(IMAGES.c.job_id == job_id, IMAGES.c["index"] == index)
        results = connection.execute(sa.select(IMAGES.c.results).where(here)).scalar()
        for result in results or ():
            result["metrics"].pop("corrected", None)
        if results:
            connection.execute(sa.update(IMAGES).where(here).values(results=results))
    op.drop_table("corrections")
