"""One image of a job, as a client holds it: what its row says, and how its artifacts are fetched."""

from __future__ import annotations

from collections.abc import Mapping
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
