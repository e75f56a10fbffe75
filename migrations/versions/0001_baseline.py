"""Jobs, their images, drafts, idempotency keys and workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
Time = sa.DateTime(timezone=True)
Json = sa.JSON()


def upgrade() -> None:
    _create_jobs()
    _create_job_images()
    op.create_table(
        "drafts",
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("opened_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_drafts"),
    )
    op.create_index("ix_drafts_opened_at", "drafts", ["opened_at"])
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("job_id", Identifier),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])
    op.create_table(
        "workers",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("models", Json, nullable=False),
        sa.Column("beat_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )
    op.create_index("ix_workers_beat_at", "workers", ["beat_at"])


def downgrade() -> None:
    for table in ("workers", "idempotency", "drafts", "job_images", "jobs"):
        op.drop_table(table)


def _create_jobs() -> None:
    counters = ("queued", "running", "succeeded", "failed", "canceled")
    op.create_table(
        "jobs",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("label_space", sa.String(64), nullable=False),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.Column("slice_size", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counters),
        sa.Column("class_pixels", Json, nullable=False),
        sa.Column("confidence_sum", sa.Float(53), nullable=False),
        sa.Column("confidence_images", sa.Integer, nullable=False),
        sa.Column("confusion", Json),
        sa.Column("truth_images", sa.Integer, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("expires_at", Time),
        sa.Column("started_at", Time),
        sa.Column("finished_at", Time),
        sa.Column("cancel_requested_at", Time),
        sa.Column("is_deleted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.CheckConstraint(" AND ".join(f"{name} >= 0" for name in counters), name=op.f("ck_jobs_counters")),
    )
    op.create_index("ix_jobs_status_id", "jobs", ["status", "id"])
    op.create_index("ix_jobs_model_id", "jobs", ["model", "id"])
    _create_partial_index("ix_jobs_unfinished", "jobs", ["priority", "id"], where="finished_at IS NULL")
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"])
    hidden = sa.text("is_deleted")
    op.create_index("ix_jobs_deleted", "jobs", ["id"], sqlite_where=sa.text("is_deleted = 1"), postgresql_where=hidden)


def _create_job_images() -> None:
    op.create_table(
        "job_images",
        sa.Column("job_id", Identifier, nullable=False),
        sa.Column("index", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("ref", sa.Text),
        sa.Column("source_kind", sa.String(16), nullable=False),
        sa.Column("source_location", sa.Text, nullable=False),
        sa.Column("mask_kind", sa.String(16)),
        sa.Column("mask_location", sa.Text),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lost", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", Time),
        sa.Column("retry_at", Time),
        sa.Column("sent_at", Time),
        sa.Column("failure_code", sa.String(64)),
        sa.Column("failure_message", sa.Text),
        sa.Column("result", Json),
        sa.Column("confidence", sa.Float(53)),
        sa.Column("miou", sa.Float(53)),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_job_images"),
    )
    for status in ("queued", "failed"):
        where = f"status = '{status}'"
        _create_partial_index(f"ix_job_images_{status}", "job_images", ["job_id", "index"], where=where)
    _create_partial_index("ix_job_images_lease", "job_images", ["lease_until"], where="status = 'running'")
    for value in ("confidence", "miou"):
        columns = ["job_id", value, "index"]
        _create_partial_index(f"ix_job_images_{value}", "job_images", columns, where=f"{value} IS NOT NULL")


def _create_partial_index(name: str, table: str, columns: list[str], *, where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
