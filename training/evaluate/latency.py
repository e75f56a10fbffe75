"""How long one inference takes, measured apart from decoding, preprocessing and training.

A network is timed alone, after warm-up, one picture at a time, at the size that it serves. Networks that are compared
take turns, so that whatever else the machine does meets all of them.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """How models that are compared take turns. seconds: of one model in one round, in which it runs at least once."""

    warm_up: int = 5
    rounds: int = 9
    seconds: float = 0.3
    most_runs: int = 20


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
    return _latency(subject, engine, tensor, threads, [took])


def measure_in_turns(
    subjects: Sequence[Subject],
    picture: NDArray[np.uint8],
    *,
    threads: int = 0,
    turns: Turns = Turns(),
    on_round: Callable[[], None] = lambda: None,
) -> list[Latency]:
    """Of each subject in its first engine; all are opened and warmed up before the first round counts.

    picture, threads: as for `measure_latency`.
    """
    threads = threads or processors()
    tensors = [each.preprocessing.apply(picture) for each in subjects]
    with _torch_threads(threads):
        engines = [next(iter(each.engines.values())).open(threads) for each in subjects]
        for engine, tensor in zip(engines, tensors, strict=True):
            run_times(engine, tensor, Patience(warm_up=turns.warm_up, runs=1, seconds=0))
        # One run of each turn does not count: the others used the caches meanwhile.
        patience = Patience(warm_up=1, runs=1, most_runs=turns.most_runs, seconds=turns.seconds)
        rounds: list[list[NDArray[np.float64]]] = [[] for _ in subjects]
        for _ in range(turns.rounds):
            for number, (engine, tensor) in enumerate(zip(engines, tensors, strict=True)):
                rounds[number].append(run_times(engine, tensor, patience))
            on_round()
    return [
        _latency(subject, next(iter(subject.engines)), tensor, threads, took)
        for subject, tensor, took in zip(subjects, tensors, rounds, strict=True)
    ]


def _latency(
    subject: Subject, engine: str, tensor: NDArray[np.float32], threads: int, rounds: Sequence[NDArray[np.float64]]
) -> Latency:
    took = np.concatenate(rounds)
    median, p90 = np.percentile(took, [50, 90]) * 1e3
    return Latency(
        median_ms=float(median),
        p90_ms=float(p90),
        images_per_s=float(len(took) / took.sum()),
        engine=engine,
        size=(tensor.shape[1], tensor.shape[2]),
        threads=threads,
        device=subject.device,
        rounds_ms=tuple(float(np.median(each)) * 1e3 for each in rounds) if len(rounds) > 1 else (),
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
