"""Threads that take turns between those who submit: one picture of a small job does not wait for all of a big one.

A call that never returns can be left behind: its thread is replaced, and keeps neither the others nor the process.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

PATIENT = 10  # nicer than everybody else by so much

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    run: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


_Queues = OrderedDict[int, deque[_Call]]  # by the thread that submitted


class FairExecutor(Executor):
    """Each submitting thread has its own queue; the queues take turns. Every slice is run by a thread of its own.

    While urgent calls are at work, others begin only where they leave a processor free, and one at a time at least.
    """

    def __init__(self, threads: int, *, name: str, processors: int = 1) -> None:
        """processors: how many calls can really run at the same time."""
        self._name = name
        self._processors = processors
        self._changed = threading.Condition()
        self._urgent: _Queues = OrderedDict()
        self._queues: _Queues = OrderedDict()
        self._at_work: dict[Future[Any], threading.Thread] = {}
        self._first: set[Future[Any]] = set()  # of those at work, what is urgent
        self._threads: set[threading.Thread] = set()
        self._closed = False
        with self._changed:
            for _ in range(threads):
                self._add_thread()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The call sees the submitter's context variables. Raises RuntimeError after `shutdown`."""
        return self._submit(self._queues, partial(fn, *args, **kwargs))

    def submit_first(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `submit`, and before all that was submitted by it."""
        return self._submit(self._urgent, partial(fn, *args, **kwargs))

    def _submit(self, queues: _Queues, run: Callable[[], T]) -> Future[T]:
        call = _Call(partial(copy_context().run, run))
        with self._changed:
            if self._closed:
                raise RuntimeError("no call is taken after the shutdown")
            queues.setdefault(threading.get_ident(), deque()).append(call)
            self._changed.notify()
        return call.answer

    def aside(self, work: Callable[[], T]) -> Callable[[], T]:
        """`jobs.processing.picture_ports.Aside`, for a call that runs here and could be in two places at once."""
        with self._changed:
            is_idle = len(self._at_work) < min(self._processors, len(self._threads)) and not self._closed
        if not is_idle:
            return work
        answer = self.submit_first(work)
        return lambda: work() if answer.cancel() else answer.result()

    def leave_behind(self, answer: Future[Any]) -> None:
        """The call that gives this answer is waited for no more; another thread takes the place of the one it holds."""
        with self._changed:
            self._end_first(answer)
            thread = self._at_work.pop(answer, None)
            if thread is not None:
                self._threads.discard(thread)
                self._add_thread()

    def step_out(self) -> None:
        """Called by a call that will take long: another thread takes the place of this one, which ends with the call
        and gives way to all others meanwhile. Elsewhere it does nothing."""
        thread = threading.current_thread()
        with self._changed:
            answer = next((each for each, at in self._at_work.items() if at is thread), None)
        if answer is None:
            return
        self.leave_behind(answer)
        if sys.platform == "linux":  # where threads have priorities of their own
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PATIENT)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._changed:
            self._closed = True
            if cancel_futures:
                for call in [
                    each for queues in (self._urgent, self._queues) for queue in queues.values() for each in queue
                ]:
                    call.answer.cancel()
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads if wait else ():
            thread.join()

    def _add_thread(self) -> None:
        """A daemon, since Python would wait at its end for one that is stuck."""
        thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Whether to go on.

        A thread that waits for a call holds nothing of the last. An error holds the frames that it came through, and
        their callers: these must not hold it in turn, or the picture that failed is there until somebody looks for such
        rings, which takes minutes.
        """
        call = self._take()
        if call is None:
            return False
        if call.answer.set_running_or_notify_cancel():
            self._make(call)
        with self._changed:
            self._end_first(call.answer)
            goes_on = self._at_work.pop(call.answer, None) is not None  # else it was left behind, and is replaced
        del call
        return goes_on

    def _make(self, call: _Call) -> None:
        try:
            result = call.run()
        except BaseException as error:  # noqa: BLE001  # for whoever asks for the answer
            call.answer.set_exception(error)
            del call
        else:
            call.answer.set_result(result)

    def _take(self) -> _Call | None:
        """The oldest call of the queue whose turn it is; that queue goes to the end. None at the end of all."""
        with self._changed:
            while not (queues := self._urgent or (self._queues if self._has_room else None)):
                if self._closed and not self._queues:
                    return None
                self._changed.wait()
            submitter, queue = queues.popitem(last=False)
            call = queue.popleft()
            if queue:
                queues[submitter] = queue
            self._at_work[call.answer] = threading.current_thread()
            if queues is self._urgent:
                self._first.add(call.answer)
            return call

    @property
    def _has_room(self) -> bool:
        """For a call that is not urgent."""
        first = len(self._first)
        return not first or len(self._at_work) - first < max(1, self._processors - first)

    def _end_first(self, answer: Future[Any]) -> None:
        """Of an urgent call: others wait for it no longer."""
        if answer in self._first:
            self._first.discard(answer)
            self._changed.notify_all()
