"""The whole service in processes of its own, on parts that a test chooses, each of which a test may kill."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from jobs.job import Job, JobImage
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from tests.job_steps import every_image
from tests.plain_http import NO_TLS
from tests.services.processes import dies_with_us, free_port, stop, wait_for
from tests.tiny_models import tiny_bundle

ROOT = Path(__file__).resolve().parents[1]
QUEUES = "interactive,bulk,upkeep"
FINISHED = {"succeeded", "partial", "failed", "canceled"}
READY_S = 150.0

# No variants race for seconds, on all processors, while a test waits.
NO_RACE = {"MASKMILL_WORKER_ENGINE": "openvino", "MASKMILL_WORKER_PRECISION": "fp32"}

# Short times, so that what was lost comes back while a test waits.
IMPATIENT = {
    **NO_RACE,
    "MASKMILL_WORKER_LEASE_S": "6",
    "MASKMILL_WORKER_HEARTBEAT_S": "1",
    "MASKMILL_WORKER_BEAT_S": "1",
    "MASKMILL_WORKER_SILENCE_S": "2",
    "MASKMILL_BROKER_UPKEEP_INTERVAL_S": "1",
    "MASKMILL_BROKER_VISIBILITY_TIMEOUT_S": "10",
    "MASKMILL_BROKER_RESTORE_INTERVAL_S": "1",
    "MASKMILL_BROKER_SOCKET_TIMEOUT_S": "3",
    "MASKMILL_BROKER_HEALTH_CHECK_INTERVAL_S": "2",
    "MASKMILL_API_WORKER_SILENCE_S": "5",
    "MASKMILL_WORKER_METRICS_PORT": "0",
}


@dataclass
class Stack:
    """`environment` is that of every process; `storage` are the settings that follow from it; `celery` is the module
    that has the commands of workers and the scheduler."""

    folder: Path
    environment: Mapping[str, str]
    storage: StorageSettings
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    celery: str = "broker"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def http(self) -> httpx.Client:
        """It leaves idle connections before the API does, which is after 5 s: whoever sends just then is cut off."""
        return httpx.Client(base_url=self.url, timeout=90, limits=httpx.Limits(keepalive_expiry=2.0), verify=NO_TLS)

    def start(self, name: str, *arguments: str) -> None:
        """Run `python -m …` in the stack's folder. It ends with us, whatever becomes of us."""
        with self._log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*dies_with_us(), sys.executable, "-m", *arguments],
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start_api(self) -> None:
        self.start("api", "api", "--host", "127.0.0.1", "--port", str(self.port))

    def start_worker(self, name: str = "worker") -> None:
        options = ("-P", "threads", "-c", "4", "-Q", QUEUES, "-n", f"{name}@%h", "--without-gossip", "--without-mingle")
        self.start(name, self.celery, "-A", "worker.tasks", "worker", *options, "--loglevel", "INFO")

    def start_webhooks(self, name: str = "webhooks") -> None:
        quiet = ("--without-gossip", "--without-mingle", "--loglevel", "INFO")
        options = ("-P", "threads", "-c", "1", "-Q", "webhooks", "-n", f"{name}@%h", *quiet)
        self.start(name, self.celery, "-A", "worker.web.webhook_tasks", "worker", *options)

    def living_worker(self) -> str:
        """The name of a worker that runs; a new one when none does."""
        for name, process in self.processes.items():
            if name.startswith("worker") and process.poll() is None:
                return name
        name = f"worker-{len(self.processes)}"
        self.start_worker(name)
        return name

    def start_scheduler(self) -> None:
        schedule = ("--schedule", str(self.folder / "schedule"), "--pidfile=")
        self.start("scheduler", self.celery, "-A", "broker.app", "beat", *schedule)

    def kill(self, name: str) -> None:
        """As the kernel does it when memory is short: no goodbye."""
        process = self.processes[name]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def freeze(self, name: str) -> None:
        """Stop a process (SIGSTOP) between two writes: one that is frozen in SQLite's lock keeps all others out."""
        path = self.storage.home / "maskmill.db"
        while True:
            self.processes[name].send_signal(signal.SIGSTOP)
            try:
                with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as database:
                    database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                self.processes[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            stop(process)

    def wait_until_ready(self) -> None:
        try:
            wait_for(self._is_ready, what="/ready", timeout_s=READY_S, pause_s=0.2)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from error

    def wait_for_job(self, job_id: str, done: Callable[[Any], bool], *, timeout_s: float = 150.0) -> Any:
        """Poll the job until `done`; a test that waits in vain shows what the processes said."""
        deadline = time.monotonic() + timeout_s
        with self.http() as http:
            while True:
                job = http.get(f"/jobs/{job_id}").raise_for_status().json()
                if done(job):
                    return job
                assert time.monotonic() < deadline, f"{json.dumps(job, indent=1)}\n{self.logs()}"
                time.sleep(0.1)

    def finished(self, job_id: str, *, timeout_s: float = 150.0) -> Any:
        return self.wait_for_job(job_id, lambda job: job["status"] in FINISHED, timeout_s=timeout_s)

    def rows(self, job_id: str) -> tuple[Job, list[JobImage]]:
        """What the database says of a job and its images."""
        database = open_database(self.storage)
        try:
            with database.unit() as unit:
                return unit.jobs.get(job_id), every_image(unit, job_id)
        finally:
            database.close()

    def object_keys(self, *, without: Collection[str] = ()) -> set[str]:
        """Everything in the store but the objects of the jobs `without`."""
        keys = open_objects(self.storage).keys("")
        return {key for key in keys if not any(f"/{job_id}/" in key for job_id in without)}

    def logs(self) -> str:
        tails = [f"== {name}\n{self._log(name).read_text(errors='replace')[-3000:]}" for name in self.processes]
        return "\n".join(tails)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _is_ready(self) -> bool:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}\n{self.logs()}"
        try:
            return httpx.get(f"{self.url}/ready", timeout=5, verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_stack(folder: Path, parts: Mapping[str, str], *, workers: Sequence[str] = ("worker",)) -> Iterator[Stack]:
    """API, scheduler and workers, ready. parts: the settings that name database, store and broker."""
    folder.mkdir(parents=True, exist_ok=True)
    models = folder / "models"
    tiny_bundle(models)
    environment = {
        **IMPATIENT,
        "MASKMILL_HOME": str(folder / "home"),
        "MASKMILL_STORAGE_MODEL_FOLDERS": json.dumps([str(models)]),
        **parts,
    }
    stack = Stack(folder, environment, _settings(environment))
    upgrade(stack.storage)
    try:
        stack.start_api()
        stack.start_scheduler()
        for name in workers:
            stack.start_worker(name)
        stack.wait_until_ready()
        yield stack
    finally:
        stack.stop()


def _settings(environment: Mapping[str, str]) -> StorageSettings:
    prefix = "MASKMILL_STORAGE_"
    values = {
        name.removeprefix(prefix).lower(): value for name, value in environment.items() if name.startswith(prefix)
    }
    folders = json.loads(values.pop("model_folders"))
    return StorageSettings.model_validate({**values, "home": environment["MASKMILL_HOME"], "model_folders": folders})


@cache
def picture(number: int, *, width: int = 640, height: int = 480) -> bytes:
    """A JPEG with a gradient and some noise, different for each number."""
    random = np.random.default_rng(number)
    base = np.linspace(0, 255, width, dtype=np.float32)[None, :, None] * random.uniform(0.2, 1, 3).astype(np.float32)
    noise = random.integers(0, 30, (height, width, 3))
    pixels = np.clip(base + noise, 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=85)
    return data.getvalue()


def pictures_zip(count: int, *, width: int = 640, height: int = 480) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(count):
            archive.writestr(f"picture_{number:04d}.jpg", picture(number, width=width, height=height))
    return data.getvalue()


def submit_pictures(stack: Stack, count: int, **options: Any) -> str:
    """A job of `count` pictures, sent as one ZIP, each to be worked on anew. Returns its id."""
    worked = {"model": "tiny", "reuse": False, **options}
    with stack.http() as http:
        files = {"files": ("pictures.zip", pictures_zip(count), "application/zip")}
        answer = http.post("/jobs", files=files, data={"options": json.dumps(worked)})
    assert answer.status_code == 202, answer.text
    stack.submitted.append(str(answer.json()["id"]))
    return stack.submitted[-1]


def everything_once(stack: Stack, job_id: str, count: int) -> None:
    """Each image has one result, counted once, and the store holds what the rows name and nothing else."""
    job, images = stack.rows(job_id)
    assert job.counts.succeeded == len(images) == count
    assert [image.index for image in images] == list(range(count))
    assert job.totals[0].confidence_images == count
    results = [image.result for image in images if image.result is not None]
    assert len(results) == count
    named = {artifact.key for result in results for artifact in result.artifacts}
    assert len(named) == 2 * count
    others = [other for other in stack.submitted if other != job_id]
    assert stack.object_keys(without=others) == named | {image.source.location for image in images}
