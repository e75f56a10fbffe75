"""The `Prefer` header (RFC 7240): how long a client wants to wait for an answer that takes time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from jobs.errors import FieldFault, InvalidOptions

_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')  # commas within quotes separate nothing


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


def parse_preference(header: str, *, limit_s: int) -> Preference:
    """Unknown preferences are passed over, and of one that comes again the first counts, as RFC 7240 asks. Raises
    InvalidOptions for an impossible wait."""
    wait_s: int | None = None
    respond_async = False
    for token in _MEMBER.findall(header):
        name, _, value = (part.strip() for part in token.split(";")[0].partition("="))
        if name.lower() == "respond-async":
            respond_async = True
        elif name.lower() == "wait" and wait_s is None:
            wait_s = _wait(value.strip('"'), limit_s)
    return Preference(wait_s, respond_async)


def _wait(value: str, limit_s: int) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 9 or int(value) > limit_s:
        said = f"wait must be a whole number from 0 to {limit_s}, got {value[:40]!r}"
        raise InvalidOptions([FieldFault("Prefer", said)])
    return int(value)


async def _all_lines(
    request: Request,
    _prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            max_length=200,
            description="`wait=N` (seconds) answers when the job has ended, or after N seconds; `respond-async` at "
            "once",
            examples=["wait=30"],
        ),
    ] = None,
) -> str:
    """Several header lines say the same as one."""
    return ",".join(request.headers.getlist("prefer"))


PreferHeader = Annotated[str, Depends(_all_lines)]
