"""Keys, and what was asked with them, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.callers import Limits
from jobs.errors import CredentialNotFound
from jobs.ports import UnitOfWork
from jobs.tenants.credentials import Credential
from jobs.tenants.window import Use
from tests.factories import NOON
from tests.job_steps import Units, add, claimed, finish, succeeded

LIMITS = Limits(requests_per_minute=60, images_per_day=10**6, queued_images=5)


def credential(name: str = "key_1", tenant: str = "acme", limits: Limits = LIMITS) -> Credential:
    return Credential(id=name, tenant=tenant, scope="submit", digest="ab" * 32, created_at=NOON, limits=limits)


def keep(open_unit: Units, *credentials: Credential) -> None:
    with open_unit() as unit:
        for each in credentials:
            unit.credentials.add(each)
        unit.commit()


def test_a_key_comes_back_as_it_was_kept(open_unit: Units) -> None:
    free = credential("key_2", limits=Limits())
    with open_unit() as unit:
        assert not unit.credentials.exist()
    keep(open_unit, free, credential())
    with open_unit() as unit:
        assert unit.credentials.exist()
        assert unit.credentials.find("key_1") == credential()
        assert unit.credentials.find("key_3") is None
        assert unit.credentials.several({"key_1", "key_3"}) == {"key_1": credential()}
        assert list(unit.credentials.all()) == [credential(), free]


def test_a_revoked_key_stays_revoked_from_the_first_time_on(open_unit: Units) -> None:
    keep(open_unit, credential())
    with open_unit() as unit:
        revoked = unit.credentials.revoke("key_1")
        unit.commit()
    assert revoked.revoked_at == NOON
    with open_unit.at(NOON + timedelta(hours=1)) as unit:
        assert unit.credentials.revoke("key_1") == revoked
        assert unit.credentials.limit("key_1", Limits()).revoked_at == NOON
        unit.commit()
    with open_unit() as unit:
        assert unit.credentials.find("key_1") == Credential(
            id="key_1", tenant="acme", scope="submit", digest="ab" * 32, created_at=NOON, revoked_at=NOON
        )


def test_what_is_no_key_can_neither_be_revoked_nor_limited(open_unit: Units) -> None:
    with open_unit() as unit, pytest.raises(CredentialNotFound):
        unit.credentials.revoke("key_1")
    with open_unit() as unit, pytest.raises(CredentialNotFound):
        unit.credentials.limit("key_1", LIMITS)


def test_a_tenant_sees_its_own_keys_alone(open_unit: Units) -> None:
    keep(open_unit, credential())
    with open_unit("zeta") as unit:
        assert not unit.credentials.exist()
        assert unit.credentials.find("key_1") is None
        assert list(unit.credentials.all()) == []
        with pytest.raises(CredentialNotFound):
            unit.credentials.revoke("key_1")
    with open_unit("acme") as unit:
        assert list(unit.credentials.all()) == [credential()]


def count(unit: UnitOfWork, amount: int = 1) -> Use:
    return unit.usage.add("key_1", "requests", amount, period_s=60)


def test_what_was_used_counts_until_its_part_is_older_than_the_period(open_unit: Units) -> None:
    """Parts of 2.5 seconds; it is noon, where one begins."""
    for seconds, use in ((0, Use(1, 62.5)), (20, Use(2, 42.5)), (62, Use(3, 0.5)), (63, Use(3, 19.5))):
        with open_unit.at(NOON + timedelta(seconds=seconds), tenant="acme") as unit:
            assert count(unit) == use
            unit.commit()
            assert unit.usage.so_far("key_1", "requests", period_s=60) == use
    with open_unit.at(NOON + timedelta(seconds=200), tenant="acme") as unit:
        assert unit.usage.so_far("key_1", "requests", period_s=60) == Use(0, 0)


def test_each_key_and_each_kind_is_counted_for_itself(open_unit: Units) -> None:
    with open_unit("acme") as unit:
        assert count(unit, 5).used == 5
        assert unit.usage.add("key_1", "images", 7, period_s=60).used == 7
        assert unit.usage.add("key_2", "requests", 1, period_s=60).used == 1
        unit.commit()
    with open_unit("zeta") as unit:
        assert unit.usage.so_far("key_1", "requests", period_s=60) == Use(0, 0)


def test_what_is_not_committed_was_not_used(open_unit: Units) -> None:
    with open_unit("acme") as unit:
        count(unit, 5)
    with open_unit("acme") as unit:
        assert count(unit).used == 1


def test_images_that_wait_are_those_of_the_keys_unfinished_jobs(open_unit: Units) -> None:
    for job_id, key in (("job_1", "key_1"), ("job_2", "key_1"), ("job_3", "key_2"), ("job_4", None)):
        add(open_unit, 3, job_id=job_id, tenant="acme", credential=key)
    with open_unit("acme") as unit:
        assert unit.usage.queued("key_1") == 6
        assert unit.jobs.get("job_3").credential == "key_2"
        assert unit.jobs.get("job_4").credential is None
    claimed(open_unit)
    finish(open_unit, *(succeeded(index) for index in range(3)))
    with open_unit("acme") as unit:
        assert unit.usage.queued("key_1") == 3
    with open_unit("zeta") as unit:
        assert unit.usage.queued("key_1") == 0
