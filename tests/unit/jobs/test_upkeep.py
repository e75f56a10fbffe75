"""What keeps promises when parts die, on a service in memory."""

from dataclasses import replace

import pytest

from jobs.errors import DatabaseUnavailable, JobNotFound, StorageUnavailable
from jobs.job import ImageStatus, JobStatus, Priority, Slice
from jobs.listing.filters import JobFilter
from jobs.ports import WaitingImages
from jobs.upkeep import Contact, UpkeepRules
from jobs.watching.workers import WorkerBeat
from tests.factories import make_images, make_job, picture


def claim(service, job, worker="w1"):
    piece = Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)
    with service.database.unit() as unit:
        found = unit.images.claim(piece, worker=worker, lease_s=30)
        unit.commit()
    return found


def sent(service):
    return [(piece.first, piece.last) for piece in service.dispatcher.take()]


def test_a_quiet_service_needs_nothing(service):
    report = service.upkeep.run()
    assert (report.freed, report.resent, report.deleted) == (0, 0, 0)


def test_what_the_broker_lost_is_sent_again_after_a_silence(service):
    job = service.submit(*[picture()] * 3)
    service.dispatcher.take()
    assert service.upkeep.run().resent == 0
    service.clock.advance(20)
    assert service.upkeep.run().resent == 3
    assert sent(service) == [(0, 0), (1, 1), (2, 2)]
    assert service.upkeep.run().resent == 0
    assert service.reading.job(job.id).status is JobStatus.QUEUED


def test_a_lost_message_of_a_small_job_is_missed_sooner(service):
    small, large = service.submit(priority="interactive"), service.submit(priority="bulk")
    service.dispatcher.take()
    service.clock.advance(6)
    assert service.upkeep.run().resent == 1
    assert [piece.job_id for piece in service.dispatcher.take()] == [small.id]
    service.clock.advance(10)
    service.upkeep.run()
    assert large.id in [piece.job_id for piece in service.dispatcher.take()]


def test_nothing_is_sent_again_while_messages_wait(service):
    service.submit()
    service.submit(priority="bulk")
    service.clock.advance(1000)
    assert service.upkeep.run().resent == 0


def test_a_retry_that_is_due_does_not_wait_for_a_long_queue_to_drain(service):
    def away(data):
        raise StorageUnavailable("away")

    service.segmenter.before = away
    job = service.submit()
    service.work()
    service.submit(*[picture()] * 3)
    service.clock.advance(5)
    assert service.upkeep.run().resent == 1
    assert [piece.job_id for piece in service.dispatcher.sent].count(job.id) == 1
    assert service.upkeep.run().resent == 0


def test_a_job_that_came_while_the_queue_was_away_does_not_wait_for_a_long_queue_to_drain(service):
    service.dispatcher.away = True
    job = service.submit()
    service.dispatcher.away = False
    service.submit()
    assert service.upkeep.run().resent == 1
    assert [piece.job_id for piece in service.dispatcher.sent].count(job.id) == 1
    assert service.upkeep.run().resent == 0


def test_freed_images_that_could_not_be_sent_do_not_wait_for_a_long_queue_either(service):
    job = service.submit()
    service.dispatcher.take()
    claim(service, job)
    service.clock.advance(31)
    service.dispatcher.away = True
    assert service.upkeep.run().freed == 1
    service.dispatcher.away = False
    service.submit()
    assert service.upkeep.run().resent == 1


def test_a_message_that_later_ones_have_overtaken_is_lost(service):
    lost = service.submit()
    service.dispatcher.take()
    service.clock.advance(20)
    service.submit()
    later = service.submit()
    assert service.upkeep.run().resent == 0  # perhaps it still waits before them
    claim(service, later)
    assert service.upkeep.run().resent == 1
    assert [piece.job_id for piece in service.dispatcher.sent].count(lost.id) == 1
    assert service.upkeep.run().resent == 0


def test_a_long_deletion_takes_one_thread_alone(service):
    service.submit(expires_in=60)
    service.work()
    service.clock.advance(61)
    upkeep, inner = service.upkeep, []
    delete_prefix = service.objects.delete_prefix

    def slow(prefix):
        inner.append(upkeep.run().deleted)
        return delete_prefix(prefix)

    service.objects.delete_prefix = slow
    assert upkeep.run().deleted == 1
    assert inner == [0]


def test_each_priority_is_watched_on_its_own(service):
    service.submit(priority="bulk")
    service.dispatcher.take()
    service.submit()
    service.clock.advance(20)
    assert service.upkeep.run().resent == 1
    assert {piece.priority for piece in service.dispatcher.sent} == set(Priority)


def test_a_queue_that_is_away_is_asked_again_later(service):
    service.submit()
    service.dispatcher.take()
    service.dispatcher.away = True
    service.clock.advance(20)
    assert service.upkeep.run().resent == 0
    service.dispatcher.away = False
    assert service.upkeep.run().resent == 1


def test_images_of_a_vanished_worker_come_back_and_stand_alone_at_last(service):
    job = service.submit(*[picture()] * 16)  # two to a slice
    service.dispatcher.take()
    claim(service, job)
    service.clock.advance(31)
    assert service.upkeep.run().freed == 16
    assert sent(service) == [(index, index) for index in range(16)]
    image = service.reading.image(job.id, 3)
    assert (image.status, image.lost, image.attempt) == (ImageStatus.QUEUED, 1, 1)


def test_an_image_that_loses_every_worker_is_given_up(service):
    job = service.submit()
    service.dispatcher.take()
    for _ in range(3):
        claim(service, job)
        service.clock.advance(31)
        service.upkeep.run()
    assert service.reading.image(job.id, 0).failure.code == "worker_lost"
    assert service.reading.job(job.id).status is JobStatus.FAILED


def test_a_vanished_worker_does_not_keep_a_canceled_job_open(service):
    job = service.submit()
    claim(service, job)
    service.changing.cancel(job.id)
    service.clock.advance(31)
    service.upkeep.run()
    assert service.reading.job(job.id).status is JobStatus.CANCELED


def test_freed_images_wait_when_the_queue_is_away(service):
    job = service.submit()
    service.dispatcher.take()
    claim(service, job)
    service.dispatcher.away = True
    service.clock.advance(31)
    assert service.upkeep.run().freed == 1
    service.dispatcher.away = False
    service.clock.advance(20)
    assert service.upkeep.run().resent == 1


def test_slices_are_runs_of_neighbours_no_longer_than_their_losses_allow(service):
    job = make_job(100, slice_size=16)
    lost = {0: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 1, 7: 2, 8: 2, 9: 0, **dict.fromkeys(range(20, 40), 0)}
    pieces = service.upkeep._pieces(WaitingImages(job=job, losses=lost))
    assert [(piece.first, piece.last) for piece in pieces] == [
        (0, 3),
        (4, 5),
        (7, 7),
        (8, 8),
        (9, 9),
        (20, 35),
        (36, 39),
    ]
    assert not list(service.upkeep._pieces(WaitingImages(job=job, losses={})))


def test_expired_jobs_go_with_their_objects(service):
    service.submit(expires_in=60)
    service.work()
    assert service.upkeep.run().deleted == 0
    service.clock.advance(61)
    assert service.upkeep.run().deleted == 1
    assert not service.objects.contents
    assert service.upkeep.run().deleted == 0
    with service.database.unit() as unit:
        assert not unit.jobs.deleted(limit=1)
        assert not unit.jobs.page(JobFilter(), limit=1, before=None)


def test_a_client_may_be_quicker_than_the_expiry(service):
    job = service.submit(expires_in=60)
    service.upkeep._hide(job.id)  # running again since it was found expired
    assert service.reading.job(job.id) == job
    service.work()
    service.changing.delete(job.id)
    service.upkeep._hide(job.id)


def test_nobody_waits_until_the_objects_of_a_large_job_are_gone(service, monkeypatch):
    monkeypatch.setattr("jobs.change.DELETED_AT_ONCE", 2)
    small, large = service.submit(*[picture()] * 2), service.submit(*[picture()] * 3)
    service.work()
    for job in (small, large):
        service.changing.delete(job.id)
        with pytest.raises(JobNotFound):
            service.reading.job(job.id)
    assert {key.split("/")[2] for key in service.objects.contents} == {large.id}
    assert service.upkeep.run().deleted == 1
    assert not service.objects.contents


def test_an_interrupted_deletion_is_ended(service):
    job = service.submit()
    service.work()
    with service.database.unit() as unit:
        unit.jobs.mark_deleted(job.id)
        unit.commit()
    assert service.upkeep.run().deleted == 1
    assert not service.objects.contents


def test_what_cannot_be_deleted_stands_in_nobodys_way(service):
    jobs = [service.submit(expires_in=60) for _ in range(6)]
    service.work()
    service.clock.advance(61)
    stuck = sorted(job.id for job in jobs)[:4]
    delete_prefix = service.objects.delete_prefix

    def refuse(prefix):
        if any(job_id in prefix for job_id in stuck):
            raise StorageUnavailable("held by somebody")
        return delete_prefix(prefix)

    service.objects.delete_prefix = refuse
    upkeep = service.upkeep
    assert [upkeep.run().deleted for _ in range(2)] == [0, 2]  # three failures end a round
    service.objects.delete_prefix = delete_prefix
    assert upkeep.run().deleted == 4
    assert not service.objects.contents


def test_more_deletions_than_one_round_takes_are_done_in_turn(service):
    for _ in range(3):
        service.submit(expires_in=60)
    service.work()
    service.clock.advance(61)
    upkeep = replace(service.upkeep, rules=UpkeepRules(deletions=2))
    assert sum(upkeep.run().deleted for _ in range(3)) == 3
    assert not service.objects.contents


def test_an_upload_that_never_became_a_job_is_removed_after_a_day(service):
    with service.database.unit() as unit:
        unit.drafts.open("job_gone", prefix="x/jobs/job_gone/")
        unit.commit()
    service.objects.put("x/jobs/job_gone/inputs/000000", b"x", media_type="image/jpeg")
    assert service.upkeep.run().deleted == 0
    service.clock.advance(25 * 3600)
    assert service.upkeep.run().deleted == 1
    assert not service.objects.contents


def test_old_keys_and_dead_workers_are_forgotten(service):
    with service.database.unit() as unit:
        unit.idempotency.begin("key", holder="h", patience_s=1)
        unit.workers.beat(WorkerBeat(name="w", device="cpu", models=()))
        unit.commit()
    service.clock.advance(25 * 3600)
    service.upkeep.run()
    with service.database.unit() as unit:
        assert unit.idempotency.begin("key", holder="h", patience_s=1e9) is None
        assert not unit.workers.alive(within_s=9 * 86400)


def test_workers_may_renew_their_leases_when_the_database_is_back(service):
    """None could while it was away: their images are not lost, and soon they say so."""
    job = service.submit(picture())
    claim(service, job)
    service.clock.advance(100)

    answers = [False]

    def open_unit(tenant=None):
        if not answers[0]:
            raise DatabaseUnavailable("away")
        return service.database.unit(tenant)

    now = [0.0]
    contact = Contact(clock=lambda: now[0])
    upkeep = replace(service.upkeep, open_unit=open_unit, rules=UpkeepRules(patience_s=0.5), contact=contact)
    with pytest.raises(DatabaseUnavailable):
        upkeep.run()
    answers[0] = True
    assert upkeep.run().freed == 0
    now[0] = 0.6
    assert upkeep.run().freed == 1


def test_a_process_that_has_just_begun_knows_nothing_of_an_outage_before_and_lets_workers_speak_first(service):
    job = service.submit(picture())
    claim(service, job)
    service.clock.advance(100)
    now = [0.0]
    upkeep = replace(service.upkeep, contact=Contact(gap_s=15, since=0.0, clock=lambda: now[0]))
    assert upkeep.run().freed == 0
    now[0] = 16.0
    assert upkeep.run().freed == 1


def test_what_nobody_saw_for_long_was_perhaps_away():
    now = [0.0]
    contact = Contact(gap_s=15, since=0.0, clock=lambda: now[0])
    for now[0] in (10.0, 20.0, 30.0):
        contact.seen()
    assert contact.lasts_s == 30
    now[0] = 60.0  # this process was suspended, or could not ask
    contact.seen()
    assert contact.lasts_s == 0
    now[0] = 61.0
    contact.lost()
    now[0] = 65.0
    contact.seen()
    assert contact.lasts_s == 4


def test_what_runs_for_one_tenant_says_nothing_of_anothers_messages(service):
    """Tenants take turns: later images of one run while earlier ones of the other wait, and are not lost."""
    for job_id, tenant in (("job_1", "acme"), ("job_2", "zeta")):
        job = make_job(2, job_id=job_id, tenant=tenant, created_at=service.clock.now)
        with service.database.unit() as unit:
            unit.jobs.add(job, make_images(2, job_id=job_id))
            unit.commit()
        service.dispatcher.dispatch(job.slices())
        service.clock.advance(600)
    claim_one(service, "job_2")
    assert service.upkeep.run().resent == 0
    claim_one(service, "job_1")
    with service.database.unit() as unit:
        assert unit.images.newest_running_s(Priority.INTERACTIVE) == 600


def claim_one(service, job_id):
    with service.database.unit() as unit:
        piece = Slice(job_id=job_id, first=0, last=0, priority=Priority.INTERACTIVE)
        assert unit.images.claim(piece, worker="w", lease_s=6000)
        unit.commit()
