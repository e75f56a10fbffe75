"""Keys: an admin makes, lists and revokes those of the own tenant; the operator those of all, and limits them."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Path, Query, Response

from api.access import ADMIN, OPERATOR, is_operator
from api.answers.openapi import problems
from api.dependencies import CallerDep, ServicesDep
from api.errors import Forbidden
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.schemas.credentials import KeyList, KeyShape, KeyView, LimitsShape, NewKeyView, key_view, new_key_view
from jobs.callers import Caller, Limits
from jobs.errors import CredentialNotFound
from jobs.tenants.keyring import Keyring

router = Router(tags=["keys"], dependencies=[ADMIN])

_ID = re.compile(r"key_[a-z0-9]{12}")


async def _key_id(key_id: Annotated[str, Path(description="of `GET /keys`", examples=["key_3f9k2m0q8x1z"])]) -> str:
    """What cannot be an id never reaches the database."""
    if _ID.fullmatch(key_id) is None:
        raise CredentialNotFound(f"there is no key {key_id[:100]!r}")
    return key_id


async def _keyring(services: ServicesDep, caller: CallerDep) -> Keyring:
    """The keys that the caller may see: another tenant's are as if they never were."""
    return Keyring(services.adapters.open_unit, None if is_operator(caller) else caller.tenant)


KeyId = Annotated[str, Depends(_key_id)]
KeyringDep = Annotated[Keyring, Depends(_keyring)]


@router.get("/keys", dependencies=[KNOWN_QUERY], responses=problems(422))
def list_keys(
    keyring: KeyringDep,
    tenant: Annotated[str | None, Query(max_length=100, description="of this one alone", examples=["acme"])] = None,
) -> KeyList:
    """Ids, scopes and limits, never a key."""
    return KeyList(items=[key_view(each) for each in keyring.all(tenant)])


@router.post("/keys", status_code=201, responses=problems(400, 415, 422))
def make_key(shape: KeyShape, response: Response, keyring: KeyringDep, caller: CallerDep) -> NewKeyView:
    """The answer holds the key, this once. With the first one everybody needs a key: make it one of scope `admin`."""
    limits, tenant = shape.limits.limits(), shape.tenant or caller.tenant
    _refuse_more_than_its_own(caller, tenant, limits)
    made, key = keyring.create(tenant, shape.scope, limits)
    response.headers["Location"] = f"/keys/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return new_key_view(made, key, is_first=caller.credential is None)  # who shows none was let in without


def _refuse_more_than_its_own(caller: Caller, tenant: str, limits: Limits) -> None:
    """Limits are counted for each key: who has some could have as much more as it makes keys. Raises Forbidden."""
    if is_operator(caller):
        return
    if tenant != caller.tenant:
        raise Forbidden("only the operator makes keys of another tenant", scope="operator")
    if limits != Limits():
        raise Forbidden("only the operator limits keys", scope="operator")
    if caller.limits != Limits():
        raise Forbidden("a key that has limits makes no others: ask whoever runs the service", scope="operator")


@router.get("/keys/{key_id}", responses=problems(CredentialNotFound))
def get_key(key_id: KeyId, keyring: KeyringDep) -> KeyView:
    """What it may do, and whether it still may."""
    return key_view(keyring.get(key_id))


@router.put("/keys/{key_id}/limits", dependencies=[OPERATOR], responses=problems(CredentialNotFound, 400, 415, 422))
def limit_key(key_id: KeyId, shape: LimitsShape, keyring: KeyringDep) -> KeyView:
    """These limits instead of those it has, in every process within seconds."""
    return key_view(keyring.limit(key_id, shape.limits()))


@router.delete("/keys/{key_id}", status_code=204, responses=problems(CredentialNotFound))
def revoke_key(key_id: KeyId, keyring: KeyringDep) -> None:
    """It is refused for good, in every process within seconds. Also the caller's own."""
    keyring.revoke(key_id)
