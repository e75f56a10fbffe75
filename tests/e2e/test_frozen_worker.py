"""A worker that is frozen in the middle of its images, wakes up when others have done them, and does no harm."""

from __future__ import annotations

import io
import signal
import zlib

import numpy as np
from PIL import Image

from storage.objects import open_objects
from tests.stack import Stack, everything_once, submit_pictures

IMAGES, LATER = 20, 6
MANY_TILES = {"size": 96, "overlap": 32}  # so that an image takes a while


def test_a_worker_that_wakes_up_after_its_lease_overwrites_nothing_and_leaves_nothing(stack: Stack) -> None:
    worker = stack.living_worker()
    job_id = submit_pictures(stack, IMAGES, tile=MANY_TILES)
    stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 3)
    stack.freeze(worker)
    _, before = stack.rows(job_id)
    held = {image.index for image in before if image.status == "running"}
    assert held, "the worker was to be frozen while it held images"

    stack.start_worker("successor")
    assert stack.finished(job_id)["status"] == "succeeded"
    stack.processes["successor"].terminate()
    assert stack.processes["successor"].wait(90) == 0
    stack.processes[worker].send_signal(signal.SIGCONT)
    later = submit_pictures(stack, LATER)  # done by who was frozen, when it has ended what it held
    assert stack.finished(later)["status"] == "succeeded"

    everything_once(stack, job_id, IMAGES)
    everything_once(stack, later, LATER)
    _, after = stack.rows(job_id)
    assert {image.index for image in after if image.attempt > 1} == held
    objects = open_objects(stack.storage)
    for image in after:
        assert image.result is not None
        for artifact in image.result.artifacts:
            data = objects.get(artifact.key)
            assert (len(data), zlib.crc32(data)) == (artifact.size, artifact.crc32)
            assert np.asarray(Image.open(io.BytesIO(data))).shape[:2] == (480, 640)
