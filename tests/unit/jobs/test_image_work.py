"""What one attempt does with its image: decoded once, through every model, with what is known of its truth."""

import hashlib
import threading
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image

from jobs.errors import DownloadFailed, ObjectNotFound
from jobs.job import ImageStatus, JobStatus, JobTotals, Slice
from jobs.keys import attempt_keys
from jobs.options import JobOptions, TileOptions
from jobs.processing.room import PixelRoom
from tests.factories import encoded, make_images, make_job, mask, picture
from tests.services.processes import wait_for


def whole(job):
    return Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)


def submit_with_truth(service, *truths, **options):
    with service.submitting.open_draft() as draft:
        for index, truth in enumerate(truths):
            draft.add_file(f"{index}.jpg", BytesIO(picture(4, 2)), media_type=None)
            draft.add_mask(f"{index}.png", BytesIO(truth))
        return service.submitting.submit(draft, JobOptions(**options))


def warnings_of(service, job, index=0):
    return [each.code for each in service.reading.image(job.id, index).warnings]


SOUND = mask(np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8))
UNKNOWN = mask(np.array([[0, 0, 255, 255], [0, 0, 255, 255]], np.uint8))
UNUSABLE = {
    "size": (mask(np.zeros((3, 3), np.uint8)), "mask_mismatch"),
    "colours": (encoded(np.zeros((2, 4, 3), np.uint8), "PNG"), "mask_mismatch"),
    "jpeg": (encoded(np.zeros((2, 4), np.uint8), "JPEG"), "mask_mismatch"),
    "unknown ids": (UNKNOWN, "mask_unknown_ids"),
}


@pytest.mark.parametrize(("truth", "code"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_mask_loses_neither_the_prediction_nor_a_word(service, truth, code):
    job = submit_with_truth(service, truth)
    service.work()
    image = service.reading.image(job.id, 0)
    assert image.status is ImageStatus.SUCCEEDED
    assert [each.code for each in image.warnings] == [code]
    assert image.result.metrics.confusion is None
    assert len(image.result.artifacts) == 2


def turned(orientation, form="JPEG", content=None):
    """A picture of 4 × 2, or what is given, that says so of itself."""
    exif, file = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.open(BytesIO(content or picture(4, 2))).save(file, form, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    ("shown", "mask", "told"),
    [
        (turned(3), SOUND, ["mask_orientation_unclear"]),
        (turned(3), turned(3, "PNG", SOUND), []),
        (turned(3), None, []),
        (turned(1), SOUND, []),
    ],
    ids=["turned", "both turned", "no mask", "upright"],
)
def test_a_mask_of_a_picture_that_exif_turns_unseen_is_used_with_a_warning(service, shown, mask, told):
    for _ in range(2):  # the second time it is known
        with service.submitting.open_draft() as draft:
            draft.add_file("0.jpg", BytesIO(shown), media_type=None)
            if mask is not None:
                draft.add_mask("0.png", BytesIO(mask))
            job = service.submitting.submit(draft, JobOptions())
        service.work()
        assert warnings_of(service, job) == told
        assert (service.reading.image(job.id, 0).result.metrics.confusion is None) is (mask is None)


def test_a_known_picture_that_is_gone_by_now_is_scored_without_that_warning(service):
    def submitted():
        with service.submitting.open_draft() as draft:
            draft.add_file("0.jpg", BytesIO(turned(3)), media_type=None)
            draft.add_mask("0.png", BytesIO(SOUND))
            return service.submitting.submit(draft, JobOptions())

    submitted()
    service.work()
    again = submitted()
    service.objects.delete(service.reading.image(again.id, 0).source.location)
    service.work()
    image = service.reading.image(again.id, 0)
    assert (image.result.reused, image.result.metrics.confusion is None, image.warnings) == (True, False, ())


def test_what_nobody_knows_is_left_out_of_the_sums_and_counted(service):
    job = submit_with_truth(service, SOUND, UNKNOWN, UNKNOWN)
    service.work()
    found = service.reading.job(job.id)
    assert found.warnings == {"mask_unknown_ids": 2}
    assert found.totals[0].truth_images == 1
    assert sum(map(sum, found.totals[0].confusion)) == 8


class Masks:
    """Sources whose masks raise."""

    def __init__(self, sources, error):
        self.sources, self.error = sources, error

    def read(self, source, *, tenant, check):
        if "truth" in source.location:
            raise self.error
        return self.sources.read(source, tenant=tenant, check=check)


def worker_with(service, **parts):
    worker = service.worker()
    return replace(worker, work=replace(worker.work, **parts))


@pytest.mark.parametrize("error", [DownloadFailed("gone", retryable=False), ObjectNotFound("gone")])
def test_a_mask_that_is_gone_is_a_warning(service, error):
    job = submit_with_truth(service, SOUND)
    service.work(worker_with(service, sources=Masks(service.worker().work.sources, error)))
    assert warnings_of(service, job) == ["mask_mismatch"]
    assert service.reading.image(job.id, 0).status is ImageStatus.SUCCEEDED


def test_a_mask_that_may_come_later_is_tried_again_and_then_done_without(service):
    job = submit_with_truth(service, SOUND)
    masks = Masks(service.worker().work.sources, DownloadFailed("503", retryable=True))
    service.work(worker_with(service, sources=masks))
    assert service.reading.image(job.id, 0).status is ImageStatus.QUEUED
    service.clock.advance(60)
    service.upkeep.run()
    service.work(worker_with(service, sources=masks))
    assert service.reading.image(job.id, 0).status is ImageStatus.SUCCEEDED
    assert warnings_of(service, job) == ["mask_mismatch"]


def test_what_is_noticed_in_decoding_is_a_warning(service):
    job = service.submit(picture(form="JPEG")[:-2])
    service.work()
    assert warnings_of(service, job) == ["truncated_tail"]
    assert service.reading.job(job.id).warnings == {"truncated_tail": 1}


def test_a_picture_is_decoded_once_and_goes_through_every_model(service):
    models = ("tiny", "other")
    job = make_job(1, models=models, totals=(JobTotals(), JobTotals()))
    (new,) = make_images(1)
    service.objects.put(new.source.location, picture(4, 2), media_type="image/jpeg")
    with service.database.unit() as unit:
        unit.jobs.add(job, [new])
        unit.commit()
    service.worker().run(whole(job))
    assert service.decoder.decoded == 1
    image = service.reading.image(job.id, 0)
    assert image.status is ImageStatus.SUCCEEDED
    assert [each.identity.name for each in image.results] == list(models)
    masks = [service.objects.get(each.artifacts[1].key) for each in image.results]
    assert masks[0] != masks[1]
    kept = {artifact.key for result in (*image.results, image.comparison) for artifact in result.artifacts}
    assert kept == set(attempt_keys(job, 0, attempt=1))
    assert len(kept) == 5
    assert image.comparison.agreement.disagreement == 1
    assert service.reading.job(job.id).agreement == image.comparison.agreement
    totals = service.reading.job(job.id).totals
    assert [each.class_pixels for each in totals] == [{"sky": 4, "building": 4}] * 2
    timings = [each.timings_ms for each in image.results]
    assert timings[0]["decode"] == timings[1]["decode"]
    assert all(each["total"] >= each["decode"] + each["encode"] for each in timings)


def test_the_hash_of_the_input_is_kept_where_nobody_knew_it(service):
    job = make_job(1)
    (new,) = make_images(1)
    data = picture()
    service.objects.put(new.source.location, data, media_type="image/jpeg")
    with service.database.unit() as unit:
        unit.jobs.add(job, [new])
        unit.commit()
    service.worker().run(whole(job))
    assert service.reading.image(job.id, 0).input_sha256 == hashlib.sha256(data).hexdigest()


def test_a_picture_beyond_the_budget_is_never_decoded(service):
    service.segmenter.most_pixels = 100
    job = service.submit(picture(32, 24))
    service.work()
    assert service.reading.image(job.id, 0).failure.code == "image_too_large"
    assert service.decoder.decoded == 0


def test_an_image_that_takes_too_long_fails_alone_and_the_others_go_on(service):
    stuck = threading.Event()

    def hang(data):
        if len(data) == len(slow):
            stuck.wait(60)

    slow = picture(64, 64, form="PNG")
    service.decoder.before = hang
    job = service.submit(picture(), slow, picture(), picture(), picture(), picture())
    service.worker(image_limit_s=3.0).run(whole(job))
    found = service.reading.job(job.id)
    assert (found.counts.succeeded, found.counts.failed) == (5, 1)
    failure = service.reading.image(job.id, 1).failure
    assert failure.code == "timed_out"
    assert "decode" in failure.message
    objects = set(service.objects.keys(""))
    stuck.set()
    wait_for(lambda: service.decoder.decoded == 6, what="the end of what was given up")
    assert set(service.objects.keys("")) == objects


def test_a_large_picture_whose_codec_hangs_keeps_the_next_one_out_no_longer_than_its_time_limit(service):
    stuck, sizes = threading.Event(), []

    def hang_at_first(data):
        sizes.append(len(data))
        if len(sizes) == 1:
            stuck.wait(60)

    service.decoder.before = hang_at_first
    service.room = PixelRoom(100, threads=2)  # each of the pictures takes all of it
    job = service.submit(picture(32, 24), picture(32, 24))
    service.worker(image_limit_s=3.0).run(whole(job))
    found = service.reading.job(job.id)
    assert (found.counts.succeeded, found.counts.failed) == (1, 1)
    stuck.set()


def test_a_store_that_never_answers_is_an_outage(service):
    answers = threading.Event()
    put = service.objects.put

    def hang(key, data, *, media_type):
        answers.wait(60)
        return put(key, data, media_type=media_type)

    job = service.submit()
    service.objects.put = hang
    service.worker(image_limit_s=2.0).run(whole(job))
    assert service.reading.image(job.id, 0).waiting_for == "storage"
    inputs = set(service.objects.keys(""))
    answers.set()
    wait_for(lambda: set(service.objects.keys("")) == inputs, what="what was stored too late to be removed")


def test_a_cancel_is_seen_in_the_middle_of_an_image(service, heartbeat):
    job = service.submit()

    def cancel(picture):
        service.changing.cancel(job.id)
        heartbeat()

    worker = service.worker(heartbeat_s=0.01)
    service.segmenter.before = cancel
    worker.run(whole(job))
    image = service.reading.image(job.id, 0)
    assert (image.status, image.attempt) == (ImageStatus.CANCELED, 1)
    assert list(service.objects.keys("")) == [image.source.location]
    assert service.reading.job(job.id).status is JobStatus.CANCELED


def lose_with(service, job, *, losses=5):
    """As when a worker vanishes: another takes its lease away."""
    service.clock.advance(100)
    with service.database.unit() as unit:
        unit.images.free_expired(losses=losses, limit=10)
        unit.commit()


def test_a_worker_that_comes_too_late_removes_what_it_stored(service):
    job = service.submit()
    put, late = service.objects.put, list[str]()

    def lose_first(key, data, *, media_type):
        if not late:
            late.append(key)
            lose_with(service, job)
            service.worker("successor").run(whole(job))
        return put(key, data, media_type=media_type)

    service.objects.put = lose_first
    service.worker(heartbeat_s=60).run(whole(job))
    image = service.reading.image(job.id, 0)
    assert (image.status, image.attempt, image.worker) == (ImageStatus.SUCCEEDED, 2, "successor")
    named = {artifact.key for artifact in image.result.artifacts}
    assert set(service.objects.keys("")) == named | {image.source.location}


def test_the_successor_removes_what_a_vanished_worker_left(service):
    job = service.submit()
    with service.database.unit() as unit:
        unit.images.claim(whole(job), worker="vanished", lease_s=30)
        unit.commit()
    for key in attempt_keys(job, 0, attempt=1):
        service.objects.put(key, b"half", media_type="image/png")
    lose_with(service, job)
    service.worker().run(whole(job))
    image = service.reading.image(job.id, 0)
    named = {artifact.key for artifact in image.result.artifacts}
    assert set(service.objects.keys("")) == named | {image.source.location}


@pytest.mark.parametrize("canceled", [True, False])
def test_upkeep_removes_what_a_vanished_worker_left(service, canceled):
    job = service.submit()
    with service.database.unit() as unit:
        unit.images.claim(whole(job), worker="vanished", lease_s=30)
        unit.commit()
    for key in attempt_keys(job, 0, attempt=1):
        service.objects.put(key, b"half", media_type="image/png")
    if canceled:
        service.changing.cancel(job.id)
    service.clock.advance(100)
    service.upkeep.run()
    expected = ImageStatus.CANCELED if canceled else ImageStatus.QUEUED
    assert service.reading.image(job.id, 0).status is expected
    assert list(service.objects.keys("")) == [service.reading.image(job.id, 0).source.location]


def test_a_picture_is_measured_while_its_artifacts_are_encoded(service):
    begun, asked = [], []

    def aside(work):
        def ask():
            asked.append(work)
            return work()

        begun.append(work)
        return ask

    job = submit_with_truth(service, SOUND)
    service.work()
    usual = service.reading.image(job.id, 0)
    service.aside = aside
    job = submit_with_truth(service, SOUND, reuse=False)
    service.work()
    found = service.reading.image(job.id, 0)
    assert len(begun) == 1
    assert asked == begun
    assert found.result.metrics == usual.result.metrics


def scanned(scans):
    """A progressive JPEG of 64 × 64 pixels that goes over them so often."""
    buffer = BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:last] + data[last:end] * (scans - data.count(b"\xff\xda") + 1) + data[end:]


@pytest.mark.parametrize(
    ("content", "tile", "steps_out"),
    [
        (scanned(10), None, 0),
        (scanned(40), None, 1),
        (picture(64, 64), TileOptions(size=16, overlap=0), 0),
        (picture(64, 64), TileOptions(size=16, overlap=8), 1),
    ],
    ids=["usual scans", "many scans", "16 tiles", "64 tiles"],
)
def test_a_picture_that_takes_long_leaves_its_thread_to_others(service, content, tile, steps_out):
    stepped = []
    service.room = PixelRoom(10_000, threads=1, step_out=lambda: stepped.append(1))
    job = service.submit(content, tile=tile)
    service.work()
    assert service.reading.job(job.id).counts.succeeded == 1
    assert len(stepped) == steps_out
