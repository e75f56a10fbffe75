"""Signs of life: a row for the API's `/ready`, and a file whose age tells a supervisor that the process still turns."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path

from jobs.errors import DatabaseUnavailable
from jobs.ports import OpenUnit
from jobs.upkeep import Contact
from jobs.watching.workers import WorkerBeat

logger = logging.getLogger(__name__)


def sign_of_life(home: Path, name: str) -> Path:
    """The file of this process among all."""
    return home / "run" / f"{as_file_name(name)}.alive"


def as_file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.@-]", "_", name)


class Beats:
    """Writes `state()` every `every_s` seconds in a thread of its own, and touches `file`.

    contact: told each time whether the database answered. tidy: called then too; raises what `beat` may.
    """

    def __init__(
        self,
        open_unit: OpenUnit,
        state: Callable[[], WorkerBeat],
        file: Path,
        *,
        every_s: float,
        contact: Contact | None = None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_unit = open_unit
        self._contact = contact or Contact()
        self._state = state
        self._tidy = tidy
        self._file = file
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def start(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._file.unlink(missing_ok=True)

    def beat(self) -> None:
        """Raises DatabaseUnavailable, after the file was touched."""
        self._file.touch()
        with self._open_unit() as unit:
            unit.workers.beat(self._state())
            unit.commit()
        self._contact.seen()
        self._tidy()

    def _run(self) -> None:
        while True:
            try:
                self.beat()
            except DatabaseUnavailable as error:
                self._contact.lost()
                logger.warning("sign of life not written: %s", error, extra={"action": "beat_missed"})
            except OSError as error:
                logger.warning("liveness file not written: %s", error, extra={"action": "beat_missed"})
            except Exception:  # a worker that works must not look dead for good
                logger.exception("sign of life not given", extra={"action": "beat_failed"})
            if self._stopped.wait(self._every_s):
                return
