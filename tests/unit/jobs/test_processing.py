"""What a worker does with a slice, on a service in memory."""

import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from jobs.errors import ModelFailed
from jobs.job import ImageStatus, JobStatus, Slice
from jobs.options import JobOptions, OverlayOptions
from jobs.ports import Outcome
from jobs.processing.attempt import Attempt
from jobs.reporting.summary import job_metrics
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from tests.factories import encoded, make_image, make_job, mask, picture, zip_of


def statuses(service, job):
    rows, _ = service.reading.images(job.id, limit=1000, after=None)
    return [row.status for row in rows]


def whole(job):
    return Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)


def test_an_image_is_segmented_measured_and_stored(service):
    job = service.submit(picture(32, 24), artifacts=("overlay", "mask", "confidence", "polygons", "coco"))
    service.work()
    image = service.reading.image(job.id, 0)
    result = image.result
    assert (image.status, image.attempt, result.width, result.height) == (ImageStatus.SUCCEEDED, 1, 32, 24)
    assert result.metrics.class_fractions == {"sky": 0.5, "building": 0.5}
    assert (result.metrics.mean_confidence, result.metrics.mean_entropy) == (pytest.approx(0.8), 0.25)
    assert {"fetch", "infer", "metrics", "encode", "store", "total"} <= result.timings_ms.keys()
    assert [each.name for each in result.artifacts] == ["overlay", "mask", "confidence", "polygons", "coco"]
    assert all(len(service.objects.get(each.key)) == each.size for each in result.artifacts)
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED


def test_predictions_are_remapped_to_the_jobs_label_space(service):
    job = service.submit(picture(), label_space="cityscapes-8")
    service.work()
    fractions = service.reading.image(job.id, 0).result.metrics.class_fractions
    assert fractions == {"sky": 0.5, "construction": 0.5}


def submit_with_truth(service, truth, **options):
    with service.submitting.open_draft() as draft:
        draft.add_file("a.jpg", BytesIO(picture(4, 2)), media_type=None)
        draft.add_mask("a.png", BytesIO(truth))
        return service.submitting.submit(draft, JobOptions(**options))


def test_ground_truth_is_scored_without_void(service):
    truth = np.array([[0, 0, 1, 11], [0, 1, 1, 1]], np.uint8)  # the prediction is 0 0 1 1
    job = submit_with_truth(service, mask(truth))
    service.work()
    metrics = service.reading.image(job.id, 0).result.metrics
    assert metrics.pixel_accuracy == pytest.approx(6 / 7)
    assert metrics.iou == {"sky": pytest.approx(3 / 4), "building": pytest.approx(3 / 4)}
    scores = job_metrics(service.reading.job(job.id))
    assert scores["class_fractions"] == {"building": 0.5, "sky": 0.5}
    assert scores["mean_confidence"] == pytest.approx(0.8)
    assert scores["ground_truth"]["miou"] == pytest.approx(0.75)
    assert scores["ground_truth"]["images"] == 1


def test_truth_that_is_all_void_scores_nothing(service):
    job = submit_with_truth(service, mask(np.full((2, 4), 11, np.uint8)))
    service.work()
    assert service.reading.image(job.id, 0).result.metrics.miou is None
    assert job_metrics(service.reading.job(job.id))["ground_truth"]["miou"] is None


def test_truth_in_another_label_space_is_remapped(service):
    truth = np.full((2, 4), 23, np.uint8)  # sky of Cityscapes
    job = submit_with_truth(service, mask(truth), mask_label_space="cityscapes-34")
    service.work()
    assert service.reading.image(job.id, 0).result.metrics.pixel_accuracy == 0.5


def test_a_job_without_results_has_no_metrics():
    assert job_metrics(make_job()) == {"class_fractions": {}}


def test_one_bad_image_does_not_hurt_its_neighbours(service):
    job = service.submit(picture(), b"broken", picture())
    service.work()
    assert statuses(service, job) == [ImageStatus.SUCCEEDED, ImageStatus.FAILED, ImageStatus.SUCCEEDED]
    assert service.reading.image(job.id, 1).failure.code == "unreadable_image"
    assert service.reading.job(job.id).status is JobStatus.PARTIAL


def fail_once(error):
    errors = [error]

    def before(data):
        if errors:
            raise errors.pop()

    return before


def test_what_may_pass_is_tried_again_later(service):
    service.segmenter.before = fail_once(MemoryError())
    job = service.submit()
    service.work()
    waiting = service.reading.image(job.id, 0)
    assert (waiting.status, waiting.attempt) == (ImageStatus.QUEUED, 1)
    assert waiting.retry_at == service.clock() + timedelta(seconds=2)
    assert service.upkeep.run().resent == 0
    service.clock.advance(20)
    assert service.upkeep.run().resent == 1
    service.work()
    assert service.reading.image(job.id, 0).attempt == 2
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED


def test_tries_end(service):
    def fail(picture):
        raise ModelFailed("no")

    service.segmenter.before = fail
    job = service.submit()
    for _ in range(2):
        service.work()
        service.clock.advance(20)
        service.upkeep.run()
    assert service.reading.image(job.id, 0).failure.code == "model_failed"


def test_what_nobody_foresaw_fails_the_image_and_is_logged_with_its_stack(service, caplog):
    def fail(picture):
        raise ValueError("surprise")

    service.segmenter.before = fail
    job = service.submit(picture())
    service.work()
    assert service.reading.image(job.id, 0).failure.message == "the image could not be processed"
    assert "surprise" in caplog.text
    assert "Traceback" in caplog.text


def test_a_bad_picture_is_logged_without_a_stack(service, caplog):
    service.submit(b"%PDF-1.7", picture(form="PNG")[:-200])
    service.work()
    assert "image failed: PDF is not supported" in caplog.text
    assert "image failed: the PNG is damaged" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_outcome_of_a_lone_picture_is_written_by_the_thread_that_has_it(service):
    opened = []

    def open_unit(tenant=None):
        opened.append(threading.current_thread())
        return service.database.unit(tenant)

    job = service.submit(reuse=False)
    replace(service.worker(flush_s=60), open_unit=open_unit).run(whole(job))
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED
    assert opened[0] is threading.current_thread()
    assert len(opened) == 2
    assert opened[1] is not threading.current_thread()


def test_a_second_delivery_does_nothing(service):
    job = service.submit(picture(), picture())
    service.worker().run(whole(job))
    service.segmenter.before = lambda data: pytest.fail("processed twice")
    service.worker("w2").run(whole(job))
    assert [service.reading.image(job.id, index).attempt for index in (0, 1)] == [1, 1]


def test_two_workers_share_a_slice_without_doing_an_image_twice(service):
    job = service.submit(*[picture()] * 8)
    workers = [threading.Thread(target=service.worker(name).run, args=(whole(job),)) for name in "ab"]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert {service.reading.image(job.id, index).attempt for index in range(8)} == {1}
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED


def test_a_cancel_stops_what_has_not_begun(service, heartbeat):
    job = service.submit(*[picture()] * 12)
    canceling, known = threading.Lock(), threading.Event()

    def cancel_at_the_first(data):
        with canceling:
            if not known.is_set():
                service.changing.cancel(job.id)
                heartbeat()
                known.set()

    service.segmenter.before = cancel_at_the_first
    service.worker().run(whole(job))
    found = service.reading.job(job.id)
    assert found.status is JobStatus.CANCELED
    assert found.counts.canceled >= 4
    assert found.counts.total == 12


def test_a_slice_that_comes_to_a_stopping_worker_is_sent_to_another_one(service):
    job = service.submit(*[picture()] * 2)
    service.submit()
    worker = service.worker()
    worker.stop()
    worker.run(service.dispatcher.sent.pop(0))
    assert service.upkeep.run().resent == 1
    assert [(piece.job_id, piece.first) for piece in service.dispatcher.sent].count((job.id, 0)) == 1


def test_a_worker_that_slept_through_its_lease_goes_on_while_nobody_has_its_image(service):
    job = service.submit()
    service.segmenter.before = lambda picture: service.clock.advance(100)
    service.worker(heartbeat_s=60).run(whole(job))
    assert service.reading.image(job.id, 0).status is ImageStatus.SUCCEEDED


def test_a_stopping_worker_gives_back_what_it_has_not_begun(service):
    job = service.submit(*[picture()] * 12)
    worker = service.worker()
    service.segmenter.before = lambda data: worker.stop()
    worker.run(whole(job))
    counts = service.reading.job(job.id).counts
    assert counts.queued > 0
    assert counts.queued + counts.succeeded == 12
    worker.run(whole(job))
    assert service.reading.job(job.id).counts == counts
    service.segmenter.before = lambda data: None
    service.worker().run(whole(job))
    assert service.reading.job(job.id).status is JobStatus.SUCCEEDED


def test_a_late_worker_changes_nothing_and_leaves_nothing_of_a_deleted_job(service):
    job = service.submit()

    def lose_the_lease(data):
        service.clock.advance(100)
        with service.database.unit() as unit:
            unit.images.free_expired(losses=1, limit=10)
            unit.commit()
        service.changing.delete(job.id)

    service.segmenter.before = lose_the_lease
    service.work(service.worker(heartbeat_s=60))
    assert not service.objects.contents


def test_a_late_worker_leaves_the_objects_of_a_living_job_alone(service):
    job = service.submit()

    def lose_the_lease(data):
        service.clock.advance(100)
        with service.database.unit() as unit:
            unit.images.free_expired(losses=1, limit=10)
            unit.commit()

    service.segmenter.before = lose_the_lease
    service.work(service.worker(heartbeat_s=60))
    assert service.reading.image(job.id, 0).failure.code == "worker_lost"
    assert service.objects.contents


def test_leases_are_renewed_while_the_slice_runs(service, heartbeat):
    job = service.submit()

    def wait_for_heartbeats(data):
        for _ in range(20):
            service.clock.advance(10)
            heartbeat()

    service.segmenter.before = wait_for_heartbeats
    thread = threading.Thread(target=service.worker().run, args=(whole(job),))
    thread.start()
    while thread.is_alive():
        assert service.upkeep.run().freed == 0
        time.sleep(0.03)
    assert service.reading.image(job.id, 0).attempt == 1


class Unheld:
    canceled = False

    def holds(self, index):
        return False


def test_an_interrupt_in_a_picture_thread_is_not_an_image_failure(service):
    future: Future[Outcome] = Future()
    future.set_exception(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        service.worker()._outcome(future, Attempt(make_job(), make_image(), Unheld(), limit_s=1))


def test_zip_entries_and_png_pictures_are_processed_alike(service):
    with service.submitting.open_draft() as draft:
        data = zip_of({"a.png": encoded(np.zeros((5, 5, 3), np.uint8), "PNG")})
        draft.add_file("x.zip", BytesIO(data), media_type=None)
        job = service.submitting.submit(draft, JobOptions())
    service.work()
    assert statuses(service, job) == [ImageStatus.SUCCEEDED]


def test_the_colour_blind_palette_colours_overlay_and_mask(service):
    job = service.submit(picture(), overlay=OverlayOptions(palette="colour_blind"))
    service.work()
    result = service.reading.image(job.id, 0).result
    (stored,) = (each for each in result.artifacts if each.name == "mask")
    space = get_label_space(job.label_space)
    with Image.open(BytesIO(service.objects.get(stored.key))) as image:
        colours = np.array(image.getpalette(), np.uint8).reshape(256, 3)
    assert np.array_equal(colours, palette(space, colour_blind_safe=True))
