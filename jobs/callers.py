"""Who asks, whose everything is, and how much may be asked. Without a key, all callers are the default one."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_TENANT = "default"
SCOPES = ("read", "submit", "admin")
TENANT_RULE = "a tenant has 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or digit"
TENANT_PATTERN = "^[a-z0-9][a-z0-9_-]{0,62}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one key; None: as much as the service gives. images_per_day: that are submitted within 24 hours.
    queued_images: of its jobs, that wait for a worker at the same time."""

    requests_per_minute: int | None = None
    images_per_day: int | None = None
    queued_images: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if (limit := getattr(self, name)) is not None and limit < 1:
                raise ValueError(f"{name} is at least 1, or none, got {limit}")

    @property
    def of_images(self) -> bool:
        """Whether a submission has to be looked at."""
        return self.images_per_day is not None or self.queued_images is not None


def is_tenant(name: str) -> bool:
    return re.fullmatch(TENANT_PATTERN, name) is not None


@dataclass(frozen=True, slots=True)
class Caller:
    """tenant: the owner of what the caller makes, and of all that it sees. scope: one of SCOPES; a later one may do
    what those before it may. credential: the id of the key that was shown; None where none is asked for."""

    tenant: str
    scope: str
    credential: str | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not is_tenant(self.tenant):
            raise ValueError(f"{TENANT_RULE}, got {self.tenant!r}")
        if self.scope not in SCOPES:
            raise ValueError(f"a scope is one of {', '.join(SCOPES)}, got {self.scope!r}")

    def may(self, scope: str) -> bool:
        """Whether this caller's scope covers that one."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


DEFAULT = Caller(DEFAULT_TENANT, "admin")
