"""What is done with keys: make, list, revoke, limit. Called by the command line, and by the API for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from jobs.callers import SCOPES, TENANT_RULE, Limits, is_tenant
from jobs.errors import CredentialNotFound, FieldFault, InvalidOptions
from jobs.tenants.credentials import Credential, digest_of, new_key
from jobs.tenants.ports import CredentialUnit, OpenCredentials


@dataclass(frozen=True, slots=True)
class Keyring:
    """Each call raises DatabaseUnavailable. tenant: whose keys are seen and changed; None: everybody's."""

    open_unit: OpenCredentials
    tenant: str | None = None

    def create(self, tenant: str, scope: str, limits: Limits) -> tuple[Credential, str]:
        """The credential and its key, which nobody can tell again. Raises InvalidOptions."""
        faults = [] if is_tenant(tenant) else [FieldFault("tenant", f"{TENANT_RULE}, got {tenant!r}")]
        faults += [] if scope in SCOPES else [FieldFault("scope", f"must be one of {', '.join(SCOPES)}, got {scope!r}")]
        if faults:
            raise InvalidOptions(faults)
        credential_id, key = new_key()
        with self._unit() as unit:
            made = Credential(
                id=credential_id,
                tenant=tenant,
                scope=scope,
                digest=digest_of(key),
                created_at=unit.now,
                limits=limits,
            )
            unit.credentials.add(made)
            unit.commit()
        return made, key

    def all(self, tenant: str | None = None) -> Sequence[Credential]:
        """Of everybody, or of one tenant; the oldest first, revoked ones too. None of a tenant that is not seen."""
        if self.tenant is not None and tenant not in (None, self.tenant):
            return []
        with self.open_unit(self.tenant or tenant) as unit:
            return unit.credentials.all()

    def get(self, credential_id: str) -> Credential:
        """Raises CredentialNotFound."""
        with self._unit() as unit:
            found = unit.credentials.find(credential_id)
        if found is None:
            raise CredentialNotFound(f"there is no key {credential_id!r}")
        return found

    def revoke(self, credential_id: str) -> Credential:
        """It stays revoked. Raises CredentialNotFound."""
        with self._unit() as unit:
            revoked = unit.credentials.revoke(credential_id)
            unit.commit()
        return revoked

    def limit(self, credential_id: str, limits: Limits) -> Credential:
        """These limits instead of those it has. Raises CredentialNotFound."""
        with self._unit() as unit:
            limited = unit.credentials.limit(credential_id, limits)
            unit.commit()
        return limited

    def _unit(self) -> AbstractContextManager[CredentialUnit]:
        return self.open_unit(self.tenant)
