"""What keys and limits need from the database. Part of `jobs.ports.UnitOfWork`, which contract tests hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from jobs.callers import Limits
from jobs.job import Priority
from jobs.tenants.credentials import Credential
from jobs.tenants.window import Use


class CredentialRepository(Protocol):
    def exist(self) -> bool:
        """Whether any key was ever made here, revoked ones included."""

    def find(self, credential_id: str) -> Credential | None: ...

    def several(self, credential_ids: Collection[str]) -> Mapping[str, Credential]:
        """Those of these that there are, by id."""

    def all(self) -> Sequence[Credential]:
        """The oldest first."""

    def add(self, credential: Credential) -> None: ...

    def revoke(self, credential_id: str) -> Credential:
        """From now on, unless it was before. Raises CredentialNotFound."""

    def limit(self, credential_id: str, limits: Limits) -> Credential:
        """These limits instead of those it has. Raises CredentialNotFound."""


class UsageRepository(Protocol):
    """What was asked with the keys of a tenant, within a period that ends now: see `jobs.tenants.window`."""

    def add(self, credential_id: str, kind: str, amount: int, *, period_s: int) -> Use:
        """Until the end of the transaction nobody else counts the same kind for this key: all processes agree."""

    def so_far(self, credential_id: str, kind: str, *, period_s: int) -> Use: ...

    def queued(self, credential_id: str) -> int:
        """Images of the key's jobs that wait for a worker."""


class Share(NamedTuple):
    """A tenant whose images wait, and how many of its images run now."""

    tenant: str
    running: int


class NextImages(NamedTuple):
    """Of one job: indices of images that wait, with how often a worker vanished with each so far."""

    job_id: str
    slice_size: int
    losses: Mapping[int, int]


class TurnRepository(Protocol):
    def shares(self, priority: Priority) -> Sequence[Share]:
        """Of each tenant that has images of this priority waiting; those that run are of any priority."""

    def next_images(
        self, tenant: str, priority: Priority, *, limit: int, tried_first: bool = False
    ) -> NextImages | None:
        """The first `limit` of the queued, due images of the tenant's oldest job that has some: those that were never
        tried before those that were, of all its jobs, or the other way round. None when none is due."""


class CredentialUnit(Protocol):
    """The part of a unit of work that is about keys."""

    @property
    def now(self) -> datetime: ...
    @property
    def credentials(self) -> CredentialRepository: ...
    @property
    def usage(self) -> UsageRepository: ...
    def commit(self) -> None: ...


class OpenCredentials(Protocol):
    def __call__(self, tenant: str | None = None) -> AbstractContextManager[CredentialUnit]: ...
