"""Owners, results by model, the version in which an image ended, warnings, and what a job waits for.

Jobs that are there keep their objects where they lie, below `jobs/<id>/`; they belong to the tenant `default`.

Downgrading keeps every job readable by the older code. What that cannot say is lost: owners, warnings, label spaces
that models brought along, the results of further models. Objects of jobs that were made since are not found by the
older code's deletion.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Identifier = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True)
ROWS = 500
OLD_TOTALS = ("class_pixels", "confidence_sum", "confidence_images", "confusion", "truth_images", "made_by")
NEW_JOB_COLUMNS = ("tenant", "prefix", "models", "totals", "skipped", "spaces", "warnings", "waiting_for")
NEW_IMAGE_COLUMNS = ("version", "input_sha256", "mask_sha256", "excused", "waiting_for", "warnings")
NEW_IN_RESULT = ("precision", "engine")

jobs = sa.table(
    "jobs",
    *(sa.column(name, Identifier) for name in ("id", "tenant", "prefix", "model")),
    *(sa.column(name, Json) for name in ("models", "totals", "class_pixels", "confusion", "made_by")),
    *(sa.column(name, sa.Float) for name in ("confidence_sum",)),
    *(sa.column(name, sa.Integer) for name in ("confidence_images", "truth_images")),
)


def upgrade() -> None:
    _upgrade_jobs()
    _upgrade_job_images()
    _rebuild(
        "drafts",
        [*_draft_columns(), _tenant_column(), sa.Column("prefix", sa.Text, nullable=False)],
        key=["job_id"],
        copied="job_id, opened_at, 'default' AS tenant, 'jobs/' || job_id || '/' AS prefix",
        index="opened_at",
    )
    _rebuild(
        "idempotency",
        [_tenant_column(), *_key_columns(), sa.Column("holder", sa.String(32), nullable=False)],
        key=["tenant", "key"],
        copied="'default' AS tenant, key, fingerprint, job_id, created_at, '' AS holder",
        index="created_at",
    )


def downgrade() -> None:
    mine = "tenant = 'default'"  # of two tenants' keys that are alike only one could stay
    copied = "key, fingerprint, job_id, created_at"
    _rebuild("idempotency", _key_columns(), key=["key"], copied=copied, index="created_at", where=mine)
    _rebuild("drafts", _draft_columns(), key=["job_id"], copied="job_id, opened_at", index="opened_at")
    _downgrade_job_images()
    _downgrade_jobs()


def _upgrade_jobs() -> None:
    for name in ("status", "model"):
        op.drop_index(f"ix_jobs_{name}_id", "jobs")
    op.add_column("jobs", sa.Column("tenant", sa.String(64)))
    op.add_column("jobs", sa.Column("prefix", sa.Text))
    op.add_column("jobs", sa.Column("models", Json))
    op.add_column("jobs", sa.Column("totals", Json))
    op.add_column("jobs", sa.Column("skipped", Json))
    op.add_column("jobs", sa.Column("spaces", Json))
    op.add_column("jobs", sa.Column("warnings", Json))
    op.add_column("jobs", sa.Column("waiting_for", sa.String(32)))
    _rewrite_jobs([jobs.c.model, *(jobs.c[name] for name in OLD_TOTALS)], _to_new)
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("tenant", existing_type=sa.String(64), nullable=False)
        batch.alter_column("prefix", existing_type=sa.Text(), nullable=False)
        batch.alter_column("models", existing_type=Json, nullable=False)
        batch.alter_column("totals", existing_type=Json, nullable=False)
        for name in OLD_TOTALS:
            batch.drop_column(name)
    op.create_index("ix_jobs_tenant_id", "jobs", ["tenant", "id"])
    op.create_index("ix_jobs_tenant_status_id", "jobs", ["tenant", "status", "id"])
    op.create_index("ix_jobs_tenant_model_id", "jobs", ["tenant", "model", "id"])


def _downgrade_jobs() -> None:
    for name in ("tenant_id", "tenant_status_id", "tenant_model_id"):
        op.drop_index(f"ix_jobs_{name}", "jobs")
    op.add_column("jobs", sa.Column("class_pixels", Json))
    op.add_column("jobs", sa.Column("confidence_sum", sa.Float(53)))
    op.add_column("jobs", sa.Column("confidence_images", sa.Integer))
    op.add_column("jobs", sa.Column("confusion", Json))
    op.add_column("jobs", sa.Column("truth_images", sa.Integer))
    op.add_column("jobs", sa.Column("made_by", Json))
    _rewrite_jobs([jobs.c.totals], _to_old)
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("class_pixels", existing_type=Json, nullable=False)
        batch.alter_column("confidence_sum", existing_type=sa.Float(53), nullable=False)
        batch.alter_column("confidence_images", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("truth_images", existing_type=sa.Integer(), nullable=False)
        for name in NEW_JOB_COLUMNS:
            batch.drop_column(name)
    op.create_index("ix_jobs_status_id", "jobs", ["status", "id"])
    op.create_index("ix_jobs_model_id", "jobs", ["model", "id"])


def _rewrite_jobs(columns: list[Any], change: Any) -> None:
    """In Python, where numbers keep every digit; some hundred rows are in memory at a time."""
    connection, last = op.get_bind(), ""
    statement = jobs.update().where(jobs.c.id == sa.bindparam("key"))
    while True:
        page = sa.select(jobs.c.id, *columns).where(jobs.c.id > last).order_by(jobs.c.id).limit(ROWS)
        rows = connection.execute(page).all()
        if not rows:
            return
        connection.execute(statement, [{"key": row.id, **change(row)} for row in rows])
        last = rows[-1].id


def _to_new(row: Any) -> Mapping[str, Any]:
    totals = {name: getattr(row, name) for name in OLD_TOTALS}
    totals["made_by"] = totals["made_by"] or []
    return {"tenant": "default", "prefix": f"jobs/{row.id}/", "models": [row.model], "totals": [totals]}


def _to_old(row: Any) -> Mapping[str, Any]:
    return {name: row.totals[0][name] for name in OLD_TOTALS}


def _upgrade_job_images() -> None:
    op.add_column("job_images", sa.Column("version", sa.Integer))
    op.add_column("job_images", sa.Column("input_sha256", sa.String(64)))
    op.add_column("job_images", sa.Column("mask_sha256", sa.String(64)))
    op.add_column("job_images", sa.Column("excused", sa.Integer, nullable=False, server_default="0"))
    op.add_column("job_images", sa.Column("waiting_for", sa.String(32)))
    op.add_column("job_images", sa.Column("warnings", Json))
    op.execute("ALTER TABLE job_images RENAME COLUMN result TO results")
    listed = "('[' || results::text || ']')::json" if _is_postgresql() else "'[' || results || ']'"
    op.execute(f"UPDATE job_images SET results = {listed} WHERE results IS NOT NULL")  # noqa: S608
    op.execute(  # when exactly, nobody knows any more; at the latest then
        "UPDATE job_images SET version = (SELECT jobs.version FROM jobs WHERE jobs.id = job_images.job_id)"
        " WHERE status IN ('succeeded', 'failed', 'canceled')"
    )
    op.create_index("ix_job_images_version", "job_images", ["job_id", "version", "index"])


def _downgrade_job_images() -> None:
    op.drop_index("ix_job_images_version", "job_images")
    first = f"json_remove(json_extract(results, '$[0]'), {', '.join(repr(f'$.{name}') for name in NEW_IN_RESULT)})"
    if _is_postgresql():
        first = f"((results -> 0)::jsonb {' '.join(f'- {name!r}' for name in NEW_IN_RESULT)})::json"
    op.execute(f"UPDATE job_images SET results = {first} WHERE results IS NOT NULL")  # noqa: S608
    op.execute("ALTER TABLE job_images RENAME COLUMN results TO result")
    for name in NEW_IMAGE_COLUMNS:
        op.drop_column("job_images", name)


def _rebuild(
    table: str, columns: list[sa.Column[Any]], *, key: list[str], copied: str, index: str, where: str = "1 = 1"
) -> None:
    """A small table made anew, with its rows: SQLite can change neither a key nor a column that must not be empty."""
    names = ", ".join(part.rpartition(" AS ")[2] or part for part in copied.split(", "))
    op.execute(f"CREATE TEMPORARY TABLE kept_rows AS SELECT {copied} FROM {table} WHERE {where}")  # noqa: S608
    op.drop_table(table)
    op.create_table(table, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"))
    op.create_index(f"ix_{table}_{index}", table, [index])
    op.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM kept_rows")  # noqa: S608
    op.execute("DROP TABLE kept_rows")


def _tenant_column() -> sa.Column[Any]:
    return sa.Column("tenant", sa.String(64), nullable=False)


def _draft_columns() -> list[sa.Column[Any]]:
    return [sa.Column("job_id", Identifier, nullable=False), sa.Column("opened_at", Time, nullable=False)]


def _key_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("job_id", Identifier),
        sa.Column("created_at", Time, nullable=False),
    ]


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
