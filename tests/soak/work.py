"""Ordinary work for a while: jobs that come, end, are fetched and deleted, and single pictures between them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.soak.samples import Sample, sample
from tests.stack import FINISHED, Stack, picture, pictures_zip

PREDICT_PAUSE_S = 0.5


@dataclass
class Soaked:
    """failures: what went wrong, as sentences."""

    samples: list[Sample] = field(default_factory=list)
    jobs: int = 0
    predictions: int = 0
    failures: list[str] = field(default_factory=list)


def soak(stack: Stack, http: httpx.Client, *, lasts_s: float, every_s: float, images: int) -> Soaked:
    """every_s: between two samples. images: of each job. http carries the key, where the stack asks for one."""
    soaked, began = Soaked(), time.monotonic()
    with _predicting(http, soaked), _working(http, soaked, pictures_zip(images), images):
        while not soaked.failures:
            soaked.samples.append(sample(stack, http, began))
            left_s = began + lasts_s - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(every_s, left_s))
    return soaked


@contextmanager
def _working(http: httpx.Client, soaked: Soaked, bundle: bytes, images: int) -> Iterator[None]:
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                _one_job(http, bundle, images)
            except (httpx.HTTPError, AssertionError) as error:
                soaked.failures.append(f"a job: {error}")
                return
            soaked.jobs += 1

    with _thread(work, ended):
        yield


def _one_job(http: httpx.Client, bundle: bytes, images: int) -> None:
    options = json.dumps({"model": "tiny", "reuse": False})
    answer = http.post("/jobs", files={"files": ("pictures.zip", bundle)}, data={"options": options}).raise_for_status()
    path = f"/jobs/{answer.json()['id']}"
    while (job := http.get(path).raise_for_status().json())["status"] not in FINISHED:
        time.sleep(0.2)
    assert job["images"]["succeeded"] == images, f"{job['images']} instead of {images}"
    http.get(f"{path}/archive").raise_for_status()
    http.delete(path).raise_for_status()


@contextmanager
def _predicting(http: httpx.Client, soaked: Soaked) -> Iterator[None]:
    ended, data = threading.Event(), picture(0)

    def predict() -> None:
        while not ended.wait(PREDICT_PAUSE_S):
            try:
                http.post("/predict", files={"file": ("a.jpg", data)}, data={"model": "tiny"}).raise_for_status()
            except httpx.HTTPError as error:
                soaked.failures.append(f"a single picture: {error}")
                return
            soaked.predictions += 1

    with _thread(predict, ended):
        yield


@contextmanager
def _thread(work: Callable[[], None], ended: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
