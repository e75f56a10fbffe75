"""A real worker process on a real broker: Celery, the thread pool, the whole pipeline, SQLite and a directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.app import MESSAGE_PRIORITY, RUN_UPKEEP, UPKEEP, make_app
from broker.dispatch import CeleryDispatcher
from broker.settings import BrokerSettings
from jobs.callers import DEFAULT_TENANT
from jobs.job import Counts, ImageStatus, Job, JobImage, JobStatus, NewImage, Priority, Source, SourceKind
from jobs.keys import input_key, new_job_id
from jobs.options import JobOptions
from segmentation.formats.outlines import Outlines
from segmentation.picture_files.pictures import decode_mask
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from tests.factories import encoded, make_job, picture
from tests.job_steps import every_image
from tests.services.processes import dies_with_us, wait_for
from tests.services.valkey import ValkeyServer
from tests.tiny_models import GREEN, RED, tiny_bundle

IMPATIENT = {
    "MASKMILL_WORKER_BEAT_S": "0.2",
    "MASKMILL_WORKER_SILENCE_S": "0.1",
    "MASKMILL_WORKER_LEASE_S": "3",
    "MASKMILL_WORKER_HEARTBEAT_S": "1",
}


@dataclass
class Place:
    """A home folder with a database, a store, a model and a broker; and what a client would do there."""

    home: Path
    broker: str
    storage: StorageSettings = field(init=False)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        tiny_bundle(self.home / "models")
        self.storage = StorageSettings(home=self.home, model_folders=[self.home / "models"])
        upgrade(self.storage)
        self.database = open_database(self.storage)
        self.objects = open_objects(self.storage)
        self.app = make_app(BrokerSettings(home=self.home, url=self.broker))
        self.dispatcher = CeleryDispatcher(self.app)

    def submit(
        self,
        pictures: Sequence[bytes],
        *,
        dispatch: bool = True,
        slice_size: int = 1,
        bulk: bool = False,
        tenant: str = DEFAULT_TENANT,
        **chosen: Any,
    ) -> Job:
        now, priority = datetime.now(UTC), Priority.BULK if bulk else Priority.INTERACTIVE
        chosen = {"artifacts": ("mask", "overlay"), "reuse": False, **chosen}
        options = JobOptions(model="tiny", label_space="camvid-11", **chosen)
        counts = Counts(queued=len(pictures))
        job = make_job(
            job_id=new_job_id(),
            options=options,
            counts=counts,
            created_at=now,
            slice_size=slice_size,
            priority=priority,
            tenant=tenant,
        )
        images = []
        for index, data in enumerate(pictures):
            key = input_key(job.prefix, index)
            self.objects.put(key, data, media_type="image/jpeg")
            images.append(NewImage(Source(SourceKind.OBJECT, key), f"{index}.jpg"))
        with self.database.unit() as unit:
            unit.jobs.add(job, images)
            unit.commit()
        if dispatch:
            self.dispatcher.dispatch(job.slices())
        return job

    def job(self, job_id: str) -> Job:
        with self.database.unit() as unit:
            return unit.jobs.get(job_id)

    def images(self, job_id: str) -> list[JobImage]:
        with self.database.unit() as unit:
            return every_image(unit, job_id)

    def finished(self, job: Job, *, timeout_s: float = 60) -> Job:
        wait_for(lambda: self.job(job.id).is_finished, what=f"the end of {job.id}", timeout_s=timeout_s)
        return self.job(job.id)

    def alive(self) -> list[str]:
        with self.database.unit() as unit:
            return [beat.name for beat in unit.workers.alive(within_s=1e9)]

    @contextmanager
    def worker(self, name: str = "w1", **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        log = self.home / f"{name}.log"
        process = self.start(name, log, environment)
        liveness = self.home / "run"
        try:
            wait_for(lambda: process.poll() is not None or any(liveness.glob(f"{name}@*")), what=f"{name} to start")
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(120)

    def start(self, name: str, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "worker.tasks", "worker", "-P", "threads", "-c", "2"]
        command += ["-Q", "interactive,bulk,upkeep", "-n", f"{name}@%h", "-l", "INFO"]
        settings = {
            "MASKMILL_HOME": str(self.home),
            "MASKMILL_BROKER_URL": self.broker,
            "MASKMILL_STORAGE_MODEL_FOLDERS": json.dumps([str(self.home / "models")]),
        }
        with log.open("wb") as output:
            return subprocess.Popen(
                [*dies_with_us(), *command],
                env={**os.environ, **IMPATIENT, **settings, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


@contextmanager
def open_place(home: Path, server: ValkeyServer, *, number: int) -> Iterator[Place]:
    """number: of the broker's database, so that places know nothing of one another."""
    place = Place(home, f"{server.url.rpartition('/')[0]}/{number}")
    try:
        yield place
    finally:
        place.dispatcher.close()
        place.database.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, valkey_server: ValkeyServer) -> Iterator[Place]:
    """A place where one worker runs all the time."""
    with open_place(tmp_path_factory.mktemp("served"), valkey_server, number=1) as place, place.worker("resident"):
        yield place


@pytest.fixture
def place(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[Place]:
    with open_place(tmp_path, valkey_server, number=2) as place:
        yield place


def when(ended: Job | JobImage) -> datetime:
    assert ended.finished_at is not None
    return ended.finished_at


def test_a_job_is_done_each_image_once_and_a_bad_one_hurts_no_other(served: Place):
    good = [picture(64, 48, seed=seed) for seed in range(11)]
    job = served.finished(served.submit([*good[:5], b"no picture", *good[5:]], slice_size=4))
    images = served.images(job.id)
    assert job.status is JobStatus.PARTIAL
    assert [image.status for image in images].count(ImageStatus.SUCCEEDED) == 11
    assert images[5].failure is not None
    assert images[5].failure.code == "unreadable_image"
    assert {image.attempt for image in images} == {1}
    for image in images:
        for artifact in () if image.result is None else image.result.artifacts:
            assert served.objects.info(artifact.key).size == artifact.size


def test_what_is_undecided_drawn_and_simplified_is_as_the_job_was_submitted(served: Place):
    """By a model that is certain of red, green and blue, and of nothing in between."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:40], pixels[:, 40:] = RED, GREEN, 127
    chosen: dict[str, Any] = {"artifacts": ("mask", "polygons"), "min_confidence": 0.5, "classes": ("building",)}
    job = served.submit([encoded(pixels, "PNG")], polygons=Outlines(1.0, 100), **chosen)
    assert served.finished(job).status is JobStatus.SUCCEEDED
    (result,) = served.images(job.id)[0].results
    mask, polygons = (served.objects.get(each.key) for each in result.artifacts)
    shares = np.bincount(decode_mask(mask, max_pixels=10**6).ravel(), minlength=12) / pixels[..., 0].size
    assert (np.flatnonzero(shares).tolist(), shares[0]) == ([0, 1, 11], 0.25)
    assert 0.3 < shares[11] < 0.375
    assert result.metrics.coverage == 1 - shares[11]
    (drawn,) = json.loads(polygons)["features"]
    assert (drawn["properties"]["class"], len(drawn["geometry"]["coordinates"][0])) == ("building", 5)


def test_a_tenant_with_many_images_does_not_hold_anothers_few(place: Place):
    """In one queue, the few behind all of the many; and without upkeep, so that no turn may get lost."""
    many = place.submit([picture()] * 600, slice_size=8, bulk=True, tenant="acme")
    few = place.submit([picture()] * 10, bulk=True, tenant="zeta")
    with place.worker():
        few = place.finished(few)
        assert place.finished(many).counts.succeeded == 600
    assert sum(when(image) <= when(few) for image in place.images(many.id)) < 300
    assert {image.attempt for job in (many, few) for image in place.images(job.id)} == {1}


def test_a_small_job_overtakes_a_big_one(served: Place):
    big = served.submit([picture(800, 600, seed=seed) for seed in range(4)] * 20, slice_size=20, bulk=True)
    wait_for(lambda: served.job(big.id).counts.finished > 0, what="the first results")
    small, big = served.finished(served.submit([picture()])), served.finished(big)
    assert when(small) < when(big)
    assert big.counts.succeeded == 80


def test_upkeep_sends_what_the_broker_never_heard_of(served: Place):
    job = served.submit([picture()], dispatch=False)
    time.sleep(0.2)
    _run_upkeep(served)
    assert served.finished(job).status is JobStatus.SUCCEEDED


def test_a_worker_tells_that_it_lives(served: Place):
    wait_for(lambda: len(served.alive()) == 1, what="a beat")
    assert served.alive()[0].startswith("resident@")


@pytest.mark.slow
def test_workers_that_are_killed_or_stopped_leave_their_images_to_the_next(place: Place):
    pictures = [picture(800, 600, seed=seed) for seed in range(4)] * 15
    with place.worker("first") as process:
        job = place.submit(pictures, slice_size=15)
        wait_for(lambda: place.job(job.id).counts.finished > 0, what="the first results")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with place.worker("second") as process:
        before = place.job(job.id).counts.finished
        wait_for(lambda: _run_upkeep(place) and place.job(job.id).counts.finished > before, what="more", pause_s=0.3)
        process.terminate()
        assert process.wait(120) == 0
    held = {image.worker for image in place.images(job.id) if image.status is ImageStatus.RUNNING}
    assert not [name for name in held if name and name.startswith("second@")]  # given back, not left to run out
    assert not list((place.home / "run").glob("second@*"))
    with place.worker("third"):
        wait_for(lambda: _run_upkeep(place) and place.job(job.id).is_finished, what="the end", pause_s=0.3)
    assert place.job(job.id).counts.succeeded == 60
    assert max(image.lost for image in place.images(job.id)) == 1


def test_a_worker_that_cannot_start_ends_with_an_error(place: Place):
    log = place.home / "broken.log"
    process = place.start("broken", log, {"MASKMILL_WORKER_CONCURRENCY": "none"})
    assert process.wait(120) != 0
    assert "the worker could not start" in log.read_text()


def _run_upkeep(place: Place) -> bool:
    place.app.send_task(RUN_UPKEEP, queue=UPKEEP, priority=MESSAGE_PRIORITY[UPKEEP])
    return True
