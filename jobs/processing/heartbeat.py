"""What is held only as long as somebody keeps saying so."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from jobs.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)


class Heartbeat(ABC):
    """Renews in a thread of its own while the block runs. What goes wrong costs a heartbeat, never the thread."""

    def __init__(self, name: str, *, every_s: float) -> None:
        self._every_s = every_s
        self._done = threading.Event()
        self._begun = False
        self._thread = threading.Thread(target=self._beat, name=name, daemon=True)

    @abstractmethod
    def renew(self) -> None:
        """One heartbeat. Raises DatabaseUnavailable."""

    def begin(self) -> None:
        """From now on. Again it does nothing."""
        if not self._begun:
            self._begun = True
            self._thread.start()

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        self._done.set()
        if self._begun:
            self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                self.renew()
            except DatabaseUnavailable as error:
                extra = {"action": "heartbeat_missed", "of": self._thread.name, "why": str(error)}
                logger.warning("not renewed", extra=extra)
            except Exception:  # without this thread every image in work would be lost to a fault that may pass
                logger.exception("not renewed", extra={"action": "heartbeat_failed", "of": self._thread.name})
