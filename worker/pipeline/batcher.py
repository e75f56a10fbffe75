"""Joins tensors of equal shape from many threads into device batches: full, or after a few milliseconds.

One per model. A batch that fails is halved until the tensor at fault stands alone; the others get their logits. Where
nothing is joined, as on processors, a caller takes its tensor through the device itself: for a small model, to wake
other threads and to be woken by them takes longer than the forward.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.errors import ModelFailed, OutOfMemory, TimedOut
from worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

Tensor = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRules:
    """capacity: tensors that may wait before further callers have to; bounds the memory.

    wait_s: how long a tensor waits for company. limit_s: how long a caller waits for the device, and for logits that
    others bring.
    """

    max_batch: int = 1
    streams: int = 1
    wait_s: float = 0.004
    capacity: int = 32
    limit_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Inferred:
    """logits: (C, h, w) float32; how long the tensor waited for the device, and how long its batch ran there."""

    logits: Tensor
    queued_ms: float
    ran_ms: float


@dataclass(slots=True)
class _Request:
    tensor: Tensor
    submitted: float = field(default_factory=time.monotonic)
    answer: Future[Inferred] = field(default_factory=Future)


class Batcher:
    """`run`: (B, 3, H, W) → (B, C, h, w), called from no more than `streams` threads at once."""

    def __init__(self, run: Callable[[Tensor], Tensor], rules: BatchRules, *, name: str, watchdog: Watchdog) -> None:
        self._run = run
        self._rules = rules
        self._name = name
        self._watchdog = watchdog
        self._changed = threading.Condition()
        self._waiting: dict[tuple[int, ...], deque[_Request]] = {}
        self._count = 0
        self._closed = False
        self._fits: dict[tuple[int, ...], int] = {}  # shape → largest batch, where a larger one ran out of memory
        self._streams = threading.Semaphore(rules.streams)
        self._device = ThreadPoolExecutor(rules.streams, thread_name_prefix=f"device-{name}")
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(rules.streams)]
        for thread in self._threads:
            thread.start()

    @property
    def streams(self) -> int:
        return self._rules.streams

    def infer(self, tensor: Tensor) -> Inferred:
        """tensor: (3, H, W) float32. Raises OutOfMemory, ModelFailed, TimedOut."""
        return self._alone(tensor) if self._rules.max_batch == 1 else self.result(self.submit(tensor))

    def submit(self, tensor: Tensor) -> Future[Inferred]:
        """Blocks while `capacity` tensors wait. Raises TimedOut, and ModelFailed after `close`."""
        request = _Request(tensor)
        with self._changed:
            free = self._changed.wait_for(
                lambda: self._closed or self._count < self._rules.capacity, self._rules.limit_s
            )
            if self._closed:
                raise self._unloaded()
            if not free:
                raise self._too_late()
            self._waiting.setdefault(tensor.shape, deque()).append(request)
            self._count += 1
            self._changed.notify_all()
        return request.answer

    def result(self, answer: Future[Inferred]) -> Inferred:
        try:
            return answer.result(self._rules.limit_s)
        except TimeoutError as error:
            if answer.done():
                raise  # the model's own, not ours
            answer.cancel()
            raise self._too_late() from error

    def close(self) -> None:
        """What waits is still run; new tensors are refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for _ in range(self._rules.streams):
            self._streams.acquire()  # whoever runs alone is done then
        self._streams.release(self._rules.streams)
        self._device.shutdown()

    def _alone(self, tensor: Tensor) -> Inferred:
        """In this thread. Raises what `_run` raises."""
        submitted = time.monotonic()
        if not self._streams.acquire(timeout=self._rules.limit_s):
            raise self._too_late()
        try:
            if self._closed:
                raise self._unloaded()
            began = time.monotonic()
            logits = self._call(tensor[None])
            return Inferred(logits[0], (began - submitted) * 1e3, (time.monotonic() - began) * 1e3)
        finally:
            self._streams.release()

    def _unloaded(self) -> ModelFailed:
        return ModelFailed(f"{self._name} is being unloaded")

    def _too_late(self) -> TimedOut:
        return TimedOut(f"the image waited longer than {self._rules.limit_s:g} s for {self._name}")

    def _serve(self) -> None:
        while requests := self._next_batch():
            with self._streams:
                self._answer(requests)

    def _next_batch(self) -> list[_Request]:
        """Waits until a group of equal shape is full or has waited long enough. Empty after `close`."""
        with self._changed:
            while True:
                now = time.monotonic()
                group = self._ready_group(now)
                if group is not None:
                    return self._take(group)
                if self._closed and not self._count:
                    return []
                self._changed.wait(self._pause(now))

    def _ready_group(self, now: float) -> deque[_Request] | None:
        """Of the groups that are full or due, the one whose first tensor has waited longest."""
        ready = [
            group
            for shape, group in self._waiting.items()
            if len(group) >= self._most(shape) or now - group[0].submitted >= self._rules.wait_s or self._closed
        ]
        return min(ready, key=lambda group: group[0].submitted, default=None)

    def _take(self, group: deque[_Request]) -> list[_Request]:
        shape = group[0].tensor.shape
        taken = [group.popleft() for _ in range(min(len(group), self._most(shape)))]
        if not group:
            del self._waiting[shape]
        self._count -= len(taken)
        self._changed.notify_all()
        return taken

    def _pause(self, now: float) -> float | None:
        first = min((group[0].submitted for group in self._waiting.values()), default=None)
        return None if first is None else max(0.0, first + self._rules.wait_s - now)

    def _most(self, shape: tuple[int, ...]) -> int:
        return self._fits.get(shape, self._rules.max_batch)

    def _answer(self, requests: list[_Request]) -> None:
        requests = [each for each in requests if not each.answer.cancelled()]
        if not requests:
            return
        began = time.monotonic()
        # What it gives carries whatever it raises: callers wait for this thread.
        call = self._device.submit(lambda: self._call(_stacked(requests)))
        error = call.exception()
        if error is not None:
            self._answer_failed(requests, error)
            return
        ran_ms = (time.monotonic() - began) * 1e3
        for request, logits in zip(requests, call.result(), strict=True):
            _settle(request, Inferred(logits, (began - request.submitted) * 1e3, ran_ms))

    def _call(self, batch: Tensor) -> Tensor:
        with self._watchdog.call(f"{self._name}, {len(batch)} × {batch.shape[1:]}"):
            logits = self._run(batch)
        if len(logits) != len(batch):
            raise ModelFailed(f"{self._name} gave {len(logits)} results for {len(batch)} images")
        return logits

    def _answer_failed(self, requests: list[_Request], error: BaseException) -> None:
        if len(requests) == 1:
            _settle(requests[0], error)
            return
        half = len(requests) // 2
        if isinstance(error, OutOfMemory):
            self._fits[requests[0].tensor.shape] = half
        logger.warning(
            "a batch of %d failed and is halved",
            len(requests),
            extra={"action": "batch_halved", "model": self._name, "why": type(error).__name__},
        )
        self._answer(requests[:half])
        self._answer(requests[half:])


def _stacked(requests: list[_Request]) -> Tensor:
    if len(requests) == 1:
        return requests[0].tensor[None]
    return np.stack([each.tensor for each in requests])


def _settle(request: _Request, outcome: Inferred | BaseException) -> None:
    if not request.answer.set_running_or_notify_cancel():
        return  # the caller gave up
    if isinstance(outcome, Inferred):
        request.answer.set_result(outcome)
    else:
        request.answer.set_exception(outcome)
