"""From a bare machine to the first mask: ours beside the quickstarts of two servers of models, by turns.

`python -m benchmarks.startup.first_mask [--repository ADDRESS]`. Each side makes an environment of its own in a folder
of its own, and pip keeps and finds nothing. Counted are the seconds of the commands, not of the typing; where pip's
index is near, downloads cost less than they do elsewhere, on all sides. A server of models is given a model; how
somebody comes by one is not counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.peers.servers import served
from benchmarks.record import median, record
from maskmill.stack.broker import free_port

QUESTION = "seconds from nothing but git, make and Python to the first mask, and what is typed and written for it"
ROOT = Path(__file__).resolve().parents[2]
QUICKSTARTS = Path(__file__).parent / "quickstarts"
MODEL = ROOT / "data" / "models" / "street-fast" / "model.onnx"
PICTURE = ROOT / "data" / "samples" / "day-avenue-01.jpg"
PNG = b"\x89PNG"
LOOK_S = 0.1
LIMIT_S = 1200.0


@dataclass(frozen=True, slots=True)
class Quickstart:
    """packages: what pip installs. files: what is written, beside `segment.py`. serve: with {port}. path, field: where
    the picture goes."""

    packages: tuple[str, ...]
    file: str
    serve: tuple[str, ...]
    path: str
    field: str


PEERS = {
    "litserve": Quickstart(
        packages=("litserve", "python-multipart", "onnxruntime", "pillow"),
        file="litserve_server.py",
        serve=("python", "litserve_server.py", "{port}"),
        path="/predict",
        field="image",
    ),
    "bentoml": Quickstart(
        packages=("bentoml", "onnxruntime", "pillow"),
        file="bentoml_service.py",
        serve=("bentoml", "serve", "bentoml_service:Segmentation", "--port", "{port}"),
        path="/mask",
        field="image",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", default=str(ROOT))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    sides: dict[str, Callable[[Path], Mapping[str, float]]] = {
        "maskmill": lambda folder: ours(given.repository, folder),
        **{name: lambda folder, peer=peer: theirs(peer, folder) for name, peer in PEERS.items()},  # type: ignore[misc]
    }
    seconds: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for done in range(1, given.rounds + 1):
        for name, measure in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(measure(Path(folder)))
        figures = {name: told(found) | typed(name) for name, found in seconds.items()}
        record("startup/first-mask", QUESTION, {"rounds": done, **figures})  # a round takes minutes: none is lost


def told(found: Sequence[Mapping[str, float]]) -> dict[str, object]:
    each = [round(times["first_mask_s"], 1) for times in found]
    medians = {name: median(times[name] for times in found) for name in found[0]}
    return {**medians, "rounds_s": each}


def typed(name: str) -> dict[str, object]:
    """Commands to the first mask, and lines of Python that are written for it."""
    if name not in PEERS:
        return {"commands": ["git clone …", "make demo"], "lines_written": 0}
    peer = PEERS[name]
    serve = " ".join(peer.serve).format(port=8000)
    installed = f".venv/bin/pip install {' '.join(peer.packages)}"
    sent = f"curl -F {peer.field}=@street.jpg http://127.0.0.1:8000{peer.path} -o mask.png"
    written = [QUICKSTARTS / "segment.py", QUICKSTARTS / peer.file]
    commands = ["python3 -m venv .venv", installed, f".venv/bin/{serve}", sent]
    return {"commands": commands, "lines_written": sum(map(_lines, written))}


def _lines(path: Path) -> int:
    """Without what is empty or a docstring of one line."""
    return sum(1 for line in path.read_text().splitlines() if line.strip() and not line.startswith('"""'))


def ours(repository: str, folder: Path) -> Mapping[str, float]:
    """Raises CalledProcessError."""
    begun = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", repository, "maskmill"], cwd=folder, env=_bare(), check=True)
    home = folder / "maskmill"
    command = ["make", "demo"]
    demo = subprocess.Popen(command, cwd=home, env=_bare(), stdout=subprocess.DEVNULL)
    installed = first = None
    while demo.poll() is None:
        now = time.monotonic() - begun
        if installed is None and any((home / ".venv").glob(".local-*")):
            installed = now
        if first is None and any((home / ".maskmill").rglob("mask/*")):
            first = now
        time.sleep(LOOK_S)
    if demo.returncode:
        raise subprocess.CalledProcessError(demo.returncode, command)
    ended = time.monotonic() - begun
    return {"installed_s": installed or ended, "first_mask_s": first or ended, "twelve_masks_s": ended}


def theirs(peer: Quickstart, folder: Path) -> Mapping[str, float]:
    """Raises CalledProcessError, TimeoutError."""
    for path in (QUICKSTARTS / "segment.py", QUICKSTARTS / peer.file, MODEL):
        shutil.copy(path, folder)
    begun = time.monotonic()
    python = folder / ".venv" / "bin" / "python"
    subprocess.run([_python(), "-m", "venv", ".venv"], cwd=folder, env=_bare(), check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*install, *peer.packages], cwd=folder, env=_bare(), check=True)
    installed = time.monotonic() - begun
    port = free_port()
    program, *arguments = (each.format(port=port) for each in peer.serve)
    command = [str(python.with_name(program)), *arguments]
    with served(command, folder / "log", environment=_bare(), folder=folder) as process:
        first = _first_mask(f"http://127.0.0.1:{port}{peer.path}", peer.field, process)
    return {"installed_s": installed, "first_mask_s": first - begun}


def _first_mask(url: str, field: str, process: subprocess.Popen[bytes]) -> float:
    """When it came."""
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answer = httpx.post(url, files={field: (PICTURE.name, PICTURE.read_bytes(), "image/jpeg")}, timeout=60)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.content.startswith(PNG):
            return time.monotonic()
        if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise RuntimeError(f"{url} answers {answer.status_code}: {answer.text[:300]}")
        time.sleep(LOOK_S)
    raise TimeoutError(f"no mask from {url}; its process: {process.poll()}")


def _python() -> str:
    """As the Makefile chooses it."""
    return shutil.which("python3.11") or shutil.which("python3") or sys.executable


def _bare() -> dict[str, str]:
    """Nothing of this environment, and no cache of pip."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MASKMILL_", "PYTHON", "VIRTUAL"))
    }
    return {**kept, "PIP_NO_CACHE_DIR": "1", "BENTOML_DO_NOT_TRACK": "True"}


if __name__ == "__main__":
    main()
