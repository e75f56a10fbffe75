"""Deliveries are written with the change that causes them, taken once, and given up when nobody wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.deliveries.delivery import Backlog, Delivery, DeliveryStatus, Reply
from jobs.deliveries.endpoint import COMPLETED, EVENTS, PROGRESS, STARTED, Endpoint
from jobs.deliveries.message import ping
from jobs.deliveries.ports import AtOnce
from jobs.deliveries.schedule import after_try
from jobs.errors import DeliveryNotFound, JobNotFound
from jobs.options import JobOptions
from telemetry import trail
from tests.factories import NOON
from tests.job_steps import (
    Units,
    add,
    again,
    cancel,
    claimed,
    failed,
    finish,
    free_expired,
    get,
    requeue,
    succeeded,
)

URL = "https://example.org/hook"
OK, BROKEN, GONE = (Reply(status_code=code) for code in (204, 500, 410))


def told(*events: str, url: str = URL) -> JobOptions:
    return JobOptions(model="tiny", label_space="camvid-11", webhook=Endpoint(url=url, events=events or EVENTS))


def page(open_unit: Units, job_id: str = "job_1") -> Sequence[Delivery]:
    with open_unit() as unit:
        return unit.deliveries.page(job_id, limit=99)


def events(open_unit: Units, job_id: str = "job_1") -> list[str]:
    return [each.event for each in page(open_unit, job_id)]


def take(
    open_unit: Units, *, after_s: float = 0, limit: int = 9, per_host: int = 9, per_tenant: int = 99
) -> list[Delivery]:
    at_once = AtOnce(per_host=per_host, per_tenant=per_tenant)
    with open_unit.at(NOON + timedelta(seconds=after_s)) as unit:
        found = unit.deliveries.claim(limit=limit, at_once=at_once, lease_s=30)
        unit.commit()
    return list(found)


def end(open_unit: Units, delivery: Delivery, reply: Reply) -> bool:
    with open_unit() as unit:
        done = unit.deliveries.end_try(after_try(delivery, reply, now=unit.now, chance=0.5))
        unit.commit()
    return done


def done_job(open_unit: Units, job_id: str = "job_1", **options: str) -> None:
    """Owes `job.started` and `job.completed`."""
    add(open_unit, 1, job_id=job_id, options=told(**options))
    claimed(open_unit, job_id=job_id)
    finish(open_unit, succeeded(0), job_id=job_id)


def test_nothing_is_owed_for_a_job_that_names_no_receiver(open_unit: Units):
    add(open_unit, 1)
    claimed(open_unit)
    finish(open_unit, succeeded(0))
    assert events(open_unit) == []
    assert get(open_unit).told_at is None


def test_a_job_owes_what_happened_to_it_in_order(open_unit: Units):
    add(open_unit, 3, options=told())
    assert events(open_unit) == []
    claimed(open_unit)
    finish(open_unit, succeeded(0), now=NOON + timedelta(seconds=4.9))
    finish(open_unit, succeeded(1), now=NOON + timedelta(seconds=5))
    finish(open_unit, succeeded(2), now=NOON + timedelta(seconds=5.1))
    found = page(open_unit)
    assert [each.event for each in found] == [STARTED, PROGRESS, COMPLETED]
    assert [each.version for each in found] == [2, 4, 5]
    assert {each.tenant for each in found} == {"default"}
    assert [each.created_at for each in found] == [NOON + timedelta(seconds=s) for s in (0, 5, 5.1)]
    assert get(open_unit).told_at == found[-1].created_at


def test_what_is_not_asked_for_is_not_owed(open_unit: Units):
    add(open_unit, 2, options=told(COMPLETED))
    claimed(open_unit)
    finish(open_unit, succeeded(0), now=NOON + timedelta(hours=1))
    finish(open_unit, succeeded(1))
    assert events(open_unit) == [COMPLETED]


def test_a_transaction_that_is_rolled_back_owes_nothing(open_unit: Units):
    add(open_unit, 1, options=told())
    with open_unit() as unit:
        unit.jobs.request_cancel("job_1")
    assert events(open_unit) == []


def test_a_job_that_is_canceled_or_lost_or_tried_again_tells_of_it(open_unit: Units):
    add(open_unit, 1, options=told())
    add(open_unit, 1, job_id="job_2", options=told())
    cancel(open_unit)
    assert events(open_unit) == [COMPLETED]
    claimed(open_unit, job_id="job_2")
    free_expired(open_unit, now=NOON + timedelta(hours=1), losses=1)
    requeue(open_unit, "job_2")
    claimed(open_unit, job_id="job_2")
    finish(open_unit, failed(0, attempt=2), job_id="job_2")
    assert events(open_unit, "job_2") == [STARTED, COMPLETED, STARTED, COMPLETED]


def test_an_image_that_waits_again_is_no_progress(open_unit: Units):
    add(open_unit, 1, options=told(PROGRESS))
    claimed(open_unit)
    finish(open_unit, again(0), now=NOON + timedelta(hours=1))
    assert events(open_unit) == []


def test_one_progress_of_a_job_waits_at_a_time(open_unit: Units):
    add(open_unit, 4, options=told(PROGRESS))
    claimed(open_unit)
    for index in range(2):
        finish(open_unit, succeeded(index), now=NOON + timedelta(minutes=1 + index))
    assert events(open_unit) == [PROGRESS]
    end(open_unit, take(open_unit, after_s=3600)[0], OK)
    finish(open_unit, succeeded(2), now=NOON + timedelta(minutes=9))
    assert events(open_unit) == [PROGRESS, PROGRESS]


def test_a_delivery_is_read_as_it_was_written(open_unit: Units):
    done_job(open_unit)
    first = page(open_unit)[0]
    assert (first.job_id, first.url, first.status, first.tries, first.log) == ("job_1", URL, "pending", 0, ())
    assert first.due_at == NOON
    with open_unit() as unit:
        assert unit.deliveries.get(first.id) == first
        with pytest.raises(DeliveryNotFound):
            unit.deliveries.get("dlv_0")


def test_pages_go_on_behind_a_version(open_unit: Units):
    done_job(open_unit)
    with open_unit() as unit:
        (first,) = unit.deliveries.page("job_1", limit=1)
        (second,) = unit.deliveries.page("job_1", limit=9, after=first.version)
        assert (first.event, second.event) == (STARTED, COMPLETED)
        with pytest.raises(JobNotFound):
            unit.deliveries.page("job_9", limit=1)


def test_only_the_first_of_a_job_is_taken_and_only_once(open_unit: Units):
    done_job(open_unit)
    (taken,) = take(open_unit)
    assert (taken.event, taken.claims, taken.lease_until) == (STARTED, 1, NOON + timedelta(seconds=30))
    assert take(open_unit) == []
    assert end(open_unit, taken, OK)
    (second,) = take(open_unit)
    assert second.event == COMPLETED
    assert end(open_unit, second, OK)
    assert [each.status for each in page(open_unit)] == ["delivered", "delivered"]
    assert take(open_unit, after_s=1e6) == []


def test_a_failed_one_waits_and_holds_up_what_comes_after_it(open_unit: Units):
    done_job(open_unit)
    (taken,) = take(open_unit)
    assert end(open_unit, taken, BROKEN)
    assert take(open_unit, after_s=4.9) == []
    (again,) = take(open_unit, after_s=5)
    assert (again.id, again.tries, again.claims) == (taken.id, 1, 2)
    assert [(done.status_code, done.error) for done in again.log] == [(500, None)]


def test_an_exhausted_one_lets_the_next_go(open_unit: Units):
    done_job(open_unit)
    (taken,) = take(open_unit)
    end(open_unit, replace(taken, tries=10), BROKEN)
    assert [each.status for each in page(open_unit)] == ["exhausted", "pending"]
    assert [each.event for each in take(open_unit)] == [COMPLETED]


def test_a_claim_that_is_never_ended_runs_out(open_unit: Units):
    done_job(open_unit)
    (lost,) = take(open_unit)
    assert take(open_unit, after_s=29.9) == []
    (again,) = take(open_unit, after_s=30)
    assert (again.id, again.claims, again.tries) == (lost.id, 2, 0)
    assert not end(open_unit, lost, OK)
    assert end(open_unit, again, OK)
    assert not end(open_unit, again, BROKEN)


def test_a_receiver_that_is_gone_is_told_nothing_more(open_unit: Units):
    done_job(open_unit)
    done_job(open_unit, "job_2")
    done_job(open_unit, "job_3", url="https://example.org/other")
    (taken, *_) = take(open_unit)
    assert end(open_unit, taken, GONE)
    assert {each.status for each in page(open_unit)} == {DeliveryStatus.GONE}
    assert {each.status for each in page(open_unit, "job_2")} == {DeliveryStatus.GONE}
    assert {each.status for each in page(open_unit, "job_3")} == {DeliveryStatus.PENDING}


def test_what_happens_to_a_job_whose_receiver_is_gone_is_not_owed(open_unit: Units):
    add(open_unit, 1, options=told())
    claimed(open_unit)
    end(open_unit, take(open_unit)[0], GONE)
    finish(open_unit, succeeded(0))
    assert events(open_unit) == [STARTED]


def test_what_is_sent_knows_the_request_that_its_job_came_from(open_unit: Units):
    with trail.following({"request_id": "r-1"}):
        add(open_unit, 1, options=told())
    done_job(open_unit, "job_2")
    claimed(open_unit)
    found = {each.job_id: each.origin for each in take(open_unit)}
    assert found == {"job_1": {"request_id": "r-1"}, "job_2": {}}


def test_one_host_is_not_sent_more_at_a_time_than_it_may(open_unit: Units):
    for number in range(4):
        done_job(open_unit, f"job_{number}", url="https://slow.example/a")
    done_job(open_unit, "job_9", url="https://quick.example/a")
    assert [each.job_id for each in take(open_unit, per_host=2)] == ["job_0", "job_1", "job_9"]
    assert take(open_unit, per_host=2) == []
    assert [each.job_id for each in take(open_unit, per_host=3)] == ["job_2"]


def test_who_has_many_hosts_holds_up_nobody_else(open_unit: Units):
    for number in range(4):
        done_job(open_unit, f"job_{number}", url=f"https://slow-{number}.example/a")
    add(open_unit, 1, job_id="job_9", tenant="zeta", options=told())
    claimed(open_unit, job_id="job_9")
    assert [each.job_id for each in take(open_unit, per_tenant=2, limit=3)] == ["job_0", "job_1", "job_9"]
    assert take(open_unit, per_tenant=2) == []
    assert [each.job_id for each in take(open_unit, per_tenant=3)] == ["job_2"]


def test_a_host_that_failed_is_tried_one_at_a_time(open_unit: Units):
    for number in range(4):
        done_job(open_unit, f"job_{number}")
    for each in take(open_unit, limit=2):
        end(open_unit, each, BROKEN)
    (first,) = take(open_unit, after_s=60)
    assert take(open_unit, after_s=60) == []
    end(open_unit, first, OK)
    assert len(take(open_unit, after_s=60)) == 1


def test_a_ping_does_not_wait_for_what_is_sent_to_a_host_that_failed(open_unit: Units):
    for number in range(4):
        done_job(open_unit, f"job_{number}")
    for each in take(open_unit, limit=2):
        end(open_unit, each, BROKEN)
    (owed,) = take(open_unit, after_s=60)
    asked = ping("default", Endpoint(url=URL), now=NOON + timedelta(seconds=70))
    with open_unit() as unit:
        unit.deliveries.add(asked)
        unit.commit()
    assert take(open_unit, after_s=70, per_tenant=1) == []
    assert [each.id for each in take(open_unit, after_s=70, per_tenant=2)] == [asked.id]
    end(open_unit, owed, OK)
    assert take(open_unit, after_s=70) == []  # it is sent to now


def test_another_tenants_deliveries_to_a_host_take_nobodys_place(open_unit: Units):
    for tenant in ("acme", "zeta"):
        for number in range(2):
            add(open_unit, 1, job_id=f"job_{tenant}_{number}", tenant=tenant, options=told())
            claimed(open_unit, job_id=f"job_{tenant}_{number}")
    taken = take(open_unit, per_host=1)
    assert sorted(each.tenant for each in taken) == ["acme", "zeta"]
    end(open_unit, taken[0], BROKEN)
    end(open_unit, taken[1], OK)
    assert [each.tenant for each in take(open_unit, after_s=1)] == [taken[0].tenant, taken[1].tenant]


def test_no_more_are_taken_than_there_is_room_for(open_unit: Units):
    for number in range(3):
        done_job(open_unit, f"job_{number}")
    assert len(take(open_unit, limit=2)) == 2
    assert len(take(open_unit, limit=2)) == 1


def test_the_longest_due_go_first(open_unit: Units):
    for number in (1, 2):
        add(open_unit, 1, job_id=f"job_{number}", options=told(COMPLETED))
    for number, minutes in ((2, 1), (1, 2)):
        claimed(open_unit, job_id=f"job_{number}")
        finish(open_unit, succeeded(0), job_id=f"job_{number}", now=NOON + timedelta(minutes=minutes))
    assert [each.job_id for each in take(open_unit, after_s=600)] == ["job_2", "job_1"]


def test_what_was_delivered_can_be_sent_again(open_unit: Units):
    done_job(open_unit)
    end(open_unit, take(open_unit)[0], OK)
    first = page(open_unit)[0]
    with open_unit.at(NOON + timedelta(minutes=1)) as unit:
        again = unit.deliveries.redeliver(first.id)
        unit.commit()
    assert (again.status, again.tries, len(again.log), again.due_at) == ("pending", 0, 1, NOON + timedelta(minutes=1))
    (taken,) = take(open_unit, after_s=60)
    assert taken.id == first.id
    with open_unit() as unit, pytest.raises(DeliveryNotFound):
        unit.deliveries.redeliver("dlv_0")


def test_what_has_to_go_before_one_that_is_to_be_sent_again_is_sent_now_too(open_unit: Units):
    done_job(open_unit)
    end(open_unit, take(open_unit)[0], BROKEN)
    started, completed = page(open_unit)
    with open_unit.at(NOON + timedelta(seconds=1)) as unit:
        unit.deliveries.redeliver(completed.id)
        unit.commit()
    (first,) = take(open_unit, after_s=1)
    assert (first.id, first.tries) == (started.id, 1)
    end(open_unit, first, OK)
    assert [each.id for each in take(open_unit, after_s=1)] == [completed.id]


def test_the_deliveries_of_a_deleted_job_are_told_to_nobody(open_unit: Units):
    done_job(open_unit)
    (taken,) = take(open_unit)
    with open_unit() as unit:
        unit.jobs.mark_deleted("job_1")
        unit.commit()
    assert take(open_unit, after_s=1e6) == []
    assert not end(open_unit, taken, OK)
    with open_unit() as unit:
        assert unit.deliveries.backlog() == Backlog()
        with pytest.raises(JobNotFound):
            unit.deliveries.page("job_1", limit=1)


def test_a_ping_that_came_to_nobody_stands_in_no_other_ones_way(open_unit: Units):
    first, second = (ping(tenant, Endpoint(url=URL), now=NOON) for tenant in ("acme", "zeta"))
    with open_unit() as unit:
        assert unit.deliveries.add(first)
        unit.commit()
    end(open_unit, take(open_unit)[0], GONE)
    with open_unit() as unit:
        assert unit.deliveries.add(second)
        unit.commit()
    assert [each.id for each in take(open_unit)] == [second.id]


def test_the_backlog_counts_what_has_not_ended(open_unit: Units):
    done_job(open_unit)
    done_job(open_unit, "job_2")
    end(open_unit, take(open_unit)[0], OK)
    with open_unit.at(NOON + timedelta(seconds=90)) as unit:
        assert unit.deliveries.backlog() == Backlog(pending=3, oldest_s=90)


def test_a_ping_is_of_no_job_and_is_forgotten(open_unit: Units):
    first, second = (ping("default", Endpoint(url=URL), now=NOON) for _ in range(2))
    with open_unit() as unit:
        assert unit.deliveries.add(first)
        assert unit.deliveries.add(second)
        unit.commit()
    taken = take(open_unit)
    assert {each.id for each in taken} == {first.id, second.id}
    end(open_unit, taken[0], GONE)
    with open_unit() as unit:
        assert unit.deliveries.get(taken[1].id).status is DeliveryStatus.PENDING
        unit.deliveries.remove(taken[0].id)
        unit.deliveries.remove(taken[0].id)
        unit.deliveries.forget_pings(older_than_s=1)
        assert unit.deliveries.get(taken[1].id).event == "ping"
        unit.commit()
    with open_unit.at(NOON + timedelta(seconds=2)) as unit:
        unit.deliveries.forget_pings(older_than_s=1)
        assert unit.deliveries.backlog() == Backlog()
