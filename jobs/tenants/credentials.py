"""Keys: made once, shown once, and kept as a digest. A key names itself, so that it is found without a search."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime

from jobs.callers import Caller, Limits

_ID_LETTERS = string.ascii_lowercase + string.digits
_KEY = re.compile(r"mm_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")  # the id, and 256 bits of chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key as it is kept. digest: SHA-256 of the whole key in hex; for something of 256 random bits a slow hash would
    add nothing. A revoked one stays, so that a service whose last key was revoked does not stand open."""

    id: str
    tenant: str
    scope: str
    digest: str
    created_at: datetime
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    revoked_at: datetime | None = None

    @property
    def caller(self) -> Caller:
        return Caller(self.tenant, self.scope, self.id, self.limits)

    def is_good(self, key: str) -> bool:
        """Whether the key is this one, compared in constant time, and not revoked."""
        return hmac.compare_digest(self.digest, digest_of(key)) and self.revoked_at is None


def id_of(key: str) -> str | None:
    """The id of the credential that it claims to be; None of what cannot be a key."""
    found = _KEY.fullmatch(key)
    return None if found is None else f"key_{found[1]}"


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> tuple[str, str]:
    """The id of a credential, and its key."""
    name = "".join(secrets.choice(_ID_LETTERS) for _ in range(12))
    return f"key_{name}", f"mm_{name}_{secrets.token_urlsafe(32)}"
