"""What a client may do, on a service in memory: submit, read, change."""

import hashlib
from dataclasses import replace
from io import BytesIO

import pytest

from jobs.callers import Caller
from jobs.errors import (
    ArchiveUnreadable,
    ArtifactNotFound,
    DatabaseUnavailable,
    IdempotencyInProgress,
    IdempotencyKeyLost,
    IdempotencyKeyReused,
    InvalidOptions,
    JobNotFound,
    JobRunning,
    NoImages,
    NotAllowed,
    QueueUnavailable,
    StorageUnavailable,
    TooManyBytes,
    TooManyImages,
    UnsupportedMedia,
)
from jobs.job import ImageStatus, JobStatus, NewImage, Priority, Source, SourceKind
from jobs.listing.filters import JobFilter
from jobs.options import JobOptions
from tests.factories import picture, zip_of


def add(draft, name, data=b"", media_type=None):
    draft.add_file(name, BytesIO(data), media_type=media_type)


def test_a_job_is_stored_with_its_inputs_and_then_sent(service):
    job = service.submit(b"one", b"two")
    assert service.reading.job(job.id) == job
    assert (job.status, job.counts.queued, job.model, job.label_space) == (JobStatus.QUEUED, 2, "tiny", "camvid-11")
    assert [data for data, _ in service.objects.contents.values()] == [b"one", b"two"]
    assert [(piece.first, piece.last) for piece in service.dispatcher.sent] == [(0, 0), (1, 1)]


def test_the_store_hears_what_the_first_picture_will_bring_once_the_job_is_sent(service, monkeypatch):
    heard = []
    monkeypatch.setattr(
        service.objects, "expect", lambda keys: heard.append((list(keys), len(service.dispatcher.sent)))
    )
    job = service.submit(b"one", b"two")
    assert heard == [([f"{job.prefix}{name}/000000.1" for name in job.options.artifacts], 2)]


def test_archives_and_images_mix_in_one_job(service):
    with service.submitting.open_draft() as draft:
        add(draft, "a.jpg", b"a")
        add(draft, "b.zip", zip_of({"x/b.png": b"b", "c.tif": b"c"}))
        add(draft, "blob", b"d", "image/png")
        job = service.submitting.submit(draft, JobOptions())
    rows, _ = service.reading.images(job.id, limit=10, after=None)
    assert [row.name for row in rows] == ["a.jpg", "x/b.png", "c.tif", "blob"]


def test_masks_are_matched_by_stem_whichever_came_first(service):
    with service.submitting.open_draft() as draft:
        draft.add_mask("b_mask.png", BytesIO(b"B"))
        add(draft, "a.jpg")
        add(draft, "b.jpg")
        draft.add_mask("masks.zip", BytesIO(zip_of({"a.png": b"A"})))
        job = service.submitting.submit(draft, JobOptions())
    masks = [service.reading.image(job.id, index).mask for index in range(2)]
    assert [service.objects.get(mask.location) for mask in masks] == [b"A", b"B"]


def test_inputs_that_the_worker_fetches_are_rows_only(service):
    with service.submitting.open_draft() as draft:
        draft.add_inputs([NewImage(Source(SourceKind.URL, "https://example.org/a.jpg"), "a.jpg", "id-7")])
        job = service.submitting.submit(draft, JobOptions())
    image = service.reading.image(job.id, 0)
    assert (image.ref, image.source.kind) == ("id-7", SourceKind.URL)
    assert not service.objects.contents
    with pytest.raises(ArtifactNotFound):
        service.reading.artifact(job.id, 0, "input")


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("notes.txt", b"x", UnsupportedMedia),
        ("a.zip", b"no zip", ArchiveUnreadable),
        ("big.jpg", b"x" * 101, TooManyBytes),
        ("big.zip", zip_of({"big.jpg": b"x" * 101}), TooManyBytes),
        ("many.zip", zip_of({f"{n}.jpg": b"x" for n in range(4)}), TooManyImages),
        ("sum.zip", zip_of({f"{n}.jpg": b"x" * 90 for n in range(2)}), TooManyBytes),
    ],
)
def test_a_request_that_breaks_a_limit_leaves_nothing_behind(service, name, data, error):
    service.rules = replace(service.rules, max_images=3, max_request_bytes=150, max_image_bytes=100)
    with pytest.raises(error), service.submitting.open_draft("key") as draft:
        add(draft, "first.jpg", b"x")
        add(draft, name, data)
    assert not service.objects.contents
    assert not service.reading.page(JobFilter(), limit=10, before=None)
    with service.submitting.open_draft("key"):
        pass  # the key is free again


def test_masks_and_inputs_are_limited_as_images_are(service):
    service.rules = replace(service.rules, max_images=1)
    with pytest.raises(TooManyImages), service.submitting.open_draft() as draft:
        draft.add_mask("a.png", BytesIO(b""))
        draft.add_mask("b.png", BytesIO(b""))
    with pytest.raises(TooManyImages), service.submitting.open_draft() as draft:
        draft.add_inputs([NewImage(Source(SourceKind.SAMPLE, name), name) for name in ("a", "b")])


def test_a_request_without_images_is_refused(service):
    with pytest.raises(NoImages), service.submitting.open_draft() as draft:
        service.submitting.submit(draft, JobOptions())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (JobOptions(model="unknown"), "model"),
        (JobOptions(label_space="oxford-pets-3"), "label_space"),
        (JobOptions(label_space="mars"), "label_space"),
        (JobOptions(classes=("sky", "mars")), "classes"),
        (JobOptions(mask_label_space="mars"), "mask_label_space"),
        (JobOptions(mask_label_space="oxford-pets-3"), "mask_label_space"),
    ],
)
def test_a_choice_that_the_model_cannot_serve_is_a_field_fault(service, options, field):
    with pytest.raises(InvalidOptions) as caught, service.submitting.open_draft() as draft:
        add(draft, "a.jpg")
        draft.add_mask("a.png", BytesIO(b""))
        service.submitting.submit(draft, options)
    assert caught.value.faults[0].field == field


def test_options_decide_priority_expiry_and_label_space(service):
    job = service.submit(priority="bulk", expires_in=60, label_space="cityscapes-8", metadata={"a": 1})
    assert (job.priority, job.label_space, job.metadata) == (Priority.BULK, "cityscapes-8", {"a": 1})
    assert (job.expires_at - job.created_at).total_seconds() == 60
    assert job.options.model == "tiny"


def test_the_servers_retention_is_the_default_expiry(service):
    service.rules = replace(service.rules, retention_s=10)
    assert (service.submit().expires_at - service.clock()).total_seconds() == 10


def test_a_queue_that_is_away_does_not_lose_the_job(service):
    service.dispatcher.away = True
    assert service.reading.job(service.submit().id).status is JobStatus.QUEUED


def test_the_same_key_and_request_give_the_first_job(service):
    def send(fingerprint):
        with service.submitting.open_draft("key") as draft:
            add(draft, "a.jpg", b"a")
            return service.submitting.submit(draft, JobOptions(), fingerprint=fingerprint)

    first = send("f")
    assert send("f").id == first.id
    assert len(service.objects.contents) == 1
    with pytest.raises(IdempotencyKeyReused):
        send("other")
    assert len(service.objects.contents) == 1
    assert send("f").id == first.id


def test_a_key_in_use_is_told(service):
    with (
        service.submitting.open_draft("key"),
        pytest.raises(IdempotencyInProgress),
        service.submitting.open_draft("key"),
    ):
        pass


def test_the_key_of_a_request_that_died_is_soon_free(service):
    with service.database.unit() as unit:  # as a process that was killed leaves it
        unit.idempotency.begin("key", holder="dead", patience_s=60)
        unit.commit()
    with pytest.raises(IdempotencyInProgress), service.submitting.open_draft("key"):
        pass
    service.clock.advance(61)
    with service.submitting.open_draft("key") as draft:
        add(draft, "a.jpg", b"a")
        assert service.submitting.submit(draft, JobOptions(), fingerprint="f").counts.total == 1


def test_cancel_ends_queued_images_at_once_and_keeps_the_finished_ones(service):
    job = service.submit(picture(), picture())
    service.worker().run(service.dispatcher.sent[0])
    canceled = service.changing.cancel(job.id)
    assert canceled.status is JobStatus.CANCELED
    assert (canceled.counts.succeeded, canceled.counts.canceled) == (1, 1)
    assert service.changing.cancel(job.id) == canceled
    service.work()
    assert service.reading.job(job.id).counts == canceled.counts


def test_retry_takes_the_failed_images_alone(service):
    job = service.submit(picture(), b"broken")
    service.work()
    assert service.reading.job(job.id).status is JobStatus.PARTIAL
    service.objects.contents[service.reading.image(job.id, 1).source.location] = (picture(), "image/jpeg")
    assert service.changing.retry(job.id).counts.queued == 1
    service.work()
    again = service.reading.job(job.id)
    assert again.status is JobStatus.SUCCEEDED
    assert [service.reading.image(job.id, index).attempts for index in (0, 1)] == [1, 1]
    with pytest.raises(NotAllowed):
        service.changing.retry(job.id)


def test_a_retry_sends_the_slices_of_failed_images_and_no_other(service):
    job = service.submit(*[picture()] * 12, b"broken", *[picture()] * 11)  # slices of three
    service.work()
    service.dispatcher.sent.clear()
    service.changing.retry(job.id)
    assert [(each.first, each.last) for each in service.dispatcher.sent] == [(12, 14)]


def test_delete_takes_rows_and_objects_once_the_job_has_ended(service):
    job = service.submit(picture())
    with pytest.raises(JobRunning):
        service.changing.delete(job.id)
    service.work()
    assert service.reading.image(job.id, 0).status is ImageStatus.SUCCEEDED
    service.changing.delete(job.id)
    assert not service.objects.contents
    for call in (service.reading.job, service.changing.cancel, service.changing.retry, service.changing.delete):
        with pytest.raises(JobNotFound):
            call(job.id)


def test_a_job_keeps_its_inputs_when_the_answer_to_its_commit_is_lost(service):
    def fail(pieces):
        raise ZeroDivisionError

    service.dispatcher.dispatch = fail
    with pytest.raises(ZeroDivisionError):
        service.submit(picture())
    (job,) = service.reading.page(JobFilter(), limit=9, before=None)
    assert service.reading.artifact(job.id, 0, "input").size == len(picture())


def test_a_store_that_is_away_neither_keeps_the_key_nor_hides_the_first_error(service):
    def away(*_, **__):
        raise StorageUnavailable("away")

    service.objects.delete_prefix = away
    with pytest.raises(UnsupportedMedia), service.submitting.open_draft("key") as draft:
        add(draft, "a.txt")
    with service.submitting.open_draft("key") as draft:
        assert draft.earlier is None


def test_the_key_of_a_request_that_died_is_given_to_the_next_one(service):
    with service.database.unit() as unit:
        unit.idempotency.begin("key", holder="dead", patience_s=60)
        unit.commit()
    service.clock.advance(60)
    with pytest.raises(IdempotencyInProgress), service.submitting.open_draft("key"):
        pass
    service.clock.advance(900)
    with service.submitting.open_draft("key") as draft:
        add(draft, "a.jpg", picture())
        service.submitting.submit(draft, JobOptions(), fingerprint="x")
    service.clock.advance(3600)
    with service.submitting.open_draft("key") as draft:
        assert draft.earlier is not None


def test_a_job_that_is_tried_again_waits_as_queued(service):
    job = service.submit(picture(), b"broken")
    service.work()
    assert service.changing.retry(job.id).status is JobStatus.QUEUED


def test_a_job_is_accepted_while_queue_and_database_go_away(service):
    is_away = False

    def both_go_away(pieces):
        nonlocal is_away
        is_away = True
        raise QueueUnavailable("away")

    def open_unit(tenant=None):
        if is_away:
            raise DatabaseUnavailable("away")
        return service.database.unit(tenant)

    service.dispatcher.dispatch = both_go_away
    submitting = replace(service.submitting, open_unit=open_unit)
    with submitting.open_draft() as draft:
        add(draft, "a.jpg", picture())
        job = submitting.submit(draft, JobOptions())
    assert service.reading.job(job.id) == job


def test_a_request_that_stood_still_for_too_long_loses_its_key_and_leaves_nothing(service):
    with pytest.raises(IdempotencyKeyLost), service.submitting.open_draft("key") as paused:
        add(paused, "a.jpg", b"a")
        service.clock.advance(61)
        with service.submitting.open_draft("key") as draft:
            add(draft, "a.jpg", b"a")
            second = service.submitting.submit(draft, JobOptions(), fingerprint="f")
        service.submitting.submit(paused, JobOptions(), fingerprint="f")
    assert [job.id for job in service.reading.page(JobFilter(), limit=9, before=None)] == [second.id]
    assert list(service.objects.contents) == [f"{second.prefix}inputs/000000"]
    with service.submitting.open_draft("key") as draft:
        assert draft.earlier is not None
        assert draft.earlier.job_id == second.id


def test_a_request_that_lost_its_key_and_fails_does_not_free_it(service):
    with pytest.raises(UnsupportedMedia), service.submitting.open_draft("key") as paused:
        service.clock.advance(61)
        with service.submitting.open_draft("key") as draft:
            add(draft, "a.jpg", b"a")
            service.submitting.submit(draft, JobOptions(), fingerprint="f")
        add(paused, "a.txt")
    with service.submitting.open_draft("key") as draft:
        assert draft.earlier is not None


def test_the_key_of_a_deleted_job_makes_a_new_job(service):
    jobs = []
    for _ in range(2):
        with service.submitting.open_draft("key") as draft:
            add(draft, "a.jpg", picture())
            jobs.append(service.submitting.submit(draft, JobOptions(), fingerprint="f"))
        service.work()
        service.changing.delete(jobs[-1].id)
    assert jobs[0].id != jobs[1].id


def test_a_job_that_is_deleted_while_its_request_is_repeated_has_lost_its_key(service):
    with service.submitting.open_draft("key") as draft:
        add(draft, "a.jpg", picture())
        job = service.submitting.submit(draft, JobOptions(), fingerprint="f")
    service.work()
    with pytest.raises(IdempotencyKeyLost), service.submitting.open_draft("key") as draft:
        service.changing.delete(job.id)
        service.submitting.submit(draft, JobOptions(), fingerprint="f")


def test_what_comes_in_is_known_by_its_content(service):
    with service.submitting.open_draft() as draft:
        add(draft, "a.jpg", picture())
        draft.add_mask("a.png", BytesIO(picture(form="PNG")))
        job = service.submitting.submit(draft, JobOptions())
    image = service.reading.image(job.id, 0)
    assert image.input_sha256 == hashlib.sha256(picture()).hexdigest()
    assert image.mask_sha256 == hashlib.sha256(picture(form="PNG")).hexdigest()


def test_what_a_tenant_submits_is_the_tenants_alone(service):
    acme, zeta = Caller("acme", "submit"), Caller("zeta", "admin")
    submitting = replace(service.submitting, caller=acme)
    with submitting.open_draft("key") as draft:
        add(draft, "a.jpg", picture())
        job = submitting.submit(draft, JobOptions(), fingerprint="f")
    assert job.prefix == f"acme/jobs/{job.id}/"
    assert all(key.startswith(job.prefix) for key in service.objects.contents)
    service.work()
    assert all(key.startswith(job.prefix) for key in service.objects.contents)
    others, mine = replace(service.reading, caller=zeta), replace(service.reading, caller=acme)
    assert mine.job(job.id).status is JobStatus.SUCCEEDED
    for call in (others.job, replace(service.changing, caller=zeta).delete, service.changing.cancel):
        with pytest.raises(JobNotFound):
            call(job.id)
    with replace(service.submitting, caller=zeta).open_draft("key") as draft:
        assert draft.earlier is None
    replace(service.changing, caller=acme).delete(job.id)
    assert not service.objects.contents
