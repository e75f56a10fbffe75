"""Start a server program, wait until it answers, stop it. Knows nothing of any one server."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

START_S = 120.0  # a busy machine takes its time; whoever is ready earlier is not waited for
STOP_S = 30.0


class ServerDidNotStart(Exception):
    """Carries the end of the server's own log."""


def missing(program: str, untested: str) -> NoReturn:
    """Say what goes untested without `program`: a skip on a laptop, a failure on CI."""
    message = f"{program} is not installed: {untested} was not tested"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def find_program(name: str) -> Path | None:
    """A program beside this interpreter (installed by a wheel) or on the PATH."""
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return beside
    found = shutil.which(name)
    return None if found is None else Path(found)


def free_port() -> int:
    """Below those that the kernel gives to whoever asks for any: one of these would be taken before it is used."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(ready: Callable[[], bool], *, what: str, timeout_s: float = START_S, pause_s: float = 0.05) -> None:
    """Poll until `ready()`. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:.0f} s")
        time.sleep(pause_s)


def dies_with_us() -> list[str]:
    """A command prefix: the kernel ends the server when the test process is killed before it can."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, ready: Callable[[], bool], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a child process between `ready` and the end of the block. Raises ServerDidNotStart."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
        )
    try:
        _wait_until_ready(process, ready, log)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise ServerDidNotStart(f"{process.args!r} (exit {process.poll()}):\n{tail}")
        time.sleep(0.02)
