"""A worker that is killed in the middle of a job costs time and nothing else."""

from __future__ import annotations

from tests.stack import Stack, everything_once, submit_pictures

IMAGES = 200


def test_every_image_is_done_once_after_the_worker_was_killed(stack: Stack) -> None:
    worker = stack.living_worker()
    job_id = submit_pictures(stack, IMAGES)
    stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 20)
    stack.kill(worker)
    _, before = stack.rows(job_id)
    held = {image.index for image in before if image.status == "running"}
    assert held, "the worker was to be killed while it held images"

    stack.living_worker()

    assert stack.finished(job_id)["status"] == "succeeded"
    everything_once(stack, job_id, IMAGES)
    _, after = stack.rows(job_id)
    assert {image.index for image in after if image.attempt > 1} == held


def test_a_worker_that_is_asked_to_stop_gives_back_what_it_had_not_begun(stack: Stack) -> None:
    worker = stack.processes[stack.living_worker()]
    job_id = submit_pictures(stack, IMAGES)
    stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 20)
    worker.terminate()
    assert worker.wait(90) == 0
    _, images = stack.rows(job_id)
    assert not [image for image in images if image.status == "running"]

    stack.living_worker()

    assert stack.finished(job_id)["status"] == "succeeded"
    everything_once(stack, job_id, IMAGES)
