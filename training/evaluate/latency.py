"""How long one inference takes, measured apart from decoding, preprocessing and training.

A network is timed alone, after warm-up, one picture at a time, at the size that it serves.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.evaluate.evaluation import Latency
from training.evaluate.predictors import Predict
from training.evaluate.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is measured: warm_up runs that do not count, then at least `runs`, and more until `seconds` are over."""

    warm_up: int = 3
    runs: int = 10
    most_runs: int = 200
    seconds: float = 3.0


def measure_latency(
    subject: Subject,
    picture: NDArray[np.uint8],
    *,
    engine: str = "",
    threads: int = 0,
    patience: Patience = Patience(),
) -> Latency:
    """picture: (H, W, 3) uint8; its proportions and the subject's preprocessing give the input's size.

    engine: a key of `subject.engines`, else the first. threads: 0 takes every processor of this process.
    Raises KeyError for an engine that the subject cannot be run on.
    """
    engine = engine or next(iter(subject.engines))
    threads = threads or processors()
    tensor = subject.preprocessing.apply(picture)
    with _torch_threads(threads):
        took = run_times(subject.engines[engine].open(threads), tensor, patience)
    median, p90 = np.percentile(took, [50, 90]) * 1e3
    return Latency(
        median_ms=float(median),
        p90_ms=float(p90),
        images_per_s=float(len(took) / took.sum()),
        engine=engine,
        size=(tensor.shape[1], tensor.shape[2]),
        threads=threads,
        device=subject.device,
    )


def run_times(predict: Predict, tensor: NDArray[np.float32], patience: Patience) -> NDArray[np.float64]:
    """Seconds of each run that counts."""
    for _ in range(patience.warm_up):
        predict(tensor)
    took: list[float] = []
    while len(took) < patience.runs or (sum(took) < patience.seconds and len(took) < patience.most_runs):
        began = time.perf_counter()
        predict(tensor)  # its answer lies on the CPU: a GPU has finished then
        took.append(time.perf_counter() - began)
    return np.array(took)


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """PyTorch's threads are the whole process's: they are put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
