"""Idempotency keys: what is kept of a request, so that it makes one job however often it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """fingerprint: of the body. It and job_id are None while the first request is still being read."""

    fingerprint: str | None
    job_id: str | None


class IdempotencyRepository(Protocol):
    """The idempotency keys of one tenant: of the unit's, or of the default one. A holder is one request's own token."""

    def begin(self, idempotency_key: str, *, holder: str, patience_s: float) -> IdempotencyRecord | None:
        """Reserve the key; also one whose holder did not end and gave no sign of life for `patience_s`.

        None when it is ours now, else the record that was first.
        """

    def renew(self, idempotency_key: str, *, holder: str) -> None:
        """The holder's request is still being read. Nothing happens when it has ended or lost the key."""

    def complete(self, idempotency_key: str, *, holder: str, fingerprint: str, job_id: str) -> None:
        """Raises IdempotencyKeyLost when another request has taken the key over."""

    def abandon(self, idempotency_key: str, *, holder: str) -> None:
        """The holder's request failed: the key is free again, unless another request has it."""

    def forget(self, *, older_than_s: float) -> None: ...
