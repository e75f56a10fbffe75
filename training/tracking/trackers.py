"""Where the numbers of a run go. A training always has a tracker; NullTracker keeps nothing."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

Outcome = Literal["finished", "failed", "stopped"]


class Tracker(Protocol):
    """Told what a run is made of, then numbers after each epoch and some pictures now and then."""

    def start(self, parameters: Mapping[str, object]) -> None:
        """Once the run's folder holds its recipe, split and facts; again when the run goes on after a stop."""
        ...

    def log(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """epoch: how many are done. Names: train_loss, miou, pixel_acc, dice, iou/<class>, imgs_per_sec, …"""
        ...

    def picture(self, epoch: int, name: str, image: NDArray[np.uint8]) -> None:
        """A thumbnail of a prediction. image: (H, W, 3) RGB."""
        ...

    def finish(self, outcome: Outcome = "finished") -> None:
        """stopped: by a person, or because the machine wants its process back."""
        ...


class NullTracker:
    """Keeps nothing."""

    def start(self, parameters: Mapping[str, object]) -> None: ...

    def log(self, epoch: int, numbers: Mapping[str, float]) -> None: ...

    def picture(self, epoch: int, name: str, image: NDArray[np.uint8]) -> None: ...

    def finish(self, outcome: Outcome = "finished") -> None: ...


class JsonlTracker:
    """One JSON object a line, appended at once: what was logged before a kill is there after it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, parameters: Mapping[str, object]) -> None:
        self._append({"parameters": dict(parameters)})

    def log(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self._append({"epoch": epoch, **numbers})

    def picture(self, epoch: int, name: str, image: NDArray[np.uint8]) -> None: ...

    def finish(self, outcome: Outcome = "finished") -> None: ...

    def _append(self, record: Mapping[str, object]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._path.open("a+b") as file:
                file.seek(-1 if file.tell() else 0, os.SEEK_END)
                cut_off = file.read(1) not in (b"\n", b"")  # by a kill: that line would take this one with it
                file.write(b"\n" * cut_off + json.dumps(record, default=str).encode() + b"\n")
        except OSError as error:  # of a disk that is full the system names no file
            raise OSError(error.errno, error.strerror, str(self._path)) from error


class ConsoleTracker:
    """One line per epoch for the person who watches; numbers per class are left to the other trackers."""

    def __init__(self, stream: TextIO, *, epochs: int) -> None:
        self._stream = stream
        self._epochs = epochs

    def start(self, parameters: Mapping[str, object]) -> None: ...

    def log(self, epoch: int, numbers: Mapping[str, float]) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items() if "/" not in name)
        print(f"{time.strftime('%H:%M:%S')}  epoch {epoch}/{self._epochs}  {shown}", file=self._stream, flush=True)

    def picture(self, epoch: int, name: str, image: NDArray[np.uint8]) -> None: ...

    def finish(self, outcome: Outcome = "finished") -> None: ...


class Trackers:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def start(self, parameters: Mapping[str, object]) -> None:
        for each in self._trackers:
            each.start(parameters)

    def log(self, epoch: int, numbers: Mapping[str, float]) -> None:
        for each in self._trackers:
            each.log(epoch, numbers)

    def picture(self, epoch: int, name: str, image: NDArray[np.uint8]) -> None:
        for each in self._trackers:
            each.picture(epoch, name, image)

    def finish(self, outcome: Outcome = "finished") -> None:
        for each in self._trackers:
            each.finish(outcome)
