"""How many pixels one process holds at the same time, over all its threads: small pictures pass, large ones wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_S = 0.5  # between two looks at whether who waits is still wanted


class PixelRoom:
    """Pictures of up to a thread's share of the room never wait. Larger ones have the room to themselves and each
    other, in the order in which they came; one that is larger than all of it is alone among them. So at most twice
    the room is taken, and nobody's picture keeps a small one waiting. What is long, whatever its size, goes with the
    large ones, as many at a time as there are threads.

    give_back: called when a large picture has gone, so that its memory goes back to the system. step_out: called in
    the thread of one before it waits: it holds up none of those in which small ones are worked on.
    """

    def __init__(
        self,
        pixels: int,
        *,
        threads: int,
        give_back: Callable[[], None] = lambda: None,
        step_out: Callable[[], None] = lambda: None,
    ) -> None:
        self._pixels = pixels
        self._share = pixels // threads
        self._give_back = give_back
        self._step_out = step_out
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int, *, check: Callable[[], None], is_long: bool = False) -> Iterator[Callable[[], None]]:
        """Room for a picture during the block. `check` is called while it waits, and may raise to end the wait.

        What it gives makes the room free before the block's end: of a picture that nobody waits for any more, in a
        codec that may never return. Its memory is taken all the same.
        """
        if pixels <= self._share and not is_long:
            yield lambda: None
            return
        self._step_out()
        size = min(max(pixels, self._share), self._pixels)
        self._enter(size, check)
        leave = _once(lambda: self._leave(size))
        try:
            yield leave
        finally:
            leave()

    def _enter(self, size: int, check: Callable[[], None]) -> None:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or self._taken + size > self._pixels:
                    self._changed.wait(LOOK_S)
                    check()
                self._taken += size
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _leave(self, size: int) -> None:
        with self._changed:
            self._taken -= size
            self._changed.notify_all()
        self._give_back()


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """Safe for many threads."""
    left = [action]

    def act() -> None:
        try:
            mine = left.pop()
        except IndexError:
            return
        mine()

    return act
