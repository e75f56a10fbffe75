"""What a client may read, on a service in memory."""

from dataclasses import replace

import pytest

from jobs.errors import ArtifactNotFound
from jobs.job import Counts
from jobs.listing.filters import JobFilter
from tests.factories import picture


def test_jobs_are_listed_newest_first_and_filtered(service):
    jobs = [service.submit(model=name) for name in ("tiny", "other", "tiny")]
    page = service.reading.page(JobFilter(), limit=2, before=None)
    assert [job.id for job in page] == sorted((job.id for job in jobs), reverse=True)[:2]
    assert len(service.reading.page(JobFilter(model="other"), limit=9, before=None)) == 1


def test_progress_tells_rate_and_remaining_time(service):
    first = service.submit(b"x")
    second = service.submit(picture(), picture(), picture(), picture())
    assert service.reading.progress(second).queue_position == 1
    assert service.reading.progress(second).images_per_second is None
    pieces = [piece for piece in service.dispatcher.sent if piece.job_id == second.id]
    service.worker().run(pieces[0])
    service.clock.advance(2)
    progress = service.reading.progress(service.reading.job(second.id))
    assert (progress.progress, progress.images_per_second, progress.eta_seconds) == (0.25, 0.5, None)
    service.worker().run(pieces[1])
    progress = service.reading.progress(service.reading.job(second.id))
    assert (progress.progress, progress.images_per_second, progress.eta_seconds) == (0.5, 1.0, 2.0)
    assert progress.queue_position == 0
    assert service.reading.progress(first).queue_position == 0


def test_a_rate_after_a_retry_counts_what_ended_since(service):
    job = service.submit(picture(), b"broken", b"broken", picture())
    service.work()
    again = service.changing.retry(job.id)
    assert again.finished_before == 2
    assert service.reading.progress(again).images_per_second is None
    service.worker().run(next(piece for piece in service.dispatcher.take() if piece.first == 1))
    service.clock.advance(4)
    progress = service.reading.progress(service.reading.job(job.id))
    assert (progress.progress, progress.images_per_second, progress.eta_seconds) == (0.75, 0.25, None)


def test_a_canceled_image_is_no_work_done(service):
    job = service.submit(*(picture() for _ in range(100)))
    service.worker().run(service.dispatcher.take()[0])
    ended = service.reading.job(job.id).counts.succeeded
    service.clock.advance(4)
    service.changing.cancel(job.id)
    canceled = service.reading.job(job.id)
    assert (canceled.counts.canceled, ended) == (100 - ended, canceled.counts.succeeded)
    assert service.reading.progress(canceled).images_per_second == ended / 4


def test_progress_is_1_at_the_end_alone(service):
    job = service.submit()
    told = replace(job, counts=Counts(running=1, succeeded=99_999))
    assert service.reading.progress(told).progress == 0.9999
    assert service.reading.progress(replace(job, counts=Counts(succeeded=100_000))).progress == 1


def test_a_rate_needs_time_to_pass(service):
    job = service.submit()
    service.work()
    done = service.reading.progress(service.reading.job(job.id))
    assert (done.progress, done.images_per_second, done.eta_seconds) == (1.0, None, None)


def test_artifacts_are_found_by_name_and_the_input_is_one(service):
    job = service.submit(picture())
    assert service.reading.artifact(job.id, 0, "input").size == len(picture())
    with pytest.raises(ArtifactNotFound, match="none yet"):
        service.reading.artifact(job.id, 0, "mask")
    service.work()
    mask = service.reading.artifact(job.id, 0, "mask")
    assert (mask.media_type, mask.size) == ("image/png", len(service.objects.get(mask.key)))
    with pytest.raises(ArtifactNotFound, match="overlay, mask"):
        service.reading.artifact(job.id, 0, "coco")
    service.objects.contents.clear()
    with pytest.raises(ArtifactNotFound, match="gone"):
        service.reading.artifact(job.id, 0, "input")
