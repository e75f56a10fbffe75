"""What does one picture of 30,000 × 30,000 pixels cost, and does it come out as its parts do?

A real local stack. The picture is made of the samples, mirrored and dimmed, as a TIFF in tiles and as a PNG. It goes
through once to its end; of places in it, as large as a tile, each by itself and uncut, ids are held against its mask
where the tile lies alone. The mask is exported for an annotation tool. Then it is submitted again and canceled in the
middle.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyvips
from numpy.typing import NDArray
from PIL import PngImagePlugin

from benchmarks.receiving.upload_memory import MIB, memory_of
from benchmarks.record import record
from data.sample_library import open_samples
from maskmill.local import StackOptions, running_stack

QUESTION = "a picture of so many pixels by rows: seconds, peak memory, ids against those of its parts, time of a cancel"
TILE, OVERLAP = 1200, 240  # tiles begin every 960 pixels: 30,000 is 31 of them
STEP = TILE - OVERLAP
BOUNDARY = "one-large-picture"
PIECE = 2**20
PLACES = ((0, 0), (0, 15), (7, 3), (15, 15), (16, 29), (23, 8), (30, 0), (30, 30))  # rows and columns of tiles
_CODE = np.array((65536, 256, 1), np.uint32)
PARTS = {"worker": "worker.tasks", "api": "api"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=31, help="along each side")
    parser.add_argument("--kinds", nargs="+", choices=("tiff", "png"), default=["tiff", "png"])
    parser.add_argument("--model", default="street-fast")
    given = parser.parse_args()
    side = TILE + (given.tiles - 1) * STEP
    os.environ["MASKMILL_API_MAX_IMAGE_BYTES"] = str(8 * 2**30)
    figures: dict[str, Any] = {"side": side, "tile": TILE, "overlap": OVERLAP, "model": given.model}
    with tempfile.TemporaryDirectory() as folder:
        options = StackOptions(home=Path(folder) / "home", port=0)
        tiff = _make_picture(Path(folder) / "large.tiff", side)
        for kind in given.kinds:
            path = tiff if kind == "tiff" else _make_png(tiff)
            with (
                running_stack(options, lambda notice: None) as stack,
                httpx.Client(base_url=stack.url, timeout=600) as http,
            ):
                figures[kind] = _figures(http, path, tiff, given.model, given.tiles)
    record("scaling/large-picture", QUESTION, figures)


def _figures(http: httpx.Client, path: Path, tiff: Path, model: str, tiles: int) -> dict[str, Any]:
    _finished(http, _submit(http, "warm.jpg", _sample(), {"model": model, "reuse": False}))
    before = {name: memory_of(pid)["VmRSS"] for name, pid in _processes().items()}
    for pid in _processes().values():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    began = time.perf_counter()
    job = _submit(http, path.name, path, _options(model, tiled=True))
    received_s = time.perf_counter() - began
    ended = _finished(http, job)
    seconds = time.perf_counter() - began
    row = http.get(f"/jobs/{job}/images/0").raise_for_status().json()
    if ended["status"] != "succeeded":
        raise RuntimeError(json.dumps(row))
    peaks = {name: memory_of(pid)["VmHWM"] for name, pid in _processes().items()}
    figures: dict[str, Any] = {
        "file_mb": round(path.stat().st_size / 1e6),
        "received_s": round(received_s, 1),
        "seconds": round(seconds, 1),
        "timings_s": {step: round(ms / 1e3, 1) for step, ms in row["timings_ms"].items()},
        **{f"{name}_rss_before_mib": round(rss / MIB) for name, rss in before.items()},
        **{f"{name}_rss_peak_mib": round(rss / MIB) for name, rss in peaks.items()},
    }
    print(path.suffix, json.dumps(figures), file=sys.stderr)
    same, compared = _compared(http, tiff, job, model, tiles)
    figures |= {"pixels_compared": compared, "pixels_that_differ": compared - same}
    print(path.suffix, json.dumps(figures), file=sys.stderr)
    figures |= _export(http, job)
    figures["cancel_s"] = _cancel_s(http, path, model, after_s=seconds - received_s)
    return figures


def _export(http: httpx.Client, job: str) -> dict[str, Any]:
    """What the API takes to give the mask out for an annotation tool, by rows."""
    api = _processes()["api"]
    Path(f"/proc/{api}/clear_refs").write_text("5")
    began, size = time.perf_counter(), 0
    with http.stream("GET", f"/jobs/{job}/archive", params={"export": "cvat"}) as answer:
        for piece in answer.raise_for_status().iter_bytes(PIECE):
            size += len(piece)
    return {
        "export_s": round(time.perf_counter() - began, 1),
        "export_mb": round(size / 1e6, 1),
        "api_rss_peak_of_export_mib": round(memory_of(api)["VmHWM"] / MIB),
    }


def _cancel_s(http: httpx.Client, path: Path, model: str, *, after_s: float) -> float:
    """Seconds until the job has ended and the worker is idle, in the middle of the work."""
    job = _submit(http, path.name, path, _options(model, tiled=True))
    time.sleep(min(60.0, after_s / 4))
    worker = psutil.Process(_processes()["worker"])
    began = time.perf_counter()
    http.post(f"/jobs/{job}/cancel").raise_for_status()
    ended = _finished(http, job)
    while worker.cpu_percent(0.2) > 30:
        pass
    if ended["status"] != "canceled":
        raise RuntimeError(f"the job is {ended['status']}: it was over before it could be canceled")
    return round(time.perf_counter() - began, 2)


def _options(model: str, *, tiled: bool) -> dict[str, Any]:
    tile = {"size": TILE, "overlap": OVERLAP} if tiled else None
    return {"model": model, "reuse": False, "tile": tile, "artifacts": ["overlay", "mask", "confidence"]}


def _compared(http: httpx.Client, path: Path, job: str, model: str, tiles: int) -> tuple[int, int]:
    """How many ids are the same, and of how many: of whole tiles uncut, where no other tile covers them.

    path: of the TIFF, from which parts are had at once.
    """
    mask = path.with_suffix(".mask.png")
    with http.stream("GET", f"/jobs/{job}/images/0/mask") as answer, mask.open("wb") as file:
        for piece in answer.iter_bytes(PIECE):
            file.write(piece)
    same = compared = 0
    ids = _Ids(mask)
    for row, column in sorted({(min(row, tiles - 1), min(column, tiles - 1)) for row, column in PLACES}):
        alone = [_alone(each, tiles) for each in (row, column)]
        whole = ids.at(row * STEP + alone[0].start, column * STEP + alone[1].start, alone)
        part = _ids_of_part(http, path, (row * STEP, column * STEP), model)[alone[0], alone[1]]
        same += int((whole == part).sum())
        compared += part.size
    mask.unlink()
    return same, compared


def _alone(at: int, tiles: int) -> slice:
    """Where along a side a tile is not overlapped."""
    return slice(0 if at == 0 else OVERLAP, TILE if at == tiles - 1 else STEP)


class _Ids:
    """Of a mask, read by its rows once, from top to bottom."""

    def __init__(self, mask: Path) -> None:
        with mask.open("rb") as file:
            palette = PngImagePlugin.PngImageFile(file).getpalette()
        self._codes = np.array(palette, np.uint32).reshape(256, 3) @ _CODE
        self._order = np.argsort(self._codes, kind="stable")
        self._region = pyvips.Region.new(pyvips.Image.pngload(str(mask), access="sequential"))

    def at(self, top: int, left: int, size: list[slice]) -> NDArray[np.uint8]:
        height, width = (each.stop - each.start for each in size)
        colours = np.frombuffer(self._region.fetch(left, top, width, height), np.uint8).reshape(height, width, 3)
        places = np.searchsorted(self._codes[self._order], colours.astype(np.uint32) @ _CODE)
        return self._order[places].astype(np.uint8)


def _ids_of_part(http: httpx.Client, path: Path, at: tuple[int, int], model: str) -> NDArray[np.uint8]:
    part = pyvips.Image.new_from_file(str(path)).crop(at[1], at[0], TILE, TILE)
    job = _submit(http, "part.png", part.pngsave_buffer(compression=1), _options(model, tiled=False))
    _finished(http, job)
    answer = http.get(f"/jobs/{job}/images/0/mask", follow_redirects=True).raise_for_status()
    scratch = path.with_suffix(".part.png")
    scratch.write_bytes(answer.content)
    ids = _Ids(scratch).at(0, 0, [slice(0, TILE), slice(0, TILE)])
    scratch.unlink()
    return ids


def _make_picture(path: Path, side: int) -> Path:
    """Samples beside and below each other, mirrored and dimmed, in an order that does not repeat soon."""
    samples = open_samples()
    pictures = [pyvips.Image.new_from_buffer(samples.picture(each), "") for each in sorted(samples.ids())]
    mirrored = [each.fliphor() if place % 2 else each for place, each in enumerate(pictures * 3)]
    varied = [(each * (1 - place % 13 / 40)).cast("uchar").copy_memory() for place, each in enumerate(mirrored)]
    across, down = -(-side // varied[0].width), -(-side // varied[0].height)
    placed = [varied[place * place % len(varied)] for place in range(across * down)]
    whole = pyvips.Image.arrayjoin(placed, across=across).crop(0, 0, side, side)
    whole.tiffsave(str(path), tile=True, tile_width=512, tile_height=512, bigtiff=True)
    return path


def _make_png(tiff: Path) -> Path:
    path = tiff.with_suffix(".png")
    pyvips.Image.new_from_file(str(tiff), access="sequential").pngsave(str(path), compression=1, filter="none")
    return path


def _submit(http: httpx.Client, name: str, data: Path | bytes, options: Mapping[str, Any]) -> str:
    answer = http.post(
        "/jobs",
        content=_form(name, data, options),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    return str(answer.raise_for_status().json()["id"])


def _form(name: str, data: Path | bytes, options: Mapping[str, Any]) -> Iterator[bytes]:
    """A body that is never whole on this side either."""
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="options"\r\n\r\n{json.dumps(options)}\r\n'.encode()
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    if isinstance(data, bytes):
        yield data
    else:
        with data.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def _finished(http: httpx.Client, job: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = http.get(f"/jobs/{job}", params={"wait": 30}).raise_for_status().json()
        if found["finished_at"] is not None:
            return found


def _processes() -> dict[str, int]:
    """Of the stack, which are children of ours: by the module that each runs."""
    found = {}
    for child in psutil.Process().children(recursive=True):
        line = child.cmdline()
        for name, module in PARTS.items():
            if module in line:
                found[name] = child.pid
    return found


def _sample() -> bytes:
    samples = open_samples()
    return samples.picture(min(samples.ids()))


if __name__ == "__main__":
    main()
