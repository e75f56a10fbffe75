"""The process that sends, with a receiver that a test lets answer as it likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from standardwebhooks import Webhook

from jobs.deliveries.delivering import Claimed, Delivering, DeliveryRules
from jobs.deliveries.delivery import Delivery, Reply
from jobs.deliveries.endpoint import EVENTS, Endpoint
from jobs.deliveries.webhooks import Webhooks
from jobs.errors import DatabaseUnavailable
from jobs.options import JobOptions
from jobs.ports import UnitOfWork
from tests.fakes import FakeClock, FakeDispatcher
from tests.job_steps import Units, ended_job, succeeded
from tests.memory_database import MemoryDatabase

URL = "https://example.org/hook"


@dataclass
class FakeReceiver:
    """Answers 204 unless told otherwise: `replies` in turn."""

    replies: list[Reply] = field(default_factory=list)
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        assert url == URL
        self.got.append((headers, body))
        return self.replies.pop(0) if self.replies else Reply(status_code=204)


@dataclass
class Post:
    """A database, a receiver and what sends."""

    receiver: FakeReceiver = field(default_factory=FakeReceiver)
    clock: FakeClock = field(default_factory=FakeClock)
    seen: list[tuple[str, int | None]] = field(default_factory=list)
    outages: int = 0  # transactions that fail yet

    def __post_init__(self) -> None:
        self.database = MemoryDatabase(self.clock)
        self.units = Units(self.database.unit, self.clock)
        rules = DeliveryRules(lease_s=0.02, write_again_s=0.001)
        self.delivering = Delivering(self.unit, self.receiver, rules, lambda: 0.5, self._see)
        self.webhooks = Webhooks(self.database.unit, FakeDispatcher())

    @contextmanager
    def unit(self, tenant: str | None = None) -> Iterator[UnitOfWork]:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable("away")
        with self.database.unit(tenant) as unit:
            yield unit

    def job(self, job_id: str = "job_1") -> None:
        options = JobOptions(model="tiny", label_space="camvid-11", webhook=Endpoint(url=URL, events=EVENTS))
        ended_job(self.units, succeeded(0), job_id=job_id, options=options)

    def look(self) -> list[Claimed]:
        """Claim and send until nothing is due."""
        sent = []
        while found := self.delivering.claim(9):
            for each in found:
                self.delivering.deliver(each)
                sent.append(each)
        return sent

    def statuses(self) -> list[str]:
        return [each.status for each in self.webhooks.deliveries("job_1", limit=9)]

    def _see(self, delivery: Delivery, reply: Reply) -> None:
        self.seen.append((delivery.event, reply.status_code))


@pytest.fixture
def post() -> Post:
    post = Post()
    post.job()
    return post


def test_what_is_owed_is_sent_in_order_and_signed(post: Post) -> None:
    post.look()
    assert post.statuses() == ["delivered", "delivered"]
    assert post.seen == [("job.started", 204), ("job.completed", 204)]
    assert post.look() == []
    secret = post.webhooks.secrets().current
    for headers, body in post.receiver.got:
        assert Webhook(secret).sign(headers["webhook-id"], post.clock(), body.decode()) == headers["webhook-signature"]
        assert headers["webhook-timestamp"] == str(int(post.clock().timestamp()))


def test_after_a_change_of_the_secret_both_sign(post: Post) -> None:
    first, second = post.webhooks.secrets(), post.webhooks.rotate()
    post.look()
    headers, body = post.receiver.got[0]
    signed = headers["webhook-signature"].split(" ")
    for secret in (second.current, first.current):
        assert Webhook(secret).sign(headers["webhook-id"], post.clock(), body.decode()) in signed


def test_a_receiver_that_fails_three_times_gets_each_event_once_more_and_in_order(post: Post) -> None:
    post.receiver.replies = [Reply(status_code=500)] * 3
    ids = [post.look()[0].delivery.id]
    for pause_s in (5, 30):
        post.clock.advance(pause_s)
        ids += [each.delivery.id for each in post.look()]
    post.clock.advance(120)
    ids += [each.delivery.id for each in post.look()]
    started, completed = (each.id for each in post.webhooks.deliveries("job_1", limit=9))
    assert ids == [started, started, started, started, completed]
    assert post.statuses() == ["delivered", "delivered"]


def test_a_try_that_was_never_written_down_is_made_once_more(post: Post) -> None:
    (lost,) = post.delivering.claim(9)
    assert list(post.delivering.claim(9)) == []
    post.clock.advance(1)
    (again,) = post.delivering.claim(9)
    assert (again.delivery.id, again.delivery.claims) == (lost.delivery.id, 2)
    post.delivering.deliver(lost)
    assert post.statuses() == ["pending", "pending"]
    post.delivering.deliver(again)
    assert post.statuses() == ["delivered", "pending"]


def test_a_database_that_is_away_for_a_moment_loses_nothing(post: Post) -> None:
    (found,) = post.delivering.claim(9)
    post.outages = 3
    patient = replace(post.delivering.rules, lease_s=30.0)
    replace(post.delivering, rules=patient).deliver(found)
    assert post.statuses() == ["delivered", "pending"]


def test_a_database_that_stays_away_lets_the_lease_run_out(post: Post) -> None:
    (found,) = post.delivering.claim(9)
    post.outages = 10**6
    post.delivering.deliver(found)
    post.outages = 0
    assert post.statuses() == ["pending", "pending"]
    assert post.seen == []
    with pytest.raises(DatabaseUnavailable):
        post.outages = 1
        post.delivering.claim(1)


def test_a_default_receiver_that_is_gone_is_a_default_no_more(post: Post) -> None:
    post.webhooks.set_default(Endpoint(url=URL))
    post.receiver.replies = [Reply(status_code=410)]
    post.look()
    assert post.statuses() == ["gone", "gone"]
    found = post.webhooks.default()
    assert (found.gone_at, found.default) == (post.clock(), None)
    post.webhooks.set_default(Endpoint(url=URL))
    assert post.webhooks.default().default == Endpoint(url=URL)


def test_another_default_receiver_stays(post: Post) -> None:
    post.webhooks.set_default(Endpoint(url="https://example.org/other"))
    post.receiver.replies = [Reply(status_code=410)]
    post.look()
    assert post.webhooks.default().gone_at is None


def test_what_is_of_a_deleted_job_by_now_is_written_nowhere(post: Post) -> None:
    (found,) = post.delivering.claim(9)
    with post.database.unit() as unit:
        unit.jobs.mark_deleted("job_1")
        unit.commit()
    post.delivering.deliver(found)
    assert post.look() == []


def test_each_tenants_own_secret_signs() -> None:
    post = Post()
    options = JobOptions(model="tiny", label_space="camvid-11", webhook=Endpoint(url=URL))
    for tenant in ("acme", "zeta"):
        ended_job(post.units, succeeded(0), job_id=f"job_{tenant}", tenant=tenant, options=options)
    found = post.delivering.claim(9)
    for each in found:
        with post.database.unit() as unit:
            secret = unit.webhooks.lock(each.delivery.tenant).secrets.current
        signature = Webhook(secret).sign(each.delivery.id, post.clock(), each.delivery.body)
        assert each.headers["webhook-signature"] == signature
    assert len(found) == 2
