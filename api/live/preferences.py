"""The `Prefer` header (RFC 7240): how long a client wants to wait for an answer that takes time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Header

from jobs.errors import FieldFault, InvalidOptions


@dataclass(frozen=True, slots=True)
class Preference:
    """wait_s: None when the client did not ask to wait."""

    wait_s: int | None = None
    respond_async: bool = False

    @property
    def applied(self) -> str | None:
        """For `Preference-Applied`."""
        if self.wait_s is not None and not self.respond_async:
            return f"wait={self.wait_s}"
        return "respond-async" if self.respond_async else None


def parse_preference(header: str | None, *, limit_s: int) -> Preference:
    """Unknown preferences are passed over, as RFC 7240 asks. Raises InvalidOptions for an impossible wait."""
    wait_s: int | None = None
    respond_async = False
    for token in (header or "").split(","):
        name, _, value = (part.strip() for part in token.split(";")[0].partition("="))
        if name.lower() == "respond-async":
            respond_async = True
        elif name.lower() == "wait":
            wait_s = _wait(value.strip('"'), limit_s)
    return Preference(wait_s, respond_async)


def _wait(value: str, limit_s: int) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) > limit_s:
        raise InvalidOptions([FieldFault("Prefer", f"wait must be a whole number from 0 to {limit_s}, got {value!r}")])
    return int(value)


PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer",
        max_length=200,
        description="`wait=N` (seconds) answers when the job has ended, or after N seconds; `respond-async` at once",
        examples=["wait=30"],
    ),
]
