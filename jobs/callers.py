"""Who asks, and whose everything is. Until there are credentials, all callers are the default one."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_TENANT = "default"
SCOPES = ("read", "submit", "admin")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Caller:
    """tenant: the owner of what the caller makes, and of all that it sees. scope: one of SCOPES; a later one may do
    what those before it may."""

    tenant: str
    scope: str

    def __post_init__(self) -> None:
        if not _TENANT.fullmatch(self.tenant):
            raise ValueError(f"a tenant has 1 to 63 of a-z, 0-9, _ and -, got {self.tenant!r}")
        if self.scope not in SCOPES:
            raise ValueError(f"a scope is one of {', '.join(SCOPES)}, got {self.scope!r}")


DEFAULT = Caller(DEFAULT_TENANT, "admin")
