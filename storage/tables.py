"""The tables. Rows never leave this package; `rows.py` maps them to the entities of `jobs`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, in and out, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time needs a time zone, got {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Not JSONB: a caller's metadata comes back as it went in, order of keys and \u0000 included, and nothing looks inside.
Json = JSON(none_as_null=True)
# Ids sort by time only where characters are compared by their bytes, whatever the database's locale.
Identifier = String(64).with_variant(String(64, collation="C"), "postgresql")


class Base(DeclarativeBase):
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: Json, list[Any]: Json, float: Float(53)}  # noqa: RUF012


Base.metadata.naming_convention = NAMES


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=sql(where), postgresql_where=sql(where))


class JobRow(Base):
    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(Text)  # of its objects' keys
    model: Mapped[str] = mapped_column(String(128))  # the first of `models`, for the code of before
    models: Mapped[list[Any]]
    label_space: Mapped[str] = mapped_column(String(64))
    priority: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    details: Mapped[dict[str, Any]]  # the caller's metadata
    slice_size: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))  # derived from the counters, kept so that lists can filter
    version: Mapped[int]
    queued: Mapped[int]
    running: Mapped[int]
    succeeded: Mapped[int]
    failed: Mapped[int]
    canceled: Mapped[int]
    totals: Mapped[list[Any]]  # an object for each model
    agreement: Mapped[dict[str, Any] | None]  # of several models
    skipped: Mapped[dict[str, Any] | None]  # count, examples
    spaces: Mapped[dict[str, Any] | None]  # as `JobSpaces` has them
    warnings: Mapped[dict[str, Any] | None]  # code → images
    waiting_for: Mapped[str | None] = mapped_column(String(32))
    told_at: Mapped[datetime | None]  # since 0005
    reused: Mapped[int | None]  # images, since 0016
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    finished_before: Mapped[int | None]  # since 0003
    is_deleted: Mapped[bool]
    credential: Mapped[str | None] = mapped_column(String(32))  # the key with which it was submitted
    origin: Mapped[dict[str, Any] | None]  # the request and the trace that it came from

    __table_args__ = (
        CheckConstraint(
            "queued >= 0 AND running >= 0 AND succeeded >= 0 AND failed >= 0 AND canceled >= 0", "counters"
        ),
        Index("ix_jobs_tenant_id", "tenant", "id"),
        Index("ix_jobs_tenant_status_id", "tenant", "status", "id"),
        _partial("ix_jobs_unfinished", "priority", "id", where="finished_at IS NULL"),
        _partial("ix_jobs_turns", "tenant", "priority", "id", where="finished_at IS NULL"),
        _partial("ix_jobs_credential", "credential", where="finished_at IS NULL AND credential IS NOT NULL"),
        Index("ix_jobs_tenant_finished_at", "tenant", "finished_at"),
        _partial("ix_jobs_finished_at", "finished_at", where="finished_at IS NOT NULL"),
        Index("ix_jobs_expires_at", "expires_at"),
        Index("ix_jobs_deleted", "id", sqlite_where=sql("is_deleted = 1"), postgresql_where=sql("is_deleted")),
    )


class JobImageRow(Base):
    """No foreign key: a job and its images are inserted and deleted together, in one transaction, and checking the key
    would double the time that a hundred thousand rows take on PostgreSQL."""

    __tablename__ = "job_images"

    job_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    ref: Mapped[str | None] = mapped_column(Text)
    source_kind: Mapped[str] = mapped_column(String(16))
    source_location: Mapped[str] = mapped_column(Text)
    mask_kind: Mapped[str | None] = mapped_column(String(16))
    mask_location: Mapped[str | None] = mapped_column(Text)
    input_sha256: Mapped[str | None] = mapped_column(String(64))
    mask_sha256: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int]
    excused: Mapped[int] = mapped_column(server_default="0")
    lost: Mapped[int]
    worker: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]  # when a message last named it; none: it has to be sent
    waiting_for: Mapped[str | None] = mapped_column(String(32))
    failure_code: Mapped[str | None] = mapped_column(String(64))
    failure_message: Mapped[str | None] = mapped_column(Text)
    results: Mapped[list[Any] | None]  # an object for each model
    confidence: Mapped[float | None]  # of the first result, so that lists can sort
    miou: Mapped[float | None]
    comparison: Mapped[dict[str, Any] | None]  # of several results: agreement, artifacts
    accord: Mapped[float | None]  # the lower, the more they differ
    warnings: Mapped[list[Any] | None]  # objects with code and detail
    version: Mapped[int | None]  # of the job, when the image ended
    finished_at: Mapped[datetime | None]
    clarity: Mapped[float | None]  # of the first result, since 0017: the lower, the larger its mean entropy
    surety: Mapped[float | None]  # the lower, the more pixels have little confidence

    __table_args__ = (
        _partial("ix_job_images_queued", "job_id", "index", where="status = 'queued'"),
        _partial("ix_job_images_failed", "job_id", "index", where="status = 'failed'"),
        _partial("ix_job_images_lease", "lease_until", where="status = 'running'"),
        _partial("ix_job_images_confidence", "job_id", "confidence", "index", where="confidence IS NOT NULL"),
        _partial("ix_job_images_miou", "job_id", "miou", "index", where="miou IS NOT NULL"),
        _partial("ix_job_images_clarity", "job_id", "clarity", "index", where="clarity IS NOT NULL"),
        _partial("ix_job_images_surety", "job_id", "surety", "index", where="surety IS NOT NULL"),
        _partial("ix_job_images_accord", "job_id", "accord", "index", where="accord IS NOT NULL"),
        Index("ix_job_images_version", "job_id", "version", "index"),
    )


# What statements are made of: with the classes themselves SQLAlchemy would look for objects to keep in step each time,
# which takes longer than the statement.
JOBS, JOB = cast(Table, JobRow.__table__), JobRow.__table__.c
IMAGES, IMAGE = cast(Table, JobImageRow.__table__), JobImageRow.__table__.c


class ArchivePartRow(Base):
    """What is kept of a job's archive: see `jobs.reporting.kept_parts`. Goes with its job."""

    __tablename__ = "archive_parts"

    job_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)


PARTS, PART = cast(Table, ArchivePartRow.__table__), ArchivePartRow.__table__.c


class CorrectionRow(Base):
    """A version of an image's correction. Goes with its job."""

    __tablename__ = "corrections"

    job_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    crc32: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]
    made_by: Mapped[str | None] = mapped_column(String(32))  # the key with which it came

    __table_args__ = (Index("ix_corrections_made_at", "made_at", "job_id"),)


CORRECTIONS, CORRECTION = cast(Table, CorrectionRow.__table__), CorrectionRow.__table__.c


class KnownRow(Base):
    """What is known of pictures: see `jobs.reuse.known`. All that is asked lies in the key, which both databases walk
    along: nothing else is read to find the newest."""

    __tablename__ = "known_results"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    recipe: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    input_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    kinds: Mapped[str] = mapped_column(Text, primary_key=True)  # in alphabetical order, with commas
    job_id: Mapped[str] = mapped_column(Identifier, primary_key=True, index=True)
    index: Mapped[int]
    model: Mapped[int]  # its position in the job


KNOWN_RESULTS, KNOWN = cast(Table, KnownRow.__table__), KnownRow.__table__.c


class DeliveryRow(Base):
    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str | None] = mapped_column(Identifier)  # none of a ping
    version: Mapped[int]
    event: Mapped[str] = mapped_column(String(32))
    url: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int]
    claims: Mapped[int]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    log: Mapped[list[Any]]  # an object for each of the latest tries

    __table_args__ = (
        Index("ix_deliveries_job", "job_id", "version", unique=True),
        _partial("ix_deliveries_due", "due_at", where="status = 'pending'"),
        _partial("ix_deliveries_pending", "tenant", "url", where="status = 'pending'"),
        _partial("ix_deliveries_pings", "created_at", where="job_id IS NULL"),
    )


DELIVERIES, DELIVERY = cast(Table, DeliveryRow.__table__), DeliveryRow.__table__.c


class WebhookRow(Base):
    """What a tenant chose for its webhooks. The secrets lie here as they are: they sign, and cannot be hashed."""

    __tablename__ = "webhooks"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    secret_made_at: Mapped[datetime]
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_until: Mapped[datetime | None]
    url: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[Any] | None]
    gone_at: Mapped[datetime | None]


class DraftRow(Base):
    __tablename__ = "drafts"

    job_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyRow(Base):
    __tablename__ = "idempotency"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))  # a token of the request that has the key
    fingerprint: Mapped[str | None] = mapped_column(Text)
    job_id: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(index=True)  # or renewed, while the request is being read


class UploadRow(Base):
    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    secret: Mapped[str | None] = mapped_column(String(64))  # signs our address; none: the store's own takes it
    stored: Mapped[bool]
    uses: Mapped[int]  # jobs whose images name it
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)  # none while a job needs it


class CredentialRow(Base):
    __tablename__ = "credentials"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    scope: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the key, hex; the key itself is nowhere
    requests_per_minute: Mapped[int | None]
    images_per_day: Mapped[int | None]
    queued_images: Mapped[int | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class UsageRow(Base):
    """One row for each kind of thing that is counted for a key."""

    __tablename__ = "usage"

    credential: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    parts: Mapped[list[Any] | None]  # of the period that ends now: [number, used] of each


class WorkerRow(Base):
    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    device: Mapped[str] = mapped_column(Text)
    models: Mapped[list[Any]]
    followed: Mapped[list[Any] | None]  # [name, version, code, message] of each
    variants: Mapped[dict[str, Any] | None]  # name → engine and precision
    beat_at: Mapped[datetime] = mapped_column(index=True)
