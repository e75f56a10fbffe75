"""Threads that take turns between those who submit: one picture of a small job does not wait for all of a big one.

A call that never returns can be left behind: its thread is replaced, and keeps neither the others nor the process.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

PATIENT = 10  # nicer than everybody else by so much
SHORT_S = 0.002  # of processor time: most of what a shorter call does is Python, which runs in one thread at a time
PATIENCE_S = 0.02  # a short call that is at work for longer waits for something
WAITING = 4  # times its processor time that a call takes which waits for a disk, more than for its turn
_SEEN = 8  # calls back, about so many, that say how long the next ones take
TRIED_AFTER = 64  # calls: whether they are short can be told of calls that are not in one another's way

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    run: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


_Queues = OrderedDict[int, deque[_Call]]  # by the thread that submitted


class Pace:
    """Short calls follow one another: side by side they would take Python's lock from each other dozens of times each,
    and to be woken for it takes as long as the calls themselves. One that waits for something keeps no other waiting.
    """

    def __init__(self) -> None:
        self._usual_s = self._took_s = 0.0
        self._ended = 0
        self._begun: dict[object, float] = {}  # calls at work → since when

    def begin(self, call: object) -> None:
        self._begun[call] = time.monotonic()

    def end(self, call: object) -> None:
        """Also of one that never began."""
        self._begun.pop(call, None)

    def spent(self, seconds: float, *, took: float) -> None:
        """By a call that has ended: of processor time, and from its beginning to its end."""
        self._ended += 1
        if self._ended % TRIED_AFTER == 0:
            self._usual_s = self._took_s = 0.0
        self._usual_s += (min(seconds, _SEEN * SHORT_S) - self._usual_s) / _SEEN
        self._took_s += (min(took, _SEEN * SHORT_S) - self._took_s) / _SEEN

    @property
    def follows(self) -> bool:
        """Whether calls are short."""
        return self._usual_s < SHORT_S and self._took_s <= WAITING * self._usual_s

    @property
    def pause_s(self) -> float:
        """How long the next call has to wait, unless one that is at work ends before."""
        if not self.follows or not self._begun:
            return 0.0
        return max(0.0, max(self._begun.values()) + PATIENCE_S - time.monotonic())


class FairExecutor(Executor):
    """Each submitting thread has its own queue; the queues take turns. Every slice is run by a thread of its own.

    While urgent calls are at work, others begin only where they leave a processor free, and one at a time at least.
    """

    def __init__(self, threads: int, *, name: str, processors: int = 1, pace: Pace | None = None) -> None:
        """processors: how many calls can really run at the same time. pace: of those that are not urgent; None: they
        all go side by side, as it is best for calls that wait for others, or for something far away."""
        self._name = name
        self._processors = processors
        self._pace = pace
        self._stands_by = False  # whether a thread waits only until the next call may begin
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._back = threading.Condition(lock)  # of those who waited for something far away
        self._coming_back = 0
        self._away_s: dict[Future[Any], float] = {}  # so long a call at work has waited
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
            if queues is self._urgent or not self._stands_by:
                self._changed.notify()
        return call.answer

    @contextmanager
    def as_short(self) -> Iterator[None]:
        """The block runs in its caller's thread, after the short call that is at work and before those that are not. In
        a call of these threads, which has its turn, it is a part of it."""
        if self._pace is None or self._own_call() is not None:
            yield
            return
        block = object()
        with self._changed:
            self._take_turn(self._pace, block)
        try:
            yield
        finally:
            with self._changed:
                self._pace.end(block)
                self._let_on()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block, of a call, waits for something far away. Short calls go on meanwhile, then it waits its turn."""
        answer, pace = self._own_call(), self._pace
        if answer is None or pace is None or answer in self._first:
            yield
            return
        left = time.monotonic()
        with self._changed:
            pace.end(answer)
            self._let_on()
        try:
            yield
        finally:
            with self._changed:
                self._take_turn(pace, answer)
                self._away_s[answer] = self._away_s.get(answer, 0.0) + time.monotonic() - left

    def aside(self, work: Callable[[], T]) -> Callable[[], T]:
        """`jobs.processing.picture_ports.Aside`, for a call that runs here and could be in two places at once."""
        with self._changed:
            is_idle = len(self._at_work) < min(self._processors, len(self._threads)) and not self._closed
            is_idle = is_idle and not self._queues  # those that wait their turn have work for everybody
        if not is_idle:
            return work
        answer = self.submit_first(work)
        return lambda: work() if answer.cancel() else answer.result()

    def leave_behind(self, answer: Future[Any]) -> None:
        """The call that gives this answer is waited for no more; another thread takes the place of the one it holds."""
        with self._changed:
            self._end(answer)
            thread = self._at_work.pop(answer, None)
            if thread is not None:
                self._threads.discard(thread)
                self._add_thread()

    def step_out(self) -> None:
        """Called by a call that will take long: another thread takes the place of this one, which ends with the call
        and gives way to all others meanwhile. Elsewhere it does nothing."""
        answer = self._own_call()
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
        spent = self._make(call) if call.answer.set_running_or_notify_cancel() else None
        with self._changed:
            away_s = self._away_s.pop(call.answer, 0.0)
            if self._pace is not None and spent is not None and call.answer not in self._first:
                self._pace.spent(spent[0], took=spent[1] - away_s)
            self._end(call.answer)
            if self._coming_back:
                self._back.notify()
            goes_on = self._at_work.pop(call.answer, None) is not None  # else it was left behind, and is replaced
        del call
        return goes_on

    def _make(self, call: _Call) -> tuple[float, float]:
        """Seconds of processor time that it took, and from its beginning to its end."""
        worked, began = time.thread_time(), time.monotonic()
        try:
            result = call.run()
        except BaseException as error:  # noqa: BLE001  # for whoever asks for the answer
            call.answer.set_exception(error)
            del call
        else:
            call.answer.set_result(result)
        return time.thread_time() - worked, time.monotonic() - began

    def _take(self) -> _Call | None:
        """The oldest call of the queue whose turn it is; that queue goes to the end. None at the end of all."""
        with self._changed:
            while not (queues := self._urgent or (self._queues if self._has_room else None)):
                if self._closed and not self._queues:
                    return None
                self._wait()
            submitter, queue = queues.popitem(last=False)
            call = queue.popleft()
            if queue:
                queues[submitter] = queue
            self._at_work[call.answer] = threading.current_thread()
            if queues is self._urgent:
                self._first.add(call.answer)
            elif self._pace is not None:
                self._pace.begin(call.answer)
            if self._pace is not None and self._queues and not self._stands_by:
                self._changed.notify()
            return call

    def _own_call(self) -> Future[Any] | None:
        """Of this thread; None also where it was left behind."""
        thread = threading.current_thread()
        with self._changed:
            return next((each for each, at in self._at_work.items() if at is thread), None)

    def _take_turn(self, pace: Pace, call: object) -> None:
        """Before calls that have not begun."""
        self._coming_back += 1
        try:
            while pause_s := pace.pause_s:
                self._back.wait(pause_s)
        finally:
            self._coming_back -= 1
        pace.begin(call)

    def _let_on(self) -> None:
        """One of those whose turn it is, after one that is at work no more."""
        if self._coming_back:
            self._back.notify()
        elif self._queues:
            self._changed.notify()

    def _wait(self) -> None:
        """One thread at most stands by; the others need not be woken when nothing has happened."""
        if self._pace is None or self._stands_by or not self._queues:
            self._changed.wait()
            return
        self._stands_by = True
        self._changed.wait(self._pause_s or PATIENCE_S)
        self._stands_by = False

    @property
    def _pause_s(self) -> float:
        return 0.0 if self._pace is None else self._pace.pause_s

    @property
    def _has_room(self) -> bool:
        """For a call that is not urgent."""
        if self._coming_back and self._pace is not None and self._pace.follows:
            return False
        first = len(self._first)
        return (not first or len(self._at_work) - first < max(1, self._processors - first)) and not self._pause_s

    def _end(self, answer: Future[Any]) -> None:
        """Others wait for it no longer."""
        if self._pace is not None:
            self._pace.end(answer)
        if answer in self._first:
            self._first.discard(answer)
            self._changed.notify_all()
