"""How fast do files come in, as parts of a form, as one ZIP, and as direct uploads; and what do 2 GB cost the API?

A real server process on SQLite, a directory and the bundled broker; nobody works on the jobs. The measure is a plain
copy of the same files in the same folder, by turns with the others; nothing waits for the disk, on either side.
`--folders . /dev/shm` measures on a disk and in memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.receiving.upload_memory import MIB, memory_of, server
from benchmarks.record import median, record
from maskmill import Maskmill
from maskmill.stack.broker import free_port, server_binary
from maskmill.uploads import direct
from maskmill.uploads.multipart import FilePart, MultipartBody

QUESTION = "MB/s of files that come in, against a plain copy; growth of the API's memory while 2 GB come, cut once"
JPEG = b"\xff\xd8\xff"
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--image-bytes", type=int, default=200_000)
    parser.add_argument("--large-bytes", type=int, default=2_000_000_000)
    parser.add_argument("--folders", nargs="+", default=["."], help="in which files and objects lie")
    given = parser.parse_args()
    load = [round(each, 1) for each in os.getloadavg()]
    figures = {folder: _in_folder(Path(folder).resolve(), given) for folder in given.folders}
    about = {"images": given.images, "image_bytes": given.image_bytes, "rounds": ROUNDS, "load": load}
    record("receiving/intake", QUESTION, {**about, "folders": figures})


def _in_folder(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        home = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(home / "cache")
        files = _pictures(home / "pictures", given.images, given.image_bytes)
        with _broker(home) as url, server(home / "home", broker_url=url) as (process, address):
            figures = _figures(_ways(home, files, address), given.images * given.image_bytes, process.pid)
            return {**figures, "large": _large(home, given.large_bytes, address, process.pid)}


def _pictures(folder: Path, count: int, size: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{index:05d}.jpg" for index in range(count)]
    for each in files:
        each.write_bytes(JPEG + os.urandom(size - len(JPEG)))
    return files


@contextmanager
def _broker(home: Path) -> Iterator[str]:
    port = free_port()
    command = [str(server_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as broker:
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            broker.terminate()


def _ways(home: Path, files: Sequence[Path], address: str) -> dict[str, Callable[[], None]]:
    packed = home / "all.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for each in files:
            archive.write(each, each.name)

    def copy() -> None:
        target = Path(tempfile.mkdtemp(dir=home))
        for each in files:
            shutil.copyfile(each, target / each.name)
        shutil.rmtree(target)

    def directly() -> None:
        direct.DIRECT_BYTES = 0
        with Maskmill(address) as client:
            client.submit(files[0].parent, reuse=False)

    return {
        "copy": copy,
        "parts": lambda: _post(address, files),
        "zip": lambda: _post(address, [packed]),
        "direct": directly,
    }


def _post(address: str, files: Sequence[Path]) -> None:
    body = MultipartBody(fields=[], files=[FilePart.of("files", each) for each in files])
    headers = {"Content-Type": body.media_type, "Content-Length": str(body.length)}
    httpx.post(f"{address}/jobs", content=body, headers=headers, timeout=600).raise_for_status()


def _figures(ways: Mapping[str, Callable[[], None]], size: int, pid: int) -> dict[str, dict[str, float]]:
    """The first round is for what any first request loads and keeps; in the others the ways take turns.

    Seconds are medians, of processors too; the API's growth is the largest.
    """
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rounds[name].append(_once(way, pid))
    figures = {name: {key: median(one[key] for one in told) for key in told[0]} for name, told in rounds.items()}
    for name, each in figures.items():
        each["mb_per_s"] = round(size / 1e6 / each["s"], 1)
        each["of_copy"] = round(figures["copy"]["s"] / each["s"], 2)
        each["api_growth_mib"] = max(one["api_growth_mib"] for one in rounds[name])
    return figures


def _once(way: Callable[[], None], pid: int) -> dict[str, float]:
    api, before, own = psutil.Process(pid), _memory_from_now(pid), time.process_time()
    spent, began = sum(api.cpu_times()[:2]), time.perf_counter()
    way()
    return {
        "s": time.perf_counter() - began,
        "api_cpu_s": sum(api.cpu_times()[:2]) - spent,
        "client_cpu_s": time.process_time() - own,
        "api_growth_mib": _grown_mib(pid, before),
    }


def _large(home: Path, size: int, address: str, pid: int) -> dict[str, Any]:
    """An archive that is cut in the middle and goes on, and the job of what it holds."""
    path = home / "large.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        picture = JPEG + os.urandom(20_000_000)
        for index in range(size // len(picture)):
            archive.writestr(f"{index:04d}.jpg", picture)
    size = path.stat().st_size
    objects = home / "home" / "objects"
    with httpx.Client(base_url=address, timeout=600) as http:
        announced = {"name": path.name, "size": size, "content_type": "application/zip"}
        (ticket,) = http.post("/uploads", json={"files": [announced]}).raise_for_status().json()["uploads"]
        before, began = _memory_from_now(pid), time.perf_counter()
        _send_cut(http, ticket, path, size)
        seconds, growth = time.perf_counter() - began, _grown_mib(pid, before)
        stored = list((objects / "files" / "default" / "uploads").rglob("upl_*"))
        mine = [each for each in stored if each.name == ticket["upload"]]
        before, began = _memory_from_now(pid), time.perf_counter()
        job = http.post("/jobs", json={"inputs": [{"upload": ticket["upload"]}]}).raise_for_status().json()
        submit_s, submit_growth = time.perf_counter() - began, _grown_mib(pid, before)
    return {
        "bytes": size,
        "mb_per_s": round(size / 1e6 / seconds, 1),
        "api_growth_mib": growth,
        "stored_copies": len(mine),
        "left_in_pieces": len(list((objects / "partial").iterdir())),
        "unpacked_images": job["images"]["total"],
        "unpacking_s": round(submit_s, 2),
        "unpacking_growth_mib": submit_growth,
    }


def _send_cut(http: httpx.Client, ticket: dict[str, Any], path: Path, size: int) -> None:
    headers, url = ticket["headers"], ticket["url"]
    with suppress(ConnectionAbortedError, httpx.HTTPError):
        http.put(url, headers={**headers, "Content-Length": str(size)}, content=_pieces(path, 0, cut=size // 2))
    while True:
        told = http.put(url, headers={**headers, "Content-Range": f"bytes */{size}"})
        if told.status_code == 200:
            return
        first = int(told.headers["range"].rpartition("-")[2]) + 1
        rest = {"Content-Range": f"bytes {first}-{size - 1}/{size}", "Content-Length": str(size - first)}
        answer = http.put(url, headers={**headers, **rest}, content=_pieces(path, first))
        if answer.status_code == 409:  # the server has not noticed yet that the other connection is gone
            time.sleep(0.05)


def _pieces(path: Path, first: int, *, cut: int | None = None) -> Iterator[bytes]:
    sent = first
    with path.open("rb") as file:
        file.seek(first)
        while piece := file.read(256 * 1024):
            yield piece
            sent += len(piece)
            if cut is not None and sent > cut:
                raise ConnectionAbortedError


def _memory_from_now(pid: int) -> int:
    """Resident bytes; the peak begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory_of(pid)["VmRSS"]


def _grown_mib(pid: int, before: int) -> float:
    return round((memory_of(pid)["VmHWM"] - before) / MIB, 1)


if __name__ == "__main__":
    main()
