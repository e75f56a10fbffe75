"""The servers that ours is measured beside: each on a free port, in an environment that has what it needs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.receiving.upload_memory import MIB, memory_of
from maskmill.stack.broker import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 120


@dataclass(frozen=True, slots=True)
class Server:
    """packages: what pip installs beside what is here. command: its arguments, with {model}, {precision} and {port}."""

    packages: tuple[str, ...]
    command: tuple[str, ...]


SERVERS: Mapping[str, Server] = {
    "fastapi": Server((), ("python", "-m", "benchmarks.peers.fastapi_pool", "{model}", "{precision}", "{port}")),
    "litserve": Server(
        ("litserve",), ("python", "-m", "benchmarks.peers.litserve_pool", "{model}", "{precision}", "{port}")
    ),
    "bentoml": Server(
        ("bentoml",), ("bentoml", "serve", "benchmarks.peers.bentoml_pool:Segmentation", "--port", "{port}")
    ),
}


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/predict"

    def peak_mb(self) -> float:
        """Of all its processes, each at its own worst."""
        tree = [self.pid, *(each.pid for each in psutil.Process(self.pid).children(recursive=True))]
        return sum(memory_of(pid)["VmHWM"] for pid in tree) / MIB


@contextmanager
def all_running(folder: Path, names: Sequence[str], *, model: str, precision: str) -> Iterator[Mapping[str, Running]]:
    """folder: of the environment that is made for them. Raises CalledProcessError, TimeoutError."""
    programs = _environment(folder, [each for name in names for each in SERVERS[name].packages])
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(_started(SERVERS[name], programs, folder / f"{name}.log", model, precision))
            for name in names
        }


@contextmanager
def running(name: str, model: str, precision: str) -> Iterator[Running]:
    """One, as `all_running`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        all_running(Path(folder), [name], model=model, precision=precision) as servers,
    ):
        yield servers[name]


def _environment(folder: Path, packages: Sequence[str]) -> Path:
    """Finds what is installed here, and in front of it what the servers brought along."""
    if not packages:
        return Path(sys.executable).parent
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    own = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(own, "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    subprocess.run([folder / "bin" / "python", *install, *packages], check=True)
    return folder / "bin"


@contextmanager
def _started(server: Server, programs: Path, log: Path, model: str, precision: str) -> Iterator[Running]:
    port = free_port()
    program, *arguments = (each.format(model=model, precision=precision, port=port) for each in server.command)
    own = {"MODEL": model, "PRECISION": precision, "PYTHONPATH": str(ROOT), "BENTOML_DO_NOT_TRACK": "True"}
    with served([str(programs / program), *arguments], log, environment=os.environ | own) as process:
        running = Running(port, process.pid)
        _wait_for(running.url, process)
        yield running


@contextmanager
def served(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str], folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server with whatever it starts: it may have processes below it of which some leave its group.

    log: where it writes, shown when the block fails. folder: in which it runs.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        try:
            yield process
        except Exception:
            sys.stderr.write(f"{shlex.join(command)}\n{log.read_text(errors='replace')[-3000:]}\n")
            raise
        finally:
            with suppress(psutil.NoSuchProcess):  # it has ended, and so have they
                for each in psutil.Process(process.pid).children(recursive=True):
                    each.kill()
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until it answers anything but "not yet"."""
    give_up = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < give_up:
        with suppress(httpx.TransportError):
            if httpx.post(url, timeout=START_S).status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{url} never answered; its process: {process.poll()}")
