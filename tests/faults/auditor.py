"""Looks at an ended job from outside, by HTTP, archive, store and database, and names whatever is not as it must be."""

from __future__ import annotations

import io
import json
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from PIL import Image

from jobs.job import Artifact, Job, JobImage, SourceKind
from jobs.keys import attempt_keys
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from tests.job_steps import every_image
from tests.receiver import Receiver

UPKEEP_S = 30.0  # within which what losers and dead processes left has to be removed


@dataclass(frozen=True, slots=True)
class Expected:
    """names: of all images in order; broken: those that cannot be read; artifacts: asked for; truths: with a mask."""

    names: Sequence[str]
    broken: frozenset[str]
    artifacts: Sequence[str]
    truths: int


def audit(http: httpx.Client, storage: StorageSettings, job_id: str, expected: Expected) -> list[str]:
    """Violations, as sentences; empty when everything is as if nothing had happened."""
    job, images = read_job(storage, job_id)
    told = [*_statuses(images, expected), *_counts(job, images, expected), *_sums(job, images)]
    told += _attempts(job, images)
    told += _objects(storage, images)
    told += _answers(http, job_id, images)
    told += _archive(http, job_id, images, expected)
    return [*told, *_strangers(storage, job, images)]


def audit_deleted(storage: StorageSettings, prefix: str) -> list[str]:
    """After `DELETE /jobs/{id}`: nothing of it stays."""
    store = open_objects(storage)
    left = _settled(lambda: list(store.keys(prefix)))
    return [f"{key} stays after the job was deleted" for key in left]


def audit_webhooks(http: httpx.Client, receiver: Receiver, job_id: str) -> list[str]:
    """The receiver hears of the job's end: once or, after a death, again under the same id; and that is known."""

    def left() -> list[str]:
        heard = {each.id for each in receiver.arrived if each.said["data"]["id"] == job_id}
        rows = http.get(f"/jobs/{job_id}/deliveries").raise_for_status().json()["items"]
        told = [f"the delivery of {row['event']} is {row['status']}" for row in rows if row["status"] != "delivered"]
        return told if len(heard) == len(rows) == 1 else [*told, f"{len(rows)} deliveries, {len(heard)} arrived"]

    return _settled(left)


def read_job(storage: StorageSettings, job_id: str) -> tuple[Job, list[JobImage]]:
    database = open_database(storage)
    try:
        with database.unit() as unit:
            return unit.jobs.get(job_id), every_image(unit, job_id)
    finally:
        database.close()


def _statuses(images: Sequence[JobImage], expected: Expected) -> Iterator[str]:
    if [image.name for image in images] != list(expected.names):
        yield f"the rows are not those of the {len(expected.names)} images that were sent"
    for image in images:
        if image.name in expected.broken:
            if image.failure is None or image.failure.code != "unreadable_image":
                yield f"{image.name} cannot be read and is {image.status} ({image.failure})"
        elif image.status != "succeeded":
            yield f"{image.name} is sound and is {image.status} after {image.attempt} attempts ({image.failure})"


def _counts(job: Job, images: Sequence[JobImage], expected: Expected) -> Iterator[str]:
    seen = Counter(image.status.value for image in images)
    for status in ("queued", "running", "succeeded", "failed", "canceled"):
        counted = getattr(job.counts, status)
        if counted != seen[status]:
            yield f"the job counts {counted} {status} images, the rows are {seen[status]}"
    wanted = "partial" if expected.broken else "succeeded"
    if job.status != wanted:
        yield f"the job is {job.status}, not {wanted}"
    if job.waiting_for is not None:
        yield f"the job has ended and waits for {job.waiting_for}"
    if job.totals[0].truth_images != expected.truths:
        yield f"{job.totals[0].truth_images} truths are counted, not {expected.truths}"


def _sums(job: Job, images: Sequence[JobImage]) -> Iterator[str]:
    """The job's totals are the sums over its rows: nothing is counted twice or not at all."""
    results = [image.result for image in images if image.result is not None]
    totals = job.totals[0]
    pixels = sum(result.width * result.height for result in results)
    if sum(totals.class_pixels.values()) != pixels:
        yield f"{sum(totals.class_pixels.values())} pixels are counted, the rows have {pixels}"
    if totals.confidence_images != len(results):
        yield f"{totals.confidence_images} confidences are counted, the rows have {len(results)}"
    confidence = sum(result.metrics.mean_confidence or 0.0 for result in results)
    if not np.isclose(totals.confidence_sum, confidence):
        yield f"the sum of confidences is {totals.confidence_sum}, of the rows {confidence}"
    if sum(totals.made_by.values()) != len(results):
        yield f"{sum(totals.made_by.values())} images are counted by model version, the rows have {len(results)}"
    confusions = [np.asarray(r.metrics.confusion) for r in results if r.metrics.confusion is not None]
    if confusions and not np.array_equal(np.sum(confusions, axis=0), np.asarray(totals.confusion)):
        yield "the confusion matrix is not the sum of those of the rows"


def _attempts(job: Job, images: Sequence[JobImage]) -> Iterator[str]:
    """An image's result is that of the attempt under which it ended."""
    for image in images:
        own = set(attempt_keys(job, image.index, attempt=image.attempt))
        for artifact in _artifacts([image]):
            if artifact.key not in own:
                yield f"{image.name} ended in try {image.attempt}, and {artifact.key} is of another one"


def _objects(storage: StorageSettings, images: Sequence[JobImage]) -> Iterator[str]:
    store = open_objects(storage)
    for artifact in _artifacts(images):
        try:
            data = store.get(artifact.key)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a violation
            yield f"{artifact.key} cannot be read: {error}"
            continue
        if (len(data), zlib.crc32(data)) != (artifact.size, artifact.crc32):
            yield f"{artifact.key} is not what its row says: {len(data)} bytes for {artifact.size}, or another CRC"
        elif (fault := _undecodable(artifact, data)) is not None:
            yield f"{artifact.key} cannot be decoded: {fault}"


def _undecodable(artifact: Artifact, data: bytes) -> str | None:
    try:
        if artifact.media_type.startswith("image/"):
            Image.open(io.BytesIO(data)).load()
        else:
            json.loads(data)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _answers(http: httpx.Client, job_id: str, images: Sequence[JobImage]) -> Iterator[str]:
    """What a client is told is what the database knows."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = http.get(f"/jobs/{job_id}/images", params=params).raise_for_status().json()
        rows += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    told = [(row["index"], row["name"], row["status"], row["attempts"]) for row in rows]
    if told != [(image.index, image.name, image.status.value, image.attempts) for image in images]:
        yield "GET /images tells other rows than the database has"


def _archive(http: httpx.Client, job_id: str, images: Sequence[JobImage], expected: Expected) -> Iterator[str]:
    answer = http.get(f"/jobs/{job_id}/archive")
    if answer.status_code != httpx.codes.OK:
        yield f"the archive is answered with {answer.status_code}: {answer.text[:200]}"
        return
    if len(answer.content) != int(answer.headers["content-length"]):
        yield "the archive has another length than was announced"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        if (bad := archive.testzip()) is not None:
            yield f"{bad} in the archive has another CRC"
        stored = Counter(entry.CRC for entry in archive.infolist())
    named = Counter(artifact.crc32 for artifact in _artifacts(images))
    if missing := named - stored:
        yield f"the archive lacks {missing.total()} artifacts"
    sound = len(expected.names) - len(expected.broken)
    if named.total() != sound * len(expected.artifacts):
        yield f"there are {named.total()} artifacts, not {len(expected.artifacts)} of each of {sound} images"


def _strangers(storage: StorageSettings, job: Job, images: Sequence[JobImage]) -> Iterator[str]:
    """Objects of the job that no row names, once upkeep had its time."""
    named = {artifact.key for artifact in _artifacts(images)}
    sources = [source for image in images for source in (image.source, image.mask) if source is not None]
    named |= {source.location for source in sources if source.kind is SourceKind.OBJECT}
    store = open_objects(storage)
    for key in _settled(lambda: sorted(set(store.keys(job.prefix)) - named)):
        yield f"no row names the object {key}"
    for key in sorted(named - set(store.keys(job.prefix))):
        yield f"the store lacks {key}"


def _artifacts(images: Sequence[JobImage]) -> Iterator[Artifact]:
    for image in images:
        for result in image.results:
            yield from result.artifacts


def _settled(left: Callable[[], list[str]]) -> list[str]:
    """Empty as soon as it is; else what is left when the time is over."""
    deadline = time.monotonic() + UPKEEP_S
    while (found := left()) and time.monotonic() < deadline:
        time.sleep(0.25)
    return found
