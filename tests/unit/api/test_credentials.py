"""Keys that are made, listed, limited and revoked over HTTP: by whom, and that nobody gets more than it has."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs.callers import Limits
from jobs.tenants.keyring import Keyring
from tests.unit.api.house import House
from tests.unit.api.test_keys import AT_ONCE, bearer


@pytest.fixture
def house(house: House) -> House:
    house.settings = house.settings.model_copy(update={"key_memory_s": AT_ONCE})
    return house


@pytest.fixture
def operator(keyring: Keyring) -> dict[str, str]:
    return bearer(keyring.create("default", "admin", Limits())[1])


@pytest.fixture
def admin(keyring: Keyring) -> dict[str, str]:
    return bearer(keyring.create("acme", "admin", Limits())[1])


def made(client: TestClient, headers: dict[str, str], **shape: Any) -> dict[str, Any]:
    answer = client.post("/keys", json=shape, headers=headers)
    assert answer.status_code == 201, answer.json()
    assert answer.headers["location"] == f"/keys/{answer.json()['id']}"
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def test_the_first_key_is_made_on_this_machine_and_shuts_the_door(client: TestClient) -> None:
    key = made(client, {}, scope="admin")
    assert (key["tenant"], key["scope"]) == ("default", "admin")
    assert key["notice"] == "this is the first key: from now on every request needs one, from this machine too"
    assert client.get("/jobs").status_code == 401
    assert client.get("/jobs", headers=bearer(key["key"])).status_code == 200


def test_a_key_is_told_once(client: TestClient, admin: dict[str, str]) -> None:
    key = made(client, admin, scope="submit")
    secret = key.pop("key")
    assert key.pop("notice") is None
    assert client.get("/jobs", headers=bearer(secret)).status_code == 200
    listed = client.get("/keys", headers=admin)
    assert secret not in listed.text
    assert sorted(each["scope"] for each in listed.json()["items"]) == ["admin", "submit"]
    assert key in listed.json()["items"]
    assert client.get(f"/keys/{key['id']}", headers=admin).json() == key


def test_a_revoked_key_is_refused_and_stays_in_the_list(client: TestClient, admin: dict[str, str]) -> None:
    key = made(client, admin, scope="read")
    assert client.delete(f"/keys/{key['id']}", headers=admin).status_code == 204
    assert client.get("/jobs", headers=bearer(key["key"])).status_code == 401
    revoked_at = client.get(f"/keys/{key['id']}", headers=admin).json()["revoked_at"]
    assert revoked_at is not None
    assert client.delete(f"/keys/{key['id']}", headers=admin).status_code == 204
    assert client.get(f"/keys/{key['id']}", headers=admin).json()["revoked_at"] == revoked_at


@pytest.mark.parametrize("scope", ["read", "submit"])
def test_other_scopes_see_and_make_no_keys(client: TestClient, keyring: Keyring, scope: str) -> None:
    headers = bearer(keyring.create("acme", scope, Limits())[1])
    for answer in (client.get("/keys", headers=headers), client.post("/keys", json={"scope": "read"}, headers=headers)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert len(keyring.all()) == 1


def test_another_tenants_keys_are_as_if_they_never_were(
    client: TestClient, admin: dict[str, str], keyring: Keyring
) -> None:
    other, key = keyring.create("zeta", "submit", Limits())
    assert [each["tenant"] for each in client.get("/keys", headers=admin).json()["items"]] == ["acme"]
    assert client.get("/keys?tenant=zeta", headers=admin).json() == {"items": []}
    for answer in (
        client.get(f"/keys/{other.id}", headers=admin),
        client.delete(f"/keys/{other.id}", headers=admin),
        client.get("/keys/key_none", headers=admin),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found")
    assert client.get("/jobs", headers=bearer(key)).status_code == 200


def test_an_admin_makes_no_keys_of_others_and_sets_no_limits(
    client: TestClient, admin: dict[str, str], keyring: Keyring
) -> None:
    shapes: list[dict[str, Any]] = [{"tenant": "zeta"}, {"tenant": "default"}, {"limits": {"images_per_day": 10**9}}]
    for shape in shapes:
        assert client.post("/keys", json={"scope": "admin", **shape}, headers=admin).status_code == 403, shape
    own = keyring.all()[0].id
    assert client.put(f"/keys/{own}/limits", json={}, headers=admin).status_code == 403
    assert len(keyring.all()) == 1


def test_a_key_with_limits_makes_no_key_without(client: TestClient, keyring: Keyring) -> None:
    _, key = keyring.create("acme", "admin", Limits(images_per_day=10))
    assert client.post("/keys", json={"scope": "submit"}, headers=bearer(key)).status_code == 403
    assert len(keyring.all()) == 1


def test_the_operator_makes_and_limits_keys_of_any_tenant(client: TestClient, operator: dict[str, str]) -> None:
    key = made(client, operator, tenant="acme", scope="submit", limits={"requests_per_minute": 2})
    told = {"requests_per_minute": 2, "images_per_day": None, "queued_images": None}
    assert (key["tenant"], key["limits"]) == ("acme", told)
    answers = [client.get("/jobs", headers=bearer(key["key"])).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    limited = client.put(f"/keys/{key['id']}/limits", json={"images_per_day": 5}, headers=operator)
    assert limited.json()["limits"] == {"requests_per_minute": None, "images_per_day": 5, "queued_images": None}
    assert client.get("/jobs", headers=bearer(key["key"])).status_code == 200
    assert [each["id"] for each in client.get("/keys?tenant=acme", headers=operator).json()["items"]] == [key["id"]]
    assert len(client.get("/keys", headers=operator).json()["items"]) == 2


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ({}, "scope"),
        ({"scope": "root"}, "scope"),
        ({"scope": "read", "tenant": "No Tenant"}, "tenant"),
        ({"scope": "read", "limits": {"images_per_day": 0}}, "limits.images_per_day"),
        ({"scope": "read", "limits": {"images": 3}}, "limits.images"),
        ({"scope": "read", "key": "mm_mine"}, "key"),
    ],
)
def test_what_makes_no_key_is_told_by_field(
    client: TestClient, operator: dict[str, str], keyring: Keyring, shape: dict[str, Any], field: str
) -> None:
    answer = client.post("/keys", json=shape, headers=operator)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert len(keyring.all()) == 1
