"""A model on a GPU, with a spare: where the GPU itself fails while it serves, the model goes on on the processor.

A picture that a sound GPU cannot take is still told as a failure. A context of CUDA that is broken stays so as long as
the process lives: there is no way back but a new worker.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np

from jobs.errors import ModelFailed
from worker.engines.engine import Engine, Tensor

logger = logging.getLogger(__name__)


class WithSpare:
    """Implements `Engine`, of the one that runs now.

    answers: whether the GPU still runs anything. open_spare: the model on the processor, and how many calls it takes at
    once; raises ModelFailed.
    """

    def __init__(
        self, name: str, engine: Engine, answers: Callable[[], bool], open_spare: Callable[[], tuple[Engine, int]]
    ) -> None:
        self._name = name
        self._first = self._now = engine
        self._answers = answers
        self._open_spare = open_spare
        self._places = threading.Semaphore()  # of the spare
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        return self._now.device

    @property
    def file(self) -> str:
        return self._now.file

    @property
    def max_batch(self) -> int:
        return self._first.max_batch

    def run(self, batch: Tensor) -> Tensor:
        if self._now is self._first:
            try:
                return self._first.run(batch)
            except ModelFailed as error:
                if not self._is_lost(error):
                    raise
        most = self._now.max_batch
        with self._places:
            return np.concatenate([self._now.run(batch[at : at + most]) for at in range(0, len(batch), most)])

    def close(self) -> None:
        self._first.close()
        if self._now is not self._first:
            self._now.close()

    def _is_lost(self, error: ModelFailed) -> bool:
        """Whether the spare runs from now on. Raises ModelFailed where there is none. The first one stays open: others
        may be in it, and learn it themselves."""
        with self._lock:
            if self._now is self._first and not self._answers():
                spare, places = self._open_spare()
                self._places = threading.Semaphore(places)
                told = "%s failed on %s, which answers no more; from now on it runs on %s: %s"
                extra = {"action": "device_lost", "model": self._name}
                logger.error(told, self._name, self._first.device, spare.device, error.__cause__ or error, extra=extra)
                self._now = spare
            return self._now is not self._first
