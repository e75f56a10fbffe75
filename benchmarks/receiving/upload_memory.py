"""By how much does the API's memory grow while thousands of images arrive in one request?

A real server process on SQLite and a local directory; nobody works on the job.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from benchmarks.record import record

QUESTION = "growth of the API's resident memory while that many images arrive in one request"
READY_S = 60.0
MIB = 2**20
BOUNDARY = "images-of-one-request"


@dataclass(frozen=True, slots=True)
class Figures:
    images: int
    megabytes: float
    rss_before_mib: float
    rss_peak_mib: float
    growth_mib: float
    seconds: float


def measure(images: int, image_bytes: int) -> Figures:
    """Linux only: the peak is the kernel's own, so that no moment is missed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as (process, url),
        httpx.Client(base_url=url, timeout=600) as client,
    ):
        for _ in range(3):  # what is loaded and kept by any first request is no growth
            _upload(client, 20, image_bytes)
        before = memory_of(process.pid)["VmRSS"]
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
        begun = time.perf_counter()
        _upload(client, images, image_bytes)
        seconds = time.perf_counter() - begun
        peak = memory_of(process.pid)["VmHWM"]
    return Figures(
        images=images,
        megabytes=round(images * image_bytes / 1e6, 1),
        rss_before_mib=round(before / MIB, 1),
        rss_peak_mib=round(peak / MIB, 1),
        growth_mib=round((peak - before) / MIB, 1),
        seconds=round(seconds, 2),
    )


@contextmanager
def server(home: Path, *, broker_url: str | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The API as users start it, with its state in `home`; without a URL there is no broker."""
    url_port = _free_port()
    environment = {
        **os.environ,
        "MASKMILL_HOME": str(home),
        "MASKMILL_BROKER_URL": broker_url or f"redis://127.0.0.1:{_free_port()}/0",
    }
    subprocess.run([sys.executable, "-m", "storage.migrate"], env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", str(url_port)]
    with subprocess.Popen([*command, "--log-level", "warning"], env=environment) as process:
        try:
            _wait_until_up(process, f"http://127.0.0.1:{url_port}")
            yield process, f"http://127.0.0.1:{url_port}"
        finally:
            process.terminate()
            process.wait(30)


def _upload(client: httpx.Client, images: int, image_bytes: int) -> None:
    answer = client.post(
        "/jobs",
        content=_form(images, image_bytes),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    if answer.status_code != 202 or answer.json()["images"]["total"] != images:
        raise RuntimeError(f"the upload was not accepted: {answer.status_code} {answer.text[:500]}")


def _form(images: int, image_bytes: int) -> Iterator[bytes]:
    """A body that is never whole on this side either."""
    picture = os.urandom(image_bytes)
    for index in range(images):
        yield (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{index:05d}.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        yield picture
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def memory_of(pid: int) -> Mapping[str, int]:
    """Fields of /proc/<pid>/status in bytes."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {parts[0].rstrip(":"): int(parts[1]) * 1024 for parts in lines if len(parts) == 3 and parts[2] == "kB"}


def _wait_until_up(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/health").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not come up")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--image-bytes", type=int, default=200_000)
    chosen = parser.parse_args()
    record("receiving/upload_memory", QUESTION, asdict(measure(chosen.images, chosen.image_bytes)))


if __name__ == "__main__":
    main()
