"""One round: a job is sent, faults strike while it is worked, and once it has ended it is looked at."""

from __future__ import annotations

import io
import json
import random
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

from maskmill import Maskmill
from tests.faults.auditor import Expected, audit, audit_deleted, audit_webhooks, read_job
from tests.faults.faults import FAULTS, SHARP, faults_of
from tests.faults.target import Target
from tests.faults.watcher import DispatchWatch, RowsWatch
from tests.stack import FINISHED, picture

ARTIFACTS = ("mask", "overlay", "coco")
BROKEN = "broken.jpg"
LOOK_EVERY_S = 0.1
ENDED_S = 300.0  # within which a job has to end once the last fault is over
STARTED_S = 20.0
LOCKED_S = 20.0  # longer than anybody waits for a lock
HTTP_PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """at: the share of the job that is done before it strikes."""

    fault: str
    at: float
    lasts_s: float


@dataclass(slots=True, kw_only=True)
class Outcome:
    seed: int
    strikes: Sequence[Strike]
    took_s: float = 0.0
    recovery_s: float | None = None  # from the end of the last fault to the next image that is done
    last_fault: str = ""
    tries: int = 0  # most attempts of an image, excused ones included
    late: list[str] = field(default_factory=list)  # what had not ended in time: no sound service, or a busy machine
    violations: list[str] = field(default_factory=list)

    @property
    def shows_what_is_broken(self) -> bool:
        """What is late is no proof: a busy machine is late as well."""
        return bool(self.violations)


def plan(seed: int, target: Target, *, longest_s: float) -> list[Strike]:
    """One to three faults, drawn from the seed alone."""
    draw = random.Random(seed)
    names = [name for name in faults_of(target) for _ in range(SHARP.get(name, 1))]
    return sorted(
        (_strike(draw, draw.choice(names), longest_s) for _ in range(draw.choice((1, 1, 2, 3)))),
        key=lambda strike: strike.at,
    )


def _strike(draw: random.Random, name: str, longest_s: float) -> Strike:
    lasts_s = draw.uniform(0.5, longest_s)
    if name == "database locked":
        lasts_s = min(LOCKED_S, 2 * longest_s)
    return Strike(fault=name, at=draw.uniform(0.05, 0.7), lasts_s=lasts_s)


def play(seed: int, target: Target, strikes: Sequence[Strike], *, images: int) -> Outcome:
    outcome = Outcome(seed=seed, strikes=strikes)
    started = time.monotonic()
    expected = Expected(image_names(images), frozenset({BROKEN}), ARTIFACTS, images // 2)
    watch, rows = DispatchWatch(target), RowsWatch(target.storage)
    with Maskmill(target.url, patience=HTTP_PATIENCE_S) as service, target.http() as http, watch, rows:
        job_id = submit_job(http, images, webhook=target.receiver.url)
        progress = _Progress(http, job_id)
        _strike_all(target, progress, strikes, outcome)
        progress.wait_for_end(ENDED_S, unless=lambda: bool(rows.violations))
        if progress.ended and not rows.violations:  # what else is wrong follows from these
            outcome.violations += audit(http, target.storage, job_id, expected)
            outcome.violations += audit_webhooks(http, target.receiver, job_id)
            outcome.violations += _delete(service, target, job_id, outcome)
        elif not rows.violations:
            outcome.late.append(f"{job_id} had not ended after {ENDED_S:g} s: {progress.state}")
        outcome.recovery_s = progress.recovery_s
    outcome.violations += watch.violations + rows.violations
    outcome.took_s = time.monotonic() - started
    return outcome


def _delete(service: Maskmill, target: Target, job_id: str, outcome: Outcome) -> list[str]:
    job, images = read_job(target.storage, job_id)
    outcome.tries = max(image.attempt for image in images)
    service.job(job_id).delete()
    return audit_deleted(target.storage, job.prefix)


class _Progress:
    """Looks at a job again and again, whoever answers or not, and notes when images were done."""

    def __init__(self, http: httpx.Client, job_id: str) -> None:
        self._http = http
        self._job_id = job_id
        self.state: dict[str, Any] = {}
        self.done = 0
        self.over_at: float | None = None  # when the last fault was over
        self.recovery_s: float | None = None

    @property
    def share(self) -> float:
        return self.done / self.state["images"]["total"] if self.state else 0.0

    @property
    def ended(self) -> bool:
        return bool(self.state) and self.state["status"] in FINISHED

    def look(self) -> None:
        try:
            answer = self._http.get(f"/jobs/{self._job_id}", timeout=5)
        except httpx.TransportError:
            return
        if answer.status_code != httpx.codes.OK:
            return
        self.state = answer.json()
        counts = self.state["images"]
        done = counts["succeeded"] + counts["failed"]
        if self.over_at is not None and self.recovery_s is None and (done > self.done or self.ended):
            self.recovery_s = time.monotonic() - self.over_at
        self.done = done

    def wait_for_share(self, share: float) -> None:
        """Or for a while: what stands still is struck too."""
        deadline = time.monotonic() + STARTED_S
        while self.share < share and not self.ended and time.monotonic() < deadline:
            self.look()
            time.sleep(LOOK_EVERY_S)

    def wait_for_end(self, timeout_s: float, *, unless: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.ended and time.monotonic() < deadline and not unless():
            self.look()
            time.sleep(LOOK_EVERY_S)


def _strike_all(target: Target, progress: _Progress, strikes: Sequence[Strike], outcome: Outcome) -> None:
    """Each begins at its share of the job; they may overlap."""
    over: list[tuple[float, str]] = []

    def strike(each: Strike) -> None:
        FAULTS[each.fault](target, each.lasts_s)
        over.append((time.monotonic(), each.fault))

    with ThreadPoolExecutor() as pool:
        running = []
        for each in strikes:
            progress.wait_for_share(each.at)
            running.append(pool.submit(strike, each))
        while not all(thread.done() for thread in running):
            progress.look()
            time.sleep(LOOK_EVERY_S)
        for thread in running:
            thread.result()
    progress.over_at, outcome.last_fault = max(over)
    progress.recovery_s = 0.0 if progress.ended else None


def image_names(images: int) -> list[str]:
    return [*(f"{index:04d}.jpg" for index in range(images)), BROKEN]


def submit_job(http: httpx.Client, images: int, *, model: str = "street-fast", webhook: str | None = None) -> str:
    """One ZIP of pictures with a broken one at its end, and one of masks for half of them."""
    pictures = [(name, picture(index, width=320, height=240)) for index, name in enumerate(image_names(images)[:-1])]
    parts = {
        "files": ("pictures.zip", _zip([*pictures, (BROKEN, pictures[0][1][:600])])),
        "masks": ("masks.zip", _zip(_masks(images // 2))),
    }
    form = {"artifacts": ",".join(ARTIFACTS), "mask_label_space": "camvid-11", "model": model}
    form["reuse"] = "false"  # each round is to be worked through
    if webhook is not None:
        form["webhook"] = json.dumps({"url": webhook, "events": ["job.completed"]})
    return str(http.post("/jobs", files=parts, data=form).raise_for_status().json()["id"])


def _masks(count: int) -> Iterator[tuple[str, bytes]]:
    for index in range(count):
        ids = np.random.default_rng(index).integers(0, 11, (240, 320), np.uint8)
        file = io.BytesIO()
        Image.fromarray(ids).save(file, "PNG", compress_level=1)
        yield f"{index:04d}.png", file.getvalue()


def _zip(files: Sequence[tuple[str, bytes]] | Iterator[tuple[str, bytes]]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return data.getvalue()
