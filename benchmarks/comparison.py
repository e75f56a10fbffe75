"""What does one job with four models save against four jobs with one model each, and are its results the same?

Both ways run through `Processing` on SQLite and a directory, by turns; receiving the pictures is part of the time.
Every artifact and every number is compared, and decoded pictures are counted.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.pipeline import NoQueue
from benchmarks.record import median, record
from data.sample_library import open_samples
from jobs.inputs.kept import KeptSources
from jobs.job import Job, JobImage, JobTotals
from jobs.options import JobOptions, TileOptions
from jobs.processing.picture_ports import Decoder, Extent, Prediction, Segmenter
from jobs.processing.processing import Processing, ProcessingRules
from jobs.processing.retry import RetryPolicy
from jobs.submitting.submit import SubmitRules, Submitting
from jobs.tenants.turns import Turns
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.picture_rows import RowSource
from segmentation.picture_files.pictures import DecodedPicture, Picture
from storage.catalog import open_catalog
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from worker.fair_executor import FairExecutor
from worker.runtime import engine_rules, open_models, open_work
from worker.settings import WorkerSettings
from worker.sources import WorkerSources
from worker.watchdog import Watchdog
from worker.web.downloads import FetchRules
from worker.web.safe_http import Guard

QUESTION = "seconds of one job with four models and of four jobs with one each, and whether all results are the same"
BUNDLED = ("street-fast", "street-accurate")  # the other two are copies of them
Pictures = Sequence[tuple[bytes, bytes | None]]  # with their ground truth


class CountingDecoder:
    """A Decoder that counts the pictures it has decoded."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoded = 0
        self._decoder = decoder

    @property
    def max_pixels(self) -> int:
        return self._decoder.max_pixels

    def size(self, data: FileData, *, tiled: bool) -> Extent:
        return self._decoder.size(data, tiled=tiled)

    def open_rows(self, data: FileData, *, bit_depth: int | None) -> RowSource:
        self.decoded += 1
        return self._decoder.open_rows(data, bit_depth=bit_depth)

    def decode(self, data: FileData, *, bit_depth: int | None) -> DecodedPicture:
        self.decoded += 1
        return self._decoder.decode(data, bit_depth=bit_depth)


class CountingSegmenter:
    """A Segmenter that counts the pictures that went through a model."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.forwards = 0
        self.identity = segmenter.identity
        self.check_budget = segmenter.check_budget
        self.segment_rows = segmenter.segment_rows
        self._segmenter, self._counting = segmenter, threading.Lock()

    def segment(
        self, picture: Picture, *, model: str, tile: TileOptions | None, check: Callable[[], None]
    ) -> Prediction:
        with self._counting:
            self.forwards += 1
        return self._segmenter.segment(picture, model=model, tile=tile, check=check)


class Bench:
    """A worker in this process, and what it needs."""

    def __init__(self, storage: StorageSettings, database: Database, threads: FairExecutor, settings: WorkerSettings):
        policy, fetch = RetryPolicy(), FetchRules(max_bytes=1, guard=Guard(allowed=lambda address: False))
        self.database, self.objects = database, open_objects(storage)
        models = open_models(settings, storage, engine_rules(settings), Watchdog(0))
        self.kept = KeptSources(self.objects, open_buckets(storage), open_samples(), 1)
        sources = WorkerSources(self.kept, fetch)
        work = open_work(settings, models, sources, policy, threads=settings.picture_thread_count(streams=1))
        self.decoder, self.segmenter = CountingDecoder(work.decoder), CountingSegmenter(work.segmenter)
        work = replace(work, decoder=self.decoder, segmenter=self.segmenter)
        rules = ProcessingRules(worker="benchmark")
        self._processing = Processing(database.unit, work, threads, policy, rules, Turns(policy))
        limits = SubmitRules(default_model="")
        self._submitting = Submitting(database.unit, self.objects, NoQueue(), open_catalog(storage), limits)

    def run(self, pictures: Pictures, *models: str, reuse: bool = False) -> Job:
        """One job to its end. Slices run side by side, as Celery's threads run them."""
        with self._submitting.open_draft() as draft:
            for index, (data, truth) in enumerate(pictures):
                draft.add_file(f"{index}.jpg", io.BytesIO(data), media_type=None)
                if truth is not None:
                    draft.add_mask(f"{index}.png", io.BytesIO(truth))
            options = JobOptions(models=models if len(models) > 1 else (), model=models[0], reuse=reuse)
            job = self._submitting.submit(draft, options)
        with ThreadPoolExecutor(4) as slices:
            list(slices.map(self._processing.run, job.slices()))
        with self.database.unit() as unit:
            return unit.jobs.get(job.id)

    def images(self, job: Job) -> Sequence[JobImage]:
        with self.database.unit() as unit:
            return unit.images.run(job.id, first=0, last=job.counts.total - 1)


@contextmanager
def open_bench(storage: StorageSettings) -> Iterator[Bench]:
    upgrade(storage)
    settings, database = WorkerSettings(home=storage.home), open_database(storage)
    count = settings.picture_thread_count(streams=engine_rules(settings).streams)
    with FairExecutor(count, name="picture") as threads:
        yield Bench(storage, database, threads, settings)
    database.close()


def differences(bench: Bench, together: Job, alone: Sequence[Job]) -> list[str]:
    """What is not the same to the bit: artifacts, an image's metrics, a job's sums. alone: in the models' order.

    The sum of confidences alone may differ in its last digits: it depends on the order in which images end.
    """
    pairs = zip(alone, together.totals, strict=True)
    found = [f"sums of {each.model}" for each, sums in pairs if _exact(each.totals[0]) != _exact(sums)]
    rows = bench.images(together)
    for model, job in enumerate(alone):
        for row, other in zip(rows, bench.images(job), strict=True):
            one, two = row.results[model], other.results[0]
            if one.metrics != two.metrics or row.status != other.status:
                found.append(f"metrics of {job.model}, image {row.index}")
            for mine, yours in zip(one.artifacts, two.artifacts, strict=True):
                if bench.objects.get(mine.key) != bench.objects.get(yours.key):
                    found.append(f"{mine.name} of {job.model}, image {row.index}")
    return found


def _exact(totals: JobTotals) -> JobTotals:
    return replace(totals, confidence_sum=round(totals.confidence_sum, 9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--size", default="1024x512", help="WIDTHxHEIGHT of the pictures")
    parser.add_argument("--form", default="PNG", help="how the pictures are stored: PNG or JPEG")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        storage = StorageSettings(home=Path(home))
        models = (*BUNDLED, *(_copied(storage, name) for name in BUNDLED))
        width, height = map(int, given.size.split("x"))
        pictures = _pictures(given.images, (width, height), given.form)
        with open_bench(storage) as bench:
            figures = _measure(bench, pictures, models, given.rounds)
    load = [round(each, 1) for each in os.getloadavg()]
    record("comparing/four-models", QUESTION, {"pictures": f"{given.size} {given.form}", "load": load, **figures})


def _measure(bench: Bench, pictures: Pictures, models: Sequence[str], rounds: int) -> dict[str, Any]:
    for each in (models, *((one,) for one in models)):
        bench.run(pictures[:4], *each)  # warm
    together_s, alone_s, shares, cpu_shares = [], [], [], []
    differing, decoded = [], []
    for _ in range(rounds):
        before = bench.decoder.decoded
        together, one_s, one_cpu_s = _timed(lambda: [bench.run(pictures, *models)])
        decoded.append(bench.decoder.decoded - before)
        alone, four_s, four_cpu_s = _timed(lambda: [bench.run(pictures, each) for each in models])
        together_s.append(one_s)
        alone_s.append(four_s)
        shares.append(one_s / four_s)
        cpu_shares.append(one_cpu_s / four_cpu_s)
        differing += differences(bench, together[0], alone)
    return {
        "images": len(pictures),
        "models": list(models),
        "rounds": rounds,
        "decoded_together": decoded,
        "differing_results": differing,
        "together_s": median(together_s),
        "four_jobs_s": median(alone_s),
        "share": median(shares),
        "share_of_processor_time": median(cpu_shares),
    }


def _timed(run: Callable[[], list[Job]]) -> tuple[list[Job], float, float]:
    """With seconds by the clock, and seconds of processors, which other work on the machine hardly changes."""
    began, worked = time.perf_counter(), time.process_time()
    return run(), time.perf_counter() - began, time.process_time() - worked


def _copied(storage: StorageSettings, name: str) -> str:
    """The same model under another name."""
    bundle = open_catalog(storage).get(name)
    copy = f"{name}-b"
    folder = storage.home / "models" / copy
    shutil.copytree(bundle.folder, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "name": copy}))
    return copy


def _pictures(count: int, size: tuple[int, int], form: str) -> Pictures:
    samples = open_samples()
    ids = samples.ids()
    made = [(_resized(samples.picture(each), size, form), None) for each in ids]
    return [made[index % len(made)] for index in range(count)]


def _resized(data: bytes, size: tuple[int, int], form: str) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").resize(size).save(buffer, form)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
