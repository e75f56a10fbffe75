"""All SQL of the service, one file per noun."""

from storage.repositories.drafts import SqlDrafts
from storage.repositories.idempotency import SqlIdempotency
from storage.repositories.images import SqlImages
from storage.repositories.jobs import SqlJobs
from storage.repositories.workers import SqlWorkers

__all__ = ["SqlDrafts", "SqlIdempotency", "SqlImages", "SqlJobs", "SqlWorkers"]
