"""How close does a worker come to the pure forward of its model, and how far from the usual serial way is that?

Each round runs them one after another on the same pictures: the engine of the worker, bare, on ready tensors; a pool of
threads tuned by hand (`peers/hand_tuned.py`: no queue, no store, no database), in the worker's precision; a whole job
through `Processing` (claim, read, decode, segment, metrics, overlay and mask, store, finish; SQLite and a directory);
and the usual way, one picture at a time with ONNX Runtime, full-size float logits and an overlay as PNG.
`--against bf16` runs a second worker in that precision, by turns with the first: what the choice of the variant gains.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from PIL import Image

from benchmarks.peers.hand_tuned import HandTunedPool
from benchmarks.record import median, record
from data.sample_library import open_samples
from jobs.inputs.kept import KeptSources
from jobs.options import JobOptions
from jobs.processing.processing import Processing, ProcessingRules
from jobs.processing.retry import RetryPolicy
from jobs.submitting.submit import SubmitRules, Submitting
from jobs.tenants.turns import Turns
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from storage.catalog import Bundle, open_catalog
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from worker.fair_executor import FairExecutor
from worker.lifecycle import settle
from worker.pipeline.model_cache import ModelCache
from worker.runtime import engine_rules, open_models, open_work, pace_of
from worker.settings import WorkerSettings, cpu_count
from worker.sources import WorkerSources
from worker.watchdog import Watchdog
from worker.web.downloads import FetchRules
from worker.web.safe_http import Guard

QUESTION = "images/s of the bare forward, of a pool tuned by hand, of a whole job in a worker, of the usual serial way"
USUAL = 4  # pictures for the usual way, of which each takes as long as twenty


class NoQueue:
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
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="1024x512", help="WIDTHxHEIGHT of the pictures")
    parser.add_argument("--against", default="", metavar="PRECISION", help="of a second worker, in OpenVINO")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    cv2.setNumThreads(1)  # as in a worker's process
    with tempfile.TemporaryDirectory() as home:
        storage = StorageSettings(home=Path(home))
        catalog = open_catalog(storage)
        bundle = catalog.get(given.model)
        pictures = make_pictures(given.images, width, height)
        figures = _measure(bundle, pictures, storage, against=given.against, rounds=given.rounds)
    name = f"pipeline-{given.size}" if not given.against else f"pipeline-{bundle.card.name}-against-{given.against}"
    about = {"model": bundle.card.name, "pictures": given.size, "load": [round(each, 1) for each in os.getloadavg()]}
    record(name, QUESTION, {**about, **figures})


def make_pictures(count: int, width: int, height: int) -> list[bytes]:
    samples = open_samples()
    ids = samples.ids()
    pictures = []
    for index in range(count):
        image = Image.open(io.BytesIO(samples.picture(ids[index % len(ids)]))).resize((width, height))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=92)
        pictures.append(buffer.getvalue())
    return pictures


def _measure(
    bundle: Bundle, pictures: Sequence[bytes], storage: StorageSettings, *, against: str, rounds: int
) -> dict[str, Any]:
    upgrade(storage)
    settings = WorkerSettings(home=storage.home)
    rules = engine_rules(settings)
    models = open_models(settings, storage, rules, Watchdog(0))
    ways: dict[str, Callable[[], None]] = {
        "forward": _forward(bundle, pictures, models),
        "worker": _worker(bundle, pictures, storage, settings, models),
        "usual": _usual(bundle, pictures[:USUAL]),
        **_pool(bundle, pictures, models),
    }
    if against:
        named = WorkerSettings(home=storage.home, engine="openvino", precision=against)
        second = open_models(named, storage, rules, Watchdog(0))
        ways = {
            **{name: ways[name] for name in ("forward", "worker")},
            f"forward_{against}": _forward(bundle, pictures, second),
            f"worker_{against}": _worker(bundle, pictures, storage, named, second),
        }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()  # warm
    settle()
    for _ in range(rounds):
        for name, way in ways.items():
            count = min(USUAL, len(pictures)) if name == "usual" else len(pictures)
            began, used = time.perf_counter(), time.process_time()
            way()
            spent[name].append(1e3 * (time.process_time() - used) / count)
            speeds[name].append(count / (time.perf_counter() - began))
    with models.use(bundle.card.name) as loaded:
        about = {"variant": loaded.variant, "streams": loaded.streams, "rounds": rounds}
    return {
        **about,
        **{f"{name}_images_per_s": median(found) for name, found in speeds.items()},
        **{
            f"{name}_lowest_and_highest": [median([edge(found)]) for edge in (min, max)]
            for name, found in speeds.items()
        },
        "cpu_ms_per_image": {name: median(found) for name, found in spent.items()},
        **_ratios(speeds),
    }


def _ratios(speeds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of the worker to each other way, in the median of the paired rounds."""
    found = {}
    for name, others in speeds.items():
        if name != "worker":
            label = "worker_share_of_forward" if name == "forward" else f"worker_times_{name}"
            found[label] = median(mine / other for mine, other in zip(speeds["worker"], others, strict=True))
    return found


def _forward(bundle: Bundle, pictures: Sequence[bytes], models: ModelCache) -> Callable[[], None]:
    """In the very engine that the worker has, from as many threads as it has streams."""
    with models.use(bundle.card.name) as loaded:
        run, streams = loaded.engine.run, loaded.streams
    tensors = [bundle.card.preprocessing.apply(_rgb(data))[None] for data in pictures]
    threads = ThreadPoolExecutor(streams)
    run(tensors[0])
    return lambda: list(threads.map(run, tensors)).clear()


def _pool(bundle: Bundle, pictures: Sequence[bytes], models: ModelCache) -> dict[str, Callable[[], None]]:
    """In the precision that the worker took; only OpenVINO has a pool."""
    with models.use(bundle.card.name) as loaded:
        engine, _, precision = loaded.variant.partition(" ")
    if engine != "openvino":
        return {}
    pool = HandTunedPool(bundle, precision)
    return {"pool": lambda: pool.all(pictures)}


def _worker(
    bundle: Bundle,
    pictures: Sequence[bytes],
    storage: StorageSettings,
    settings: WorkerSettings,
    models: ModelCache,
) -> Callable[[], None]:
    database, objects = open_database(storage), open_objects(storage)
    fetch = FetchRules(max_bytes=1, guard=Guard(allowed=lambda address: False))
    count, policy = settings.picture_thread_count(streams=engine_rules(settings).streams), RetryPolicy()
    sources = WorkerSources(KeptSources(objects, open_buckets(storage), open_samples(), 1), fetch)
    work = open_work(settings, models, sources, policy, threads=count)
    pace = pace_of(engine_rules(settings))
    threads = FairExecutor(count, name="picture", processors=cpu_count(), pace=pace)
    processing = Processing(database.unit, work, threads, policy, ProcessingRules(worker="benchmark"), Turns(policy))
    limits = SubmitRules(default_model=bundle.card.name)
    submitting = Submitting(database.unit, objects, NoQueue(), open_catalog(storage), limits)
    return lambda: _run_job(submitting, processing, database, pictures)


def _run_job(submitting: Submitting, processing: Processing, database: Database, pictures: Sequence[bytes]) -> None:
    """Slices run side by side, as Celery's threads run them. Receiving the pictures is part of the time."""
    with submitting.open_draft() as draft:
        for index, data in enumerate(pictures):
            draft.add_file(f"{index}.jpg", io.BytesIO(data), media_type=None)
        job = submitting.submit(draft, JobOptions(reuse=False))
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
