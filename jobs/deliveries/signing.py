"""Secrets and signatures in the form of Standard Webhooks. Source: standardwebhooks.com, specification 1.0.0.

A tenant has one secret. For a day after it was changed the old one signs too, so that receivers can follow.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

PREFIX = "whsec_"
SECRET_BYTES = 32
BOTH_SIGN_S = 24 * 3600.0


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """previous: signs too until `previous_until`."""

    current: str
    made_at: datetime
    previous: str | None = None
    previous_until: datetime | None = None

    def valid(self, now: datetime) -> tuple[str, ...]:
        """Those that sign, the current one first."""
        if self.previous is None or self.previous_until is None or self.previous_until <= now:
            return (self.current,)
        return (self.current, self.previous)

    def rotated(self, secret: str, *, now: datetime) -> Secrets:
        """Never three: what was the previous one signs no more."""
        until = now + timedelta(seconds=BOTH_SIGN_S)
        return Secrets(current=secret, made_at=now, previous=self.current, previous_until=until)


def signed_headers(delivery_id: str, body: str, signing: tuple[str, ...], *, now: datetime) -> Mapping[str, str]:
    """now: of this try; receivers refuse what is older than a few minutes."""
    timestamp = str(int(now.timestamp()))
    said = f"{delivery_id}.{timestamp}.{body}".encode()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, said) for secret in signing),
    }


def _signature(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
