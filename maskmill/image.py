"""The images of a job, as a client holds them: what their rows say, how artifacts are fetched, and who has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskmill.download import write_whole
from maskmill.notebooks.shown import class_ids, image_html, opened
from maskmill.transport import Call, Transport, segment

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

FINISHED = frozenset({"succeeded", "partial", "failed", "canceled"})
OUTAGE_S = 60.0  # a server that restarts while we wait is waited for
PAGE = 200


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a job, as its row says. `row` holds everything, `read` fetches an artifact's bytes."""

    row: Mapping[str, Any]
    _base: str = field(repr=False)
    _transport: Transport = field(repr=False)

    def __repr__(self) -> str:
        return f"<Image {self.index} {self.name} {self.status}>"

    @property
    def index(self) -> int:
        return int(self.row["index"])

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def status(self) -> str:
        return str(self.row["status"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.row.get("metrics") or {}

    @property
    def error(self) -> Mapping[str, Any] | None:
        return self.row.get("error")

    @property
    def artifacts(self) -> Mapping[str, str]:
        return self.row.get("artifacts") or {}

    @property
    def work_ms(self) -> float | None:
        """What was spent on the image itself: without waiting for its turn, or for the model to be loaded."""
        spent: Mapping[str, float] = self.row.get("timings_ms") or {}
        return spent["total"] - spent.get("queue", 0.0) - spent.get("load", 0.0) if "total" in spent else None

    def read(self, artifact: str, *, model: str | None = None, upright: bool = False) -> bytes:
        """The bytes of `overlay`, `mask`, …; `input` is the image itself. model: whose, of a job with several; else the
        first one's. upright: of `input`, with its pixels as masks have them, where EXIF turns it. Raises NotFound."""
        path = None if model else self.artifacts.get(artifact)
        params = {"model": model, "upright": upright or None}
        call = Call(method="GET", path=path or f"{self._base}/{self.index}/{segment(artifact)}", params=params)
        return self._transport.send(call).content

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(height, width), class ids; fetched anew each time. Raises NotFound, InvalidInput without NumPy or Pillow."""
        return class_ids(self.read("mask"))

    @property
    def overlay(self) -> PIL.Image.Image:
        """Fetched anew each time. Raises NotFound, and InvalidInput without Pillow."""
        return opened(self.read("overlay"))

    def _repr_html_(self) -> str:
        return image_html(self)

    def save(self, artifact: str, path: str | Path, *, upright: bool = False) -> Path:
        return write_whole(Path(path), self.read(artifact, upright=upright))


class FinishedImages:
    """Reads the rows of a running job again and again without starting over.

    Images finish roughly in input order: pages whose images have all been seen are never read again, and while the
    job runs no page is read beyond the first without a finished image.
    """

    def __init__(self, transport: Transport, path: str, left_s: Callable[[], float | None] = lambda: None) -> None:
        """left_s: how long a page may take of a job that runs."""
        self._transport = transport
        self._path = path
        self._left_s = left_s
        self._cursor: str | None = None  # of the first page that is not seen whole
        self._seen: set[int] = set()

    def told(self, row: Mapping[str, Any]) -> Iterator[Image]:
        """One that a stream of events told."""
        if row["index"] not in self._seen:
            self._seen.add(row["index"])
            yield Image(row, self._path, self._transport)

    def new(self, *, to_the_end: bool) -> Iterator[Image]:
        cursor = self._cursor
        front = True  # every page so far is seen whole
        while True:
            params = {"limit": PAGE, "cursor": cursor}
            within_s = None if to_the_end else self._left_s()
            call = Call(method="GET", path=self._path, params=params, within_s=within_s)
            page = self._transport.json(call, holds=("items",), patience_s=OUTAGE_S)
            finished = [row for row in page["items"] if row["status"] in FINISHED]
            for row in finished:
                if row["index"] not in self._seen:
                    self._seen.add(row["index"])
                    yield Image(row, self._path, self._transport)
            cursor = page.get("next_cursor")
            front = front and len(finished) == len(page["items"])
            if cursor is None or not (finished or to_the_end):
                return
            if front:
                self._cursor = cursor
