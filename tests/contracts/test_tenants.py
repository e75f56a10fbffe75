"""A unit of work that was opened for a tenant sees that tenant's rows alone, whatever it asks, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jobs.errors import JobNotFound
from jobs.job import ImageStatus, JobStatus, Priority, Slice
from jobs.listing.filters import JobFilter
from jobs.ports import Finished, Remains, UnitOfWork
from tests.factories import NOON, make_images, make_job
from tests.job_steps import Units, add, claimed, ended_job, every_image, failed, finish, get, image, succeeded

PIECE = Slice(job_id="job_1", first=0, last=9, priority=Priority.INTERACTIVE)
MUCH_LATER = NOON + timedelta(hours=1)

READS: dict[str, Callable[[UnitOfWork], object]] = {
    "get": lambda unit: unit.jobs.get("job_1"),
    "cancel": lambda unit: unit.jobs.request_cancel("job_1"),
    "requeue": lambda unit: unit.jobs.requeue_failed("job_1"),
    "delete": lambda unit: unit.jobs.mark_deleted("job_1"),
    "image": lambda unit: unit.images.get("job_1", 0),
    "images": lambda unit: unit.images.page("job_1", sort="index", limit=9, after=None),
    "since": lambda unit: unit.images.since("job_1", 0, limit=9),
}

LISTS: dict[str, tuple[Callable[[UnitOfWork], Any], object]] = {
    "page": (lambda unit: list(unit.jobs.page(JobFilter(), limit=9, before=None)), []),
    "several": (lambda unit: list(unit.jobs.several(["job_1"])), []),
    "versions": (lambda unit: unit.jobs.versions(["job_1"]), {}),
    "ahead_of": (lambda unit: unit.jobs.ahead_of(["job_1"]), {}),
    "expired": (lambda unit: list(unit.jobs.expired(limit=9)), []),
    "deleted": (lambda unit: list(unit.jobs.deleted(limit=9)), []),
    "stale drafts": (lambda unit: list(unit.drafts.stale(older_than_s=-9, limit=9)), []),
    "claim": (lambda unit: unit.images.claim(PIECE, worker="w", lease_s=1), None),
    "renew": (lambda unit: unit.images.renew("job_1", {0: 1}, lease_s=1)[0], frozenset()),
    "finish": (lambda unit: unit.images.finish("job_1", [succeeded(0)]), Finished((), frozenset({0}))),
    "free": (lambda unit: list(unit.images.free_expired(losses=9, limit=9)), []),
    "resend": (lambda unit: list(unit.images.resend_due(silent_s=0, priorities=list(Priority), limit=9)), []),
    "newest running": (lambda unit: unit.images.newest_running_s(Priority.INTERACTIVE), None),
}


@pytest.mark.parametrize("name", READS)
def test_another_tenants_job_is_not_found(open_unit: Units, name: str):
    ended_job(open_unit, succeeded(0), failed(1), tenant="acme")
    before = get(open_unit)
    with open_unit("zeta") as unit, pytest.raises(JobNotFound):
        READS[name](unit)
        unit.commit()
    assert get(open_unit) == before


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("state", ["queued", "running", "hidden"])
def test_nothing_of_another_tenant_is_seen_or_changed(open_unit: Units, name: str, state: str):
    call, nothing = LISTS[name]
    put_in_state(open_unit, state)
    with open_unit.at(MUCH_LATER) as unit:
        unit.drafts.open("job_2", prefix="x/")
        unit.commit()
    with open_unit("zeta") as unit:
        assert call(unit) == nothing
        unit.commit()
    with open_unit("acme") as unit:
        assert bool(unit.jobs.deleted(limit=9)) is (state == "hidden")
    if state != "hidden":
        assert image(open_unit).status is ImageStatus(state)
        assert get(open_unit).version == (2 if state == "running" else 1)


def put_in_state(open_unit: Units, state: str) -> None:
    if state == "hidden":
        ended_job(open_unit, succeeded(0), tenant="acme")
        with open_unit("acme") as unit:
            unit.jobs.mark_deleted("job_1")
            unit.commit()
        return
    add(open_unit, 1, tenant="acme", expires_at=NOON)
    if state == "running":
        claimed(open_unit)


def test_another_tenants_rows_outlive_every_deletion(open_unit: Units):
    add(open_unit, 2, tenant="acme")
    with open_unit("acme") as unit:
        unit.drafts.open("job_2", prefix="acme/jobs/job_2/")
        unit.idempotency.begin("k", holder="h", patience_s=60)
        unit.commit()
    with open_unit.at(MUCH_LATER) as unit:
        pass
    with open_unit("zeta") as unit:
        unit.jobs.purge("job_1")
        unit.images.unsend([PIECE])
        unit.drafts.close("job_2")
        unit.idempotency.abandon("k", holder="h")
        unit.idempotency.forget(older_than_s=0)
        unit.commit()
    with open_unit("acme") as unit:
        assert len(every_image(unit, "job_1")) == 2
        assert unit.images.get("job_1", 0).sent_at == NOON
        assert list(unit.drafts.stale(older_than_s=0, limit=9)) == [Remains("job_2", "acme/jobs/job_2/")]
        assert unit.idempotency.begin("k", holder="other", patience_s=1e6) is not None


def test_a_tenant_works_with_its_own(open_unit: Units):
    add(open_unit, 2, tenant="acme")
    with open_unit("acme") as unit:
        claim = unit.images.claim(PIECE, worker="w", lease_s=60)
        assert claim is not None
        assert unit.images.renew("job_1", {0: 1}, lease_s=60) == (frozenset({0}), False)
        assert unit.images.finish("job_1", [succeeded(0), failed(1)]).ended == (0, 1)
        assert unit.jobs.requeue_failed("job_1").status is JobStatus.QUEUED
        assert unit.jobs.request_cancel("job_1").status is JobStatus.CANCELED
        unit.jobs.mark_deleted("job_1")
        assert list(unit.jobs.deleted(limit=9)) == [Remains("job_1", "default/jobs/job_1/")]
        unit.jobs.purge("job_1")
        unit.commit()
    with open_unit() as unit:
        assert list(unit.jobs.deleted(limit=9)) == []


def test_whoever_is_opened_for_nobody_sees_all(open_unit: Units):
    for tenant, job_id in (("acme", "job_1"), ("zeta", "job_2")):
        add(open_unit, 1, tenant=tenant, job_id=job_id)
    with open_unit() as unit:
        assert [job.tenant for job in unit.jobs.page(JobFilter(), limit=9, before=None)] == ["zeta", "acme"]


def test_the_place_in_the_queue_counts_the_tenants_own_jobs(open_unit: Units):
    for job_id, tenant in (("job_1", "acme"), ("job_2", "zeta"), ("job_3", "zeta")):
        add(open_unit, 1, tenant=tenant, job_id=job_id)
    with open_unit("zeta") as unit:
        assert unit.jobs.ahead_of(["job_1", "job_2", "job_3"]) == {"job_2": 0, "job_3": 1}
    with open_unit() as unit:
        assert unit.jobs.ahead_of(["job_1", "job_2", "job_3"]) == {"job_1": 0, "job_2": 0, "job_3": 1}


def test_a_tenant_makes_jobs_of_its_own_alone(open_unit: Units):
    with pytest.raises(ValueError, match=r"another"), open_unit("zeta") as unit:
        unit.jobs.add(make_job(tenant="acme"), make_images(3))


def test_two_tenants_may_use_one_idempotency_key(open_unit: Units):
    for tenant in ("acme", "zeta", None):
        with open_unit(tenant) as unit:
            assert unit.idempotency.begin("k", holder="h", patience_s=60) is None
            unit.commit()
    with open_unit("default") as unit:  # whose a key of a unit for nobody is
        assert unit.idempotency.begin("k", holder="other", patience_s=60) is not None


def test_a_job_is_read_and_finished_under_its_tenant(open_unit: Units):
    add(open_unit, 1, tenant="acme", prefix="acme/jobs/job_1/")
    claimed(open_unit)
    finish(open_unit, succeeded(0))
    with open_unit("acme") as unit:
        job = unit.jobs.get("job_1")
    assert (job.tenant, job.prefix, job.status) == ("acme", "acme/jobs/job_1/", JobStatus.SUCCEEDED)
