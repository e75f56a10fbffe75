"""Keys: what they look like, what is kept of them, what whoever runs the service does with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.callers import Caller, Limits
from jobs.errors import CredentialNotFound, InvalidOptions
from jobs.tenants.credentials import Credential, digest_of, id_of, new_key
from jobs.tenants.keyring import Keyring
from tests.memory_database import MemoryDatabase

KEY = "mm_" + "a" * 12 + "_" + "B" * 43


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def keyring(database: MemoryDatabase) -> Keyring:
    return Keyring(database.unit)


def test_a_key_names_its_credential_and_holds_256_bits_of_chance() -> None:
    credential_id, key = new_key()
    assert id_of(key) == credential_id
    assert len(key.split("_", 2)[2]) == 43
    assert new_key()[1] != key


@pytest.mark.parametrize("text", ["", "mm_", "mm_short_x", "xx" + KEY, KEY + "\n", KEY.upper(), "é" * 60])
def test_what_cannot_be_a_key_names_nothing(text: str) -> None:
    assert id_of(text) is None


def test_the_key_itself_is_kept_nowhere(keyring: Keyring, database: MemoryDatabase) -> None:
    made, key = keyring.create("acme", "submit", Limits(images_per_day=9))
    with database.unit() as unit:
        kept = unit.credentials.find(made.id)
    assert kept == made
    assert key not in repr(kept)
    assert made.digest == digest_of(key)


def test_a_key_is_good_until_it_is_revoked(keyring: Keyring) -> None:
    made, key = keyring.create("acme", "read", Limits())
    assert made.is_good(key)
    assert not made.is_good(key[:-1] + ("A" if key[-1] != "A" else "B"))
    assert not keyring.revoke(made.id).is_good(key)


def test_whoever_shows_a_key_has_its_tenant_scope_and_limits(keyring: Keyring) -> None:
    made, _ = keyring.create("acme", "submit", Limits(queued_images=3))
    assert made.caller == Caller("acme", "submit", made.id, Limits(queued_images=3))


@pytest.mark.parametrize(
    ("tenant", "scope", "fields"),
    [("Acme", "read", ["tenant"]), ("acme", "all", ["scope"]), ("", "", ["tenant", "scope"])],
)
def test_a_key_needs_a_plain_tenant_and_a_known_scope(
    keyring: Keyring, tenant: str, scope: str, fields: list[str]
) -> None:
    with pytest.raises(InvalidOptions) as caught:
        keyring.create(tenant, scope, Limits())
    assert [fault.field for fault in caught.value.faults] == fields


def test_keys_are_listed_and_limited(keyring: Keyring) -> None:
    made = [keyring.create(tenant, "read", Limits())[0] for tenant in ("acme", "zeta")]
    assert {each.id for each in keyring.all()} == {each.id for each in made}
    assert [each.tenant for each in keyring.all("zeta")] == ["zeta"]
    own = replace(keyring, tenant="acme")
    assert ([each.tenant for each in own.all()], own.all("acme"), own.all("zeta")) == (["acme"], own.all(), [])
    limited = keyring.limit(made[0].id, Limits(requests_per_minute=5))
    assert keyring.get(made[0].id) == limited
    assert limited.limits == Limits(requests_per_minute=5)


def test_what_is_no_key_is_not_found(keyring: Keyring) -> None:
    for call in (keyring.get, keyring.revoke):
        with pytest.raises(CredentialNotFound):
            call("key_none")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    with pytest.raises(ValueError, match="images_per_day"):
        Limits(images_per_day=limit)


def test_a_credential_without_limits_has_none() -> None:
    assert not Limits(requests_per_minute=1).of_images
    assert Credential.__dataclass_fields__["limits"].default == Limits()
