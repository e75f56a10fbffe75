"""A stack as `maskmill up` runs it, embedded or on PostgreSQL and S3, with what faults and auditor need to reach it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from maskmill.local import LocalStack, StackOptions
from maskmill.stack.home import StackHome, read_json
from maskmill.stack.part import RestartPolicy
from maskmill.stack.supervisor import Notice, Report
from storage.settings import StorageSettings
from tests.plain_http import NO_TLS
from tests.receiver import Receiver
from tests.services.postgres import OUTLIVES_PROCESSES, postgres
from tests.services.relay import Relay
from tests.services.s3 import rclone
from tests.stack import IMPATIENT, ROOT
from tests.tiny_models import tiny_bundle

WORKERS = ("worker-1", "worker-2")
STORE_MIB = 256
PACE_S = "0.6"  # that a batch takes at least
# Parts die more often here than anywhere: each time counts as the first.
POLICY = RestartPolicy(healthy_s=0.0)
Port = int | Callable[[], int]
INSIDE = Path(__file__).parent / "inside"
WEBHOOKS = {
    "MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES": "true",
    "MASKMILL_WORKER_WEBHOOK_TIMEOUT_S": "5",
    "MASKMILL_WORKER_WEBHOOK_LEASE_S": "6",
    "MASKMILL_WORKER_WEBHOOK_PAUSES_S": "[0.5, 1, 2, 4, 8, 8, 8, 8]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """tiny: a network that computes next to nothing, instead of the bundled ones. full: on PostgreSQL and S3 instead of
    files. broken: one of `inside/sitecustomize.py`'s variants."""

    tiny: bool = False
    full: bool = False
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """store_can_fail: its folder is a small file system of its own, which can be full or read-only. full: database and
    store are servers. receiver: of webhooks. relays: the wires between worker-1 and `database`, `store`, `broker`."""

    url: str
    home: StackHome
    storage: StorageSettings
    store_can_fail: bool
    full: bool
    receiver: Receiver
    relays: Mapping[str, Relay]

    @property
    def objects(self) -> Path:
        return self.home.root / "objects"

    @property
    def database(self) -> Path:
        return self.home.root / "maskmill.db"

    @property
    def broker_url(self) -> str:
        return str(read_json(self.home.broker_file)["url"])

    @property
    def clock(self) -> Path:
        """By how many seconds the clocks of all parts are off; servers keep theirs."""
        return self.home.root / "clock"

    @property
    def trouble(self) -> Path:
        """What engines read before each batch."""
        return self.home.root / "trouble"

    def process(self, part: str) -> psutil.Process | None:
        """None while it waits to be started again."""
        return self.home.parts().get(part)

    def server(self, name: str) -> list[psutil.Process]:
        """The processes of a server that this one started: `postgres`, `rclone`; the first is their parent."""
        return [each for each in psutil.Process().children(recursive=True) if each.name() == name]

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, verify=NO_TLS)


@contextmanager
def running_target(folder: Path, setting: Setting) -> Iterator[Target]:
    """The process's environment is ours."""
    home = StackHome(folder / "home")
    with ExitStack() as parts:
        environment, ports = _environment(folder, setting, parts)
        relays = {name: parts.enter_context(Relay(port).running()) for name, port in ports.items()}
        wires = {str(port): relays[name].port for name, port in ports.items() if isinstance(port, int)}
        environment["MASKMILL_FAULTS_RELAYS"] = json.dumps({**wires, "broker": relays["broker"].port})
        os.environ.update(environment)
        can_fail = not setting.full and _small_file_system(home.root / "objects")
        parts.enter_context(home.locked())
        options = StackOptions(home=home.root, port=0, workers=len(WORKERS))
        stack = LocalStack(options, _note_in(folder / "notices.log"), policy=POLICY)
        parts.callback(stack.stop, lambda: False)
        receiver = Receiver()
        parts.callback(receiver.close)
        stack.start(lambda: False)
        parts.enter_context(stack.tended())
        yield Target(stack.url, home, StorageSettings(), can_fail, setting.full, receiver, relays)


def _environment(folder: Path, setting: Setting, parts: ExitStack) -> tuple[dict[str, str], Mapping[str, Port]]:
    """Of every part; and where the servers listen."""
    home = folder / "home"
    paths = os.pathsep.join(filter(None, (str(INSIDE), str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**IMPATIENT, **WEBHOOKS, "MASKMILL_HOME": str(home), "PYTHONPATH": paths}
    environment["MASKMILL_FAULTS_ENGINE"] = str(home / "trouble")
    environment["MASKMILL_FAULTS_CLOCK"] = str(home / "clock")
    if setting.broken:
        environment["MASKMILL_FAULTS_BREAK"] = setting.broken
        environment["MASKMILL_FAULTS_PACE_S"] = PACE_S  # what is sent twice finds the job still in work
        environment["MASKMILL_FAULTS_SLICE"] = "4"  # and much of it not yet taken
        environment["MASKMILL_WORKER_CONCURRENCY"] = "2"
    if setting.tiny:
        tiny_bundle(folder / "models", name="street-fast")
        environment["MASKMILL_STORAGE_MODEL_FOLDERS"] = json.dumps([str(folder / "models")])
    ports: dict[str, Port] = {"broker": lambda: int(urlsplit(read_json(StackHome(home).broker_file)["url"]).port or 0)}
    if setting.full:
        database = parts.enter_context(postgres(folder / "postgres", OUTLIVES_PROCESSES))
        store = parts.enter_context(rclone(folder / "s3"))
        environment["MASKMILL_STORAGE_DATABASE_URL"] = database.create("maskmill")
        environment |= store.create_bucket().environment()
        ports |= {"database": database.port, "store": store.port}
    return environment, ports


def _small_file_system(folder: Path) -> bool:
    """Needs a mount namespace of our own, as `python -m tests.faults` makes one; it goes with the process."""
    folder.mkdir(parents=True)
    if os.environ.get("MASKMILL_FAULTS_NAMESPACE") != "own":
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={STORE_MIB}m,mode=0700", "maskmill-faults", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _note_in(file: Path) -> Report:
    def note(notice: Notice) -> None:
        with file.open("a") as log:
            log.write(f"{notice.kind} {notice.part}: {notice.text}\n")

    return note
