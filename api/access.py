"""Who may call which route. Each route declares it, itself or through its router: `dependencies=[READ]`.

A route that declares nothing is found by `tests/unit/api/test_access.py`. Who calls, `edge/gate.py` finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Depends, Request
from starlette.routing import BaseRoute

from api.edge.gate import Gate
from api.errors import Forbidden
from jobs.callers import DEFAULT_TENANT, SCOPES, Caller

OPERATOR_SCOPE = "operator"
_GIVERS = "which whoever runs the service can make, or has an admin key of this tenant"
_NEEDED = {
    **{scope: f"a key of scope {scope}, {_GIVERS}" for scope in SCOPES},
    "admin": "a key of scope admin, which whoever runs the service can make",
    OPERATOR_SCOPE: "an admin key of whoever runs the service",
}


@dataclass(frozen=True, slots=True)
class Access:
    """scope: what the caller's key must allow, or `operator`; None: nobody is asked for a key."""

    scope: str | None

    async def __call__(self, request: Request) -> None:
        """Leaves the caller in `request.state`. Raises Unauthorized, Forbidden, RateLimited, DatabaseUnavailable."""
        if self.scope is None:
            return
        if not hasattr(request.state, "caller"):
            request.state.caller = await cast(Gate, request.app.state.services.gate).caller(request)
        caller: Caller = request.state.caller
        if not _may(caller, self.scope):
            raise Forbidden(f"this needs {_NEEDED[self.scope]}; the key has {caller.scope}", scope=self.scope)


OPEN = Depends(Access(None))
READ = Depends(Access("read"))  # sees what its tenant has
SUBMIT = Depends(Access("submit"))  # makes, changes and deletes jobs
ADMIN = Depends(Access("admin"))  # changes how the service treats the tenant: webhook secret, default webhook, keys
OPERATOR = Depends(Access(OPERATOR_SCOPE))  # sees numbers of all tenants: an `admin` key of the tenant `default`

OPEN_PATHS = frozenset({"/openapi.json"})  # routes of the framework, which declare nothing


def declared(route: BaseRoute) -> Access | None:
    """What a route and its router declare; of several the strictest counts. None: nothing."""
    dependant = getattr(route, "dependant", None)
    calls = [] if dependant is None else [each.call for each in dependant.dependencies]
    found = [call for call in calls if isinstance(call, Access)]
    return max(found, key=_strictness, default=None)


def _strictness(access: Access) -> int:
    return (None, *SCOPES, OPERATOR_SCOPE).index(access.scope)


def is_operator(caller: Caller) -> bool:
    return caller.tenant == DEFAULT_TENANT and caller.may("admin")


def _may(caller: Caller, scope: str) -> bool:
    return is_operator(caller) if scope == OPERATOR_SCOPE else caller.may(scope)
