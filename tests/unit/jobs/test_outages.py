"""A part of the service that is away: its images wait, and it is nobody's attempt."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.errors import DatabaseUnavailable, InvalidOptions, StorageUnavailable
from jobs.job import ImageStatus, JobStatus, Slice
from jobs.options import parse_options
from jobs.ports import Claim
from jobs.processing.lease import Lease
from jobs.processing.processing import ProcessingRules
from tests.factories import make_image, make_job, picture
from tests.fakes import MemoryObjects
from tests.services.processes import wait_for


class Refusing(MemoryObjects):
    """A store that refuses what would change it: each time, or after some puts."""

    def __init__(self):
        super().__init__()
        self.refuses = False
        self.puts_left = None

    def put(self, key, data, *, media_type):
        if self.puts_left == 0 or self.refuses:
            raise StorageUnavailable("full")
        if self.puts_left is not None:
            self.puts_left -= 1
        return super().put(key, data, media_type=media_type)

    def delete(self, key):
        if self.refuses:
            raise StorageUnavailable("read-only")
        super().delete(key)

    def check(self):
        if self.refuses:
            raise StorageUnavailable("read-only")


@pytest.fixture
def store(service):
    service.objects = Refusing()
    return service.objects


def whole(job):
    return Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)


def test_images_wait_for_a_store_as_long_as_it_is_away_and_go_on_by_themselves(service, store):
    job = service.submit(picture(), picture())
    store.refuses = True
    for _ in range(20):  # the policy gives two tries
        service.worker().run(whole(job))
        image = service.reading.image(job.id, 0)
        assert (image.status, image.waiting_for, image.failure) == (ImageStatus.QUEUED, "storage", None)
        assert image.attempts == 0
        service.clock.advance(60)
    found = service.reading.job(job.id)
    assert (found.status, found.waiting_for) == (JobStatus.RUNNING, "storage")
    store.refuses = False
    service.upkeep.run()
    service.work()
    found = service.reading.job(job.id)
    assert (found.status, found.waiting_for) == (JobStatus.SUCCEEDED, None)
    assert service.reading.image(job.id, 0).attempts == 1


def test_the_pauses_grow(service, store):
    job = service.submit()
    store.refuses = True
    pauses = []
    for _ in range(6):
        service.worker().run(whole(job))
        retry_at = service.reading.image(job.id, 0).retry_at
        pauses.append(retry_at - service.clock())
        service.clock.advance(60)
    assert pauses == [timedelta(seconds=each) for each in (1, 2, 4, 8, 15, 15)]


def test_a_worker_that_knows_the_store_to_be_away_takes_nothing(service, store):
    job = service.submit(*[picture()] * 12)
    worker = service.worker()
    store.refuses = True
    worker.run(replace(whole(job), last=0))
    worker.run(whole(job))
    attempts = {service.reading.image(job.id, index).attempt for index in range(1, 12)}
    assert attempts == {0}
    store.refuses = False
    service.clock.advance(60)
    assert service.upkeep.run().resent == 12
    service.work(worker)
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED


def test_a_job_none_of_whose_images_is_begun_says_what_it_waits_for(service, store):
    """Unless it stands behind another, which it waits for before all."""
    first, next_up, behind = (service.submit(picture(seed=each)) for each in range(3))
    worker = service.worker()
    store.refuses = True
    worker.run(whole(first))
    service.changing.cancel(first.id)
    for job in (next_up, behind):
        worker.run(whole(job))
    assert [service.reading.job(job.id).waiting_for for job in (first, next_up, behind)] == [None, "storage", None]
    worker.stop()
    worker.run(whole(behind))
    store.refuses = False
    for each in range(2):
        service.upkeep.run()
        service.work(service.worker(str(each)))
    assert [service.reading.job(job.id).waiting_for for job in (next_up, behind)] == [None, None]


def test_an_image_that_is_stored_by_halves_leaves_nothing_behind(service, store):
    job = service.submit(picture(), artifacts=("overlay", "mask", "confidence"))
    store.puts_left = 2
    service.work()
    assert service.reading.image(job.id, 0).waiting_for == "storage"
    assert list(store.keys("")) == [service.reading.image(job.id, 0).source.location]


@pytest.fixture
def half_stored(service, store):
    """A job whose image a worker stored by half, before the store would neither take nor forget anything."""
    job, worker, put = service.submit(picture()), service.worker(), store.put

    def put_once_then_refuse(key, data, *, media_type):
        size = put(key, data, media_type=media_type)
        store.refuses = True
        return size

    store.put = put_once_then_refuse
    worker.run(whole(job))
    assert len(list(store.keys(""))) == 2
    store.put, store.refuses = put, False
    return job, worker


def test_what_cannot_be_removed_at_once_is_removed_when_the_store_is_back(service, store, half_stored):
    job, worker = half_stored
    service.changing.cancel(job.id)
    worker.run(whole(job))
    assert list(store.keys("")) == [service.reading.image(job.id, 0).source.location]


def test_what_a_worker_that_died_since_could_not_remove_goes_when_the_image_ends(service, store, half_stored):
    job, _ = half_stored
    service.clock.advance(60)
    service.worker("another").run(whole(job))
    image = service.reading.image(job.id, 0)
    assert image.status is ImageStatus.SUCCEEDED
    assert set(store.keys("")) == {image.source.location, *(each.key for each in image.result.artifacts)}


class Flaky:
    """An OpenUnit that is away for the calls of these numbers, counted from 0."""

    def __init__(self, open_unit, away):
        self.open_unit, self.away, self.calls = open_unit, away, 0

    def __call__(self, tenant=None):
        self.calls += 1
        if self.calls - 1 in self.away:
            raise DatabaseUnavailable("away")
        return self.open_unit(tenant)


def test_results_outlive_a_database_that_is_away_for_longer_than_the_lease(service):
    job = service.submit()
    worker = service.worker(heartbeat_s=60, lease_s=0.05, flush_s=0.01)
    unit = Flaky(service.database.unit, range(1, 30))  # a claim, and no answer for six times the lease
    replace(worker, open_unit=unit).run(whole(job))
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED
    assert service.reading.image(job.id, 0).attempt == 1


def test_a_worker_that_has_to_end_waits_for_the_database_no_longer_than_its_lease(service):
    job = service.submit()
    worker = service.worker(heartbeat_s=60, lease_s=0.2, flush_s=0.01)
    worker = replace(worker, open_unit=Flaky(service.database.unit, range(1, 10**6)))
    threading.Timer(0.1, worker.stop).start()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        worker.run(whole(job))
    assert time.monotonic() - began < 30


def test_a_slice_outlives_a_database_that_is_away_when_it_is_to_be_claimed(service):
    job = service.submit()
    worker = service.worker(flush_s=0.01)
    replace(worker, open_unit=Flaky(service.database.unit, range(3))).run(
        whole(job)
    )  # by the one message that there is
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED


def test_a_worker_that_has_to_end_waits_for_no_claim(service):
    worker = service.worker(flush_s=60)
    worker = replace(worker, open_unit=Flaky(service.database.unit, range(10**6)))
    threading.Timer(0.1, worker.stop).start()
    with pytest.raises(DatabaseUnavailable):
        worker.run(whole(service.submit()))


def test_a_missed_heartbeat_is_not_the_end(service):
    rules = ProcessingRules(worker="w", heartbeat_s=0.01)
    claim = Claim(job=make_job(), images=(make_image(attempt=1),))
    unit = Flaky(service.database.unit, {0, 1})
    with Lease(unit, rules, claim) as lease:
        wait_for(lambda: unit.calls >= 3, what="three heartbeats")
        wait_for(lambda: not lease.holds(0), what="the third one's answer: nobody knows the job")
    lease.renew()
    assert unit.calls == 3


def test_a_lone_picture_is_done_without_a_heartbeat(service):
    job = service.submit()
    database = Flaky(service.database.unit, ())
    worker = replace(service.worker(heartbeat_s=0, flush_s=60), open_unit=database)
    worker.run(whole(job))
    assert database.calls == 3  # to take it, to ask what is known of it, and to end it


def test_a_worker_leaves_a_job_of_a_newer_version_to_newer_workers(service):
    job = service.submit(picture(), unknown=("sharpen",))
    for _ in range(service.policy.attempts + service.policy.doubts):
        service.worker().run(whole(job))
        service.clock.advance(60)
    found, image = service.reading.job(job.id), service.reading.image(job.id, 0)
    assert (found.status, found.waiting_for, image.attempts) == (JobStatus.RUNNING, "newer_worker", 0)
    with pytest.raises(InvalidOptions, match="unknown"):
        parse_options({"unknown": ["sharpen"]})


def test_who_leaves_images_to_newer_workers_says_so_once_and_holds_them_no_longer(service, caplog):
    job = service.submit(*[picture()] * 3, unknown=("sharpen",))
    worker = service.worker(heartbeat_s=60, flush_s=0.01)
    replace(worker, open_unit=Flaky(service.database.unit, range(1, 3))).run(whole(job))  # away when they go back
    assert service.reading.job(job.id).counts.queued == 3
    (said,) = (each for each in caplog.records if getattr(each, "waiting_for", None) == "newer_worker")
    assert "does not know sharpen" in said.message
    assert [each.name for each in threading.enumerate() if each.name == f"lease-{job.id}"] == []


class Damaged(MemoryObjects):
    """A store that cannot read one object, and answers otherwise."""

    bad = ""
    answers = True

    def stream(self, key, *, start=0, length=None):
        if key == self.bad:
            raise StorageUnavailable("Input/output error")
        return super().stream(key, start=start, length=length)

    def check(self):
        if not self.answers:
            raise StorageUnavailable("away")


def test_an_object_that_cannot_be_read_while_the_store_answers_is_no_outage_for_ever(service):
    service.objects = store = Damaged()
    job = service.submit(picture(), picture(seed=1))
    store.bad = service.reading.image(job.id, 0).source.location
    for _ in range(service.policy.doubts + service.policy.attempts + 1):
        service.worker().run(whole(job))
        service.clock.advance(3600)
    found = service.reading.image(job.id, 0)
    assert (found.status, found.failure.code) == (ImageStatus.FAILED, "download_failed")
    assert found.attempts == service.policy.attempts
    assert service.reading.job(job.id).status is JobStatus.PARTIAL


def test_while_the_store_itself_is_away_no_number_of_tries_fails_an_image(service):
    service.objects = store = Damaged()
    job = service.submit(picture())
    store.bad = service.reading.image(job.id, 0).source.location
    worker = service.worker()
    for _ in range(2 * service.policy.doubts):
        service.worker().run(whole(job))
        service.clock.advance(3600)
        store.answers = False
    store.answers, store.bad = True, ""
    service.upkeep.run()
    worker.run(whole(job))
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED
