"""How close does a worker come to the pure forward of its model, and how far from the usual serial way is that?

Each round runs the three one after another on the same pictures: the bare engine on ready tensors; a whole job through
`Processing` (claim, read, decode, segment, metrics, overlay and mask, store, finish; SQLite and a directory); and the
usual way, one picture at a time with ONNX Runtime, full-size float logits and an overlay as PNG.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from benchmarks.record import median, record
from data.sample_library import open_samples
from jobs.options import JobOptions
from jobs.processing.processing import Processing, ProcessingRules
from jobs.processing.retry import RetryPolicy
from jobs.submitting.submit import SubmitRules, Submitting
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from storage.catalog import Bundle, open_catalog
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from worker.engines import EngineRules, open_engine
from worker.fair_executor import FairExecutor
from worker.runtime import engine_rules, open_models, open_work
from worker.settings import WorkerSettings
from worker.sources import WorkerSources
from worker.watchdog import Watchdog
from worker.web.downloads import FetchRules
from worker.web.safe_http import Guard

QUESTION = "images/s of the bare forward, of a whole job in a worker, and of the usual serial way"


class _NoQueue:
    """The benchmark calls the worker itself."""

    def dispatch(self, pieces: object) -> None:
        return None

    def waiting(self, priority: object) -> int:
        return 1

    def call_webhooks(self) -> None:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="street-fast")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="1024x512", help="WIDTHxHEIGHT of the pictures")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as home:
        storage = StorageSettings(home=Path(home))
        catalog = open_catalog(storage)
        bundle = catalog.get(given.model)
        pictures = _pictures(given.images, width, height)
        figures = _measure(bundle, pictures, storage, rounds=given.rounds)
    record(f"pipeline-{given.size}", QUESTION, {"model": bundle.card.name, "pictures": given.size, **figures})


def _pictures(count: int, width: int, height: int) -> list[bytes]:
    samples = open_samples()
    ids = samples.ids()
    pictures = []
    for index in range(count):
        image = Image.open(io.BytesIO(samples.picture(ids[index % len(ids)]))).resize((width, height))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=92)
        pictures.append(buffer.getvalue())
    return pictures


def _measure(bundle: Bundle, pictures: Sequence[bytes], storage: StorageSettings, *, rounds: int) -> dict[str, Any]:
    upgrade(storage)
    settings = WorkerSettings(home=storage.home)
    rules = engine_rules(settings)
    ways: dict[str, Callable[[], None]] = {
        "forward": _forward(bundle, pictures, rules),
        "worker": _worker(bundle, pictures, storage, settings, rules),
        "usual": _usual(bundle, pictures),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()  # warm
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            speeds[name].append(len(pictures) / (time.perf_counter() - began))
    shares = [worker / forward for worker, forward in zip(speeds["worker"], speeds["forward"], strict=True)]
    gains = [worker / usual for worker, usual in zip(speeds["worker"], speeds["usual"], strict=True)]
    return {
        **{f"{name}_images_per_s": median(found) for name, found in speeds.items()},
        "worker_share_of_forward": median(shares),
        "worker_times_usual": median(gains),
        "rounds": rounds,
        "streams": rules.streams,
    }


def _forward(bundle: Bundle, pictures: Sequence[bytes], rules: EngineRules) -> Callable[[], None]:
    engine = open_engine(bundle, rules, engine="auto")
    tensors = [bundle.card.preprocessing.apply(_rgb(data))[None] for data in pictures]
    threads = ThreadPoolExecutor(rules.streams)
    engine.run(tensors[0])
    return lambda: list(threads.map(engine.run, tensors)).clear()


def _worker(
    bundle: Bundle, pictures: Sequence[bytes], storage: StorageSettings, settings: WorkerSettings, rules: EngineRules
) -> Callable[[], None]:
    database, objects = open_database(storage), open_objects(storage)
    models = open_models(settings, storage, rules, Watchdog(0))
    fetch = FetchRules(max_bytes=1, guard=Guard(allowed=lambda address: False))
    count, policy = settings.picture_thread_count(streams=rules.streams), RetryPolicy()
    sources = WorkerSources(objects, open_samples(), fetch, open_buckets(storage))
    work = open_work(settings, models, sources, policy, threads=count)
    threads = FairExecutor(count, name="picture")
    processing = Processing(database.unit, work, threads, policy, ProcessingRules(worker="benchmark"))
    limits = SubmitRules(default_model=bundle.card.name)
    submitting = Submitting(database.unit, objects, _NoQueue(), open_catalog(storage), limits)
    return lambda: _run_job(submitting, processing, database, pictures)


def _run_job(submitting: Submitting, processing: Processing, database: Database, pictures: Sequence[bytes]) -> None:
    """Slices run side by side, as Celery's threads run them. Receiving the pictures is part of the time."""
    with submitting.open_draft() as draft:
        for index, data in enumerate(pictures):
            draft.add_file(f"{index}.jpg", io.BytesIO(data), media_type=None)
        job = submitting.submit(draft, JobOptions())
    with ThreadPoolExecutor(4) as slices:
        list(slices.map(processing.run, job.slices()))
    with database.unit() as unit:
        assert unit.jobs.get(job.id).counts.succeeded == len(pictures)


def _usual(bundle: Bundle, pictures: Sequence[bytes]) -> Callable[[], None]:
    session = onnxruntime.InferenceSession(str(bundle.file("onnx")), providers=["CPUExecutionProvider"])
    colours = palette(get_label_space(bundle.card.label_space))

    def run() -> None:
        for data in pictures:
            rgb = _rgb(data)
            logits = session.run(None, {"image": bundle.card.preprocessing.apply(rgb)[None]})[0][0]
            height, width = rgb.shape[:2]
            layers = [
                np.asarray(Image.fromarray(layer).resize((width, height), Image.Resampling.BILINEAR))
                for layer in logits
            ]
            ids = np.stack(layers).argmax(0)
            blended = (rgb * 0.5 + colours[ids] * 0.5).astype(np.uint8)
            for picture in (Image.fromarray(blended), Image.fromarray(colours[ids])):
                picture.save(io.BytesIO(), "PNG")

    return run


def _rgb(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


if __name__ == "__main__":
    main()
