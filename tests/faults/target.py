"""The embedded stack as `maskmill up` runs it, with what the faults and the auditor need to reach it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from maskmill.local import LocalStack, StackOptions
from maskmill.stack.home import StackHome, read_json
from maskmill.stack.part import RestartPolicy
from maskmill.stack.supervisor import Notice, Report
from storage.settings import StorageSettings
from tests.stack import IMPATIENT
from tests.tiny_models import tiny_bundle

WORKERS = ("worker-1", "worker-2")
STORE_MIB = 256
# Parts die more often here than anywhere: each time counts as the first.
POLICY = RestartPolicy(healthy_s=0.0)


@dataclass(frozen=True, slots=True)
class Target:
    """store_can_fail: its folder is a small file system of its own, which can be full or read-only."""

    url: str
    home: StackHome
    storage: StorageSettings
    store_can_fail: bool

    @property
    def objects(self) -> Path:
        return self.home.root / "objects"

    @property
    def database(self) -> Path:
        return self.home.root / "maskmill.db"

    @property
    def broker_url(self) -> str:
        return str(read_json(self.home.broker_file)["url"])

    def process(self, part: str) -> psutil.Process | None:
        """None while it waits to be started again."""
        return self.home.parts().get(part)

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)


@contextmanager
def running_target(folder: Path, *, tiny: bool) -> Iterator[Target]:
    """tiny: a network that computes next to nothing, instead of the bundled ones. The process's environment is ours."""
    environment = {**IMPATIENT, "MASKMILL_HOME": str(folder / "home")}
    if tiny:
        tiny_bundle(folder / "models", name="street-fast")
        environment["MASKMILL_STORAGE_MODEL_FOLDERS"] = json.dumps([str(folder / "models")])
    os.environ.update(environment)
    home = StackHome(folder / "home")
    can_fail = _small_file_system(home.root / "objects")
    with home.locked():
        options = StackOptions(home=home.root, port=0, workers=len(WORKERS))
        stack = LocalStack(options, _note_in(folder / "notices.log"), policy=POLICY)
        try:
            stack.start(lambda: False)
            with stack.tended():
                yield Target(stack.url, home, StorageSettings(), can_fail)
        finally:
            stack.stop(lambda: False)


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
