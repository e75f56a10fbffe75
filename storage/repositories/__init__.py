"""All SQL of the service, one file per noun."""

from storage.repositories.deliveries import SqlDeliveries
from storage.repositories.drafts import SqlDrafts
from storage.repositories.idempotency import SqlIdempotency
from storage.repositories.images import SqlImages
from storage.repositories.jobs import SqlJobs
from storage.repositories.reporting.corrections import SqlCorrections
from storage.repositories.reporting.known import SqlKnown
from storage.repositories.reporting.parts import SqlParts
from storage.repositories.tenants.credentials import SqlCredentials
from storage.repositories.tenants.turns import SqlTurns
from storage.repositories.tenants.usage import SqlUsage
from storage.repositories.uploads import SqlUploads
from storage.repositories.webhooks import SqlWebhooks
from storage.repositories.workers import SqlWorkers

__all__ = [
    "SqlCorrections",
    "SqlCredentials",
    "SqlDeliveries",
    "SqlDrafts",
    "SqlIdempotency",
    "SqlImages",
    "SqlJobs",
    "SqlKnown",
    "SqlParts",
    "SqlTurns",
    "SqlUploads",
    "SqlUsage",
    "SqlWebhooks",
    "SqlWorkers",
]
