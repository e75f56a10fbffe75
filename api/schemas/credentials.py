"""The shapes of keys: what is told of one, and what is asked for when one is made or limited."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobs.callers import SCOPES, TENANT_PATTERN, Limits
from jobs.tenants.credentials import Credential

_LIMITS: dict[str, Any] = {"requests_per_minute": 600, "images_per_day": 20_000, "queued_images": 5_000}
_KEY: dict[str, Any] = {
    "id": "key_3f9k2m0q8x1z",
    "tenant": "acme",
    "scope": "submit",
    "limits": _LIMITS,
    "created_at": "2026-11-21T08:00:00Z",
    "revoked_at": None,
}
_MAY: dict[str, Any] = {"type": "string", "enum": [*SCOPES]}


class LimitsShape(BaseModel):
    """As they are from now on; what is null or left out has no limit."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _LIMITS})

    requests_per_minute: int | None = Field(None, ge=1, lt=2**31)
    images_per_day: int | None = Field(None, ge=1, lt=2**31, description="submitted within any 24 hours")
    queued_images: int | None = Field(None, ge=1, lt=2**31, description="that wait for a worker at the same time")

    def limits(self) -> Limits:
        return Limits(**self.model_dump())


_SHUT = "this is the first key: from now on every request needs one, from this machine too"


class KeyShape(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"tenant": "acme", "scope": "submit", "limits": _LIMITS}}
    )

    scope: str = Field(max_length=20, json_schema_extra=_MAY)
    tenant: str | None = Field(
        None,
        max_length=100,
        description="null: the caller's; another only for the operator",
        json_schema_extra={"pattern": TENANT_PATTERN, "maxLength": 63},
    )
    limits: LimitsShape = Field(default_factory=LimitsShape, description="set by the operator alone")


class KeyView(BaseModel):
    """revoked_at: it is refused since then, and stays in the list."""

    model_config = ConfigDict(json_schema_extra={"example": _KEY})

    id: str
    tenant: str
    scope: str
    limits: LimitsShape
    created_at: datetime
    revoked_at: datetime | None


class NewKeyView(KeyView):
    model_config = ConfigDict(
        json_schema_extra={"example": {**_KEY, "key": "mm_3f9k2m0q8x1z_" + "k" * 43, "notice": None}},
    )

    key: str = Field(description="the key itself: it is told this once, and kept as a digest")
    notice: str | None = Field(description="of the first key, with which the service begins to ask everybody for one")


class KeyList(BaseModel):
    items: list[KeyView] = Field(description="the oldest first, revoked ones too")


def key_view(credential: Credential) -> KeyView:
    return KeyView(**_told(credential))


def new_key_view(credential: Credential, key: str, *, is_first: bool) -> NewKeyView:
    return NewKeyView(**_told(credential), key=key, notice=_SHUT if is_first else None)


def _told(credential: Credential) -> dict[str, Any]:
    return {
        "id": credential.id,
        "tenant": credential.tenant,
        "scope": credential.scope,
        "limits": LimitsShape(**asdict(credential.limits)),
        "created_at": credential.created_at,
        "revoked_at": credential.revoked_at,
    }
