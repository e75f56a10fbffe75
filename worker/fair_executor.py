"""Threads that take turns between those who submit: one picture of a small job does not wait for all of a big one."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Call:
    run: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


class FairExecutor(Executor):
    """Each submitting thread has its own queue; the queues take turns. Every slice is run by a thread of its own."""

    def __init__(self, threads: int, *, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._queues: OrderedDict[int, deque[_Call]] = OrderedDict()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        call = _Call(lambda: fn(*args, **kwargs))
        with self._lock:
            self._queues.setdefault(threading.get_ident(), deque()).append(call)
            self._threads.submit(self._run_next)
        return call.answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            with self._lock:
                for call in [each for queue in self._queues.values() for each in queue]:
                    call.answer.cancel()
        self._threads.shutdown(wait)

    def _run_next(self) -> None:
        call = self._take()
        if not call.answer.set_running_or_notify_cancel():
            return
        try:
            result = call.run()
        except BaseException as error:
            call.answer.set_exception(error)
            raise  # into this turn's own future, which nobody reads
        call.answer.set_result(result)

    def _take(self) -> _Call:
        """The oldest call of the queue whose turn it is; that queue goes to the end. There is one call per turn."""
        with self._lock:
            submitter, queue = self._queues.popitem(last=False)
            call = queue.popleft()
            if queue:
                self._queues[submitter] = queue
            return call
