"""Over HTTP: a job of many pictures, and the same work behind FastAPI, LitServe and BentoML; by turns.

They have 1, 8 and 64 clients. Same model and precision, JPEG in, palette mask and JPEG overlay out. Ours includes the
archive's worth of rows, files and metrics, and is fetched by nobody; a peer's answer is read by its client.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks.peers.servers import SERVERS, all_running
from benchmarks.pipeline import make_pictures
from benchmarks.receiving.upload_memory import MIB, memory_of
from benchmarks.record import median, record
from benchmarks.scale.noop import finished
from maskmill.local import LocalStack, StackOptions, running_stack

QUESTION = "images/s, latency and memory over HTTP, ours and hand-tuned work behind FastAPI, LitServe and BentoML"
_Round = tuple[float, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="street-fast")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--beside", default=",".join(SERVERS), help="which servers; LitServe and BentoML are installed")
    given = parser.parse_args()
    clients, names = [int(each) for each in given.clients.split(",")], given.beside.split(",")
    pictures = make_pictures(given.images, 1024, 512)
    with (
        tempfile.TemporaryDirectory() as folder,
        our_stack(given.precision) as stack,
        all_running(Path(folder), names, model=given.model, precision=given.precision) as servers,
    ):
        ours: list[float] = []
        theirs: dict[str, dict[int, list[_Round]]] = {name: {each: [] for each in clients} for name in names}
        _job(stack, given.model, pictures[:8])
        for server in servers.values():
            _called(server.url, pictures[:8], 4)
        for _ in range(given.rounds):
            ours.append(_job(stack, given.model, pictures))
            for name, server in servers.items():
                for each in clients:
                    theirs[name][each].append(_called(server.url, pictures, each))
        memory = {name: _mb(process.pid) for name, process in stack.home.parts().items()}
        figures: dict[str, object] = {
            "ours": {"images_per_s": median(ours), "lowest_and_highest": [min(ours), max(ours)], "mb": memory},
            **{name: _told(found, ours) | {"mb": round(servers[name].peak_mb())} for name, found in theirs.items()},
        }
    about = {"model": given.model, "precision": given.precision, "images": given.images, "rounds": given.rounds}
    record("serving/peers", QUESTION, {**about, "load": [round(each, 1) for each in os.getloadavg()], **figures})


def _told(rounds: Mapping[int, Sequence[_Round]], ours: Sequence[float]) -> dict[str, object]:
    """By the number of clients. ours_times: our images per second in terms of theirs, the median of the rounds."""
    told: dict[str, object] = {}
    for clients, found in rounds.items():
        spent = sorted(each for _, one in found for each in one)
        p50, p99 = (spent[int(share * (len(spent) - 1))] for share in (0.5, 0.99))
        told[f"{clients}_clients"] = {
            "images_per_s": median(rate for rate, _ in found),
            "p50_ms": median([p50]),
            "p99_ms": median([p99]),
            "ours_times": median(mine / rate for mine, (rate, _) in zip(ours, found, strict=True)),
        }
    return told


@contextmanager
def our_stack(precision: str) -> Iterator[LocalStack]:
    settings = {"MASKMILL_WORKER_ENGINE": "openvino", "MASKMILL_WORKER_PRECISION": precision}
    os.environ.update(settings)
    with (
        tempfile.TemporaryDirectory() as home,
        running_stack(StackOptions(home=Path(home), port=0), lambda notice: None) as stack,
    ):
        yield stack


def _job(stack: LocalStack, model: str, pictures: Sequence[bytes]) -> float:
    """Images per second, from the first byte sent to the last image's end."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for index, data in enumerate(pictures):
            archive.writestr(f"{index:05d}.jpg", data)
    packed.seek(0)
    with httpx.Client(base_url=stack.url, timeout=600) as http:
        began = time.perf_counter()
        answer = http.post(
            "/jobs", files={"files": ("in.zip", packed)}, data={"model": model, "reuse": "false"}
        ).raise_for_status()
        finished(http, str(answer.json()["id"]))
        return round(len(pictures) / (time.perf_counter() - began), 1)


def _called(url: str, pictures: Sequence[bytes], clients: int) -> _Round:
    """Images per second, and each call's milliseconds."""
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    with httpx.Client(timeout=600, limits=limits) as http, ThreadPoolExecutor(clients) as threads:

        def call(data: bytes) -> float:
            began = time.perf_counter()
            http.post(url, files={"file": ("in.jpg", data)}).raise_for_status()
            return (time.perf_counter() - began) * 1e3

        began = time.perf_counter()
        spent = list(threads.map(call, pictures))
        return len(pictures) / (time.perf_counter() - began), spent


def _mb(pid: int) -> float:
    assert psutil.pid_exists(pid)
    return median([memory_of(pid)["VmHWM"] / MIB])


if __name__ == "__main__":
    main()
