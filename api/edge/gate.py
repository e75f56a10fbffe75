"""Who calls: the key that a request shows, or nobody in particular where none is asked for.

A key is never logged and never quoted in an answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

from anyio import to_thread
from fastapi import Request
from starlette.types import Scope

from api.edge.addresses import is_loopback
from api.edge.known_keys import KnownKeys
from api.errors import Unauthorized
from jobs.callers import DEFAULT, Caller
from jobs.errors import DatabaseUnavailable
from jobs.tenants.credentials import id_of
from jobs.tenants.ports import OpenCredentials
from jobs.tenants.quotas import count_request
from jobs.tenants.standing import Standing

SHOWN = "this service needs a key: `Authorization: Bearer mm_…`, or `X-API-Key`"
NOT_GOOD = "this key is not known here, or not any more"
NO_KEYS = (
    "this service has no key yet and answers none but its own machine; whoever runs it makes one with "
    "`maskmill keys create --tenant NAME --scope submit`"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """is_open: without any key, everybody is answered, from wherever."""

    known: KnownKeys
    open_unit: OpenCredentials
    is_open: bool

    async def caller(self, request: Request) -> Caller:
        """Counts the request. Raises Unauthorized, RateLimited, DatabaseUnavailable."""
        shown = shown_key(request.headers)
        found = None if shown is None else await self._caller_of(shown)
        if found is None:
            return await self._without_key(request.scope, shown)
        if found.limits.requests_per_minute is not None:
            count = partial(count_request, self.open_unit, found)
            standing = await to_thread.run_sync(count, limiter=self.known.threads)
            request.state.answer_headers = {} if standing is None else rate_headers(standing)
        return found

    async def check_again(self, request: Request) -> None:
        """Of who was let in some time ago and still waits. Raises Unauthorized; not while nobody can tell."""
        caller: Caller = request.state.caller
        with suppress(DatabaseUnavailable):
            if caller.credential is None:
                is_good = not await self.known.are_there()
            else:
                found = await self.known.find(caller.credential)
                is_good = found is not None and found.revoked_at is None
            if not is_good:
                raise Unauthorized(NOT_GOOD, is_wrong=True)

    async def while_good(self, request: Request, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The pieces of a stream, of which nothing more is told once the key is not good any more."""
        async with aclosing(pieces):
            async for piece in pieces:
                try:
                    await self.check_again(request)
                except Unauthorized:
                    return
                yield piece

    async def _caller_of(self, shown: str) -> Caller | None:
        credential_id = id_of(shown)
        found = None if credential_id is None else await self.known.find(credential_id)
        return found.caller if found is not None and found.is_good(shown) else None

    async def _without_key(self, scope: Scope, shown: str | None) -> Caller:
        if await self.known.are_there():
            raise Unauthorized(SHOWN if shown is None else NOT_GOOD, is_wrong=shown is not None)
        if not self.is_open and not came_from_here(scope):
            raise Unauthorized(NO_KEYS)
        return DEFAULT


def shown_key(headers: Mapping[str, str]) -> str | None:
    """As a bearer token, else in a header of its own."""
    kind, _, token = headers.get("authorization", "").strip().partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    return headers.get("x-api-key")


def came_from_here(scope: Scope) -> bool:
    """Whether the connection was made to an address that only this machine has."""
    host = (scope.get("server") or ("", None))[0]
    return is_loopback(host) or host.startswith("/")  # a socket in the file system


def rate_headers(standing: Standing) -> dict[str, str]:
    """Source: IETF draft-ietf-httpapi-ratelimit-headers, "RateLimit header fields for HTTP"."""
    policy, now = f'"{standing.name}";q={standing.limit}', f'"{standing.name}";r={standing.remaining}'
    if standing.period_s is not None:
        policy += f";w={standing.period_s}"
        now += f";t={standing.retry_after_s}"
    return {"RateLimit-Policy": policy, "RateLimit": now}
