"""The folder of a local stack: who runs in it, what they wrote down, and who was left over from last time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskmill.errors import StackError

if TYPE_CHECKING:
    import psutil  # where it is needed it is imported: a client's installation has none

LOGS_KEPT = 3
LOG_LIMIT = 16 * 2**20  # bytes of a part's log before it is rotated while the part runs
STALE_STOP_S = 3.0


class AlreadyRunning(StackError):
    """Another supervisor holds this home."""


@dataclass(frozen=True, slots=True)
class StackHome:
    """`root` is absolute. Everything a local stack writes lies below it."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def up_file(self) -> Path:
        return self.run / "up.json"

    @property
    def broker_file(self) -> Path:
        return self.run / "broker.json"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one supervisor of this home. Raises AlreadyRunning, StackError. The lock goes with the process."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)  # pictures and results are nobody else's business
            for folder in (self.run, self.logs):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            mend = "choose another folder with --home or MASKMILL_HOME"
            raise StackError(f"{self.root} cannot be written ({error.strerror}): {mend}") from None
        with (self.run / "lock").open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._who_runs()) from None
            except OSError as error:  # a shared folder whose file system knows no locks
                mend = "choose a folder on a local disk with --home or MASKMILL_HOME"
                raise StackError(f"{self.root} cannot be locked ({error.strerror}): {mend}") from None
            try:
                yield
            finally:
                self.up_file.unlink(missing_ok=True)

    def rotate_log(self, part: str) -> None:
        """part.log → part.log.1 → … ; the oldest goes."""
        if self.log(part).is_file():
            self._keep(part, self.log(part))

    def limit_log(self, part: str) -> None:
        """Rotate a log that has grown too large under a part that keeps it open for appending.

        What it writes between the copy and the cut is lost; so is the log where the disk has no room for a copy.
        """
        log = self.log(part)
        if not log.is_file() or log.stat().st_size <= LOG_LIMIT:
            return
        copy = log.with_name(f".{log.name}.copy")
        try:
            shutil.copyfile(log, copy)
            self._keep(part, copy)
        except OSError:
            copy.unlink(missing_ok=True)
        os.truncate(log, 0)

    def tail(self, part: str, *, lines: int = 20, since: int = 0) -> str:
        """The end of a part's log, without its last newline; empty when there is none. since: byte of the log."""
        log = self.log(part)
        if not log.is_file():
            return ""
        with log.open("rb") as handle:
            handle.seek(max(since, log.stat().st_size - 64 * 1024))
            text = handle.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def note_pid(self, part: str, pid: int) -> None:
        """Remember a child with its start time: a pid alone may belong to somebody else tomorrow.

        On a full disk it is not remembered: what runs goes on all the same.
        """
        import psutil

        with contextlib.suppress(psutil.Error, OSError):
            write_private(self._pid_file(part), {"pid": pid, "started": psutil.Process(pid).create_time()})

    def forget_pid(self, part: str) -> None:
        self._pid_file(part).unlink(missing_ok=True)

    def parts(self) -> Mapping[str, psutil.Process]:
        """Noted children that live, by part."""
        found: dict[str, psutil.Process] = {}
        for path in sorted(self.run.glob("*.pid.json")):
            process = _same_process(read_json(path))
            if process is not None:
                found[path.name.removesuffix(".pid.json")] = process
        return found

    def end_leftovers(self) -> list[str]:
        """Stop children of an earlier supervisor. Call under the lock. Returns the parts' names."""
        import psutil

        left = self.parts()
        for process in left.values():
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(list(left.values()), timeout=STALE_STOP_S)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=STALE_STOP_S)
        for path in self.run.glob("*.pid.json"):
            path.unlink(missing_ok=True)
        return list(left)

    def running(self) -> Mapping[str, Any] | None:
        """What the supervisor that holds this home wrote when it was ready, None when there is none."""
        noted = read_json(self.up_file)
        return noted if noted and _same_process(noted) is not None else None

    def _keep(self, part: str, log: Path) -> None:
        """As the newest of the old logs."""
        for age in range(LOGS_KEPT - 1, 0, -1):
            older = self.logs / f"{part}.log.{age}"
            if older.is_file():
                older.replace(self.logs / f"{part}.log.{age + 1}")
        log.replace(self.logs / f"{part}.log.1")

    def _pid_file(self, part: str) -> Path:
        return self.run / f"{part}.pid.json"

    def _who_runs(self) -> str:
        noted = self.running()
        if noted is None:
            return f"a local stack is being started or stopped in {self.root}"
        running = f"a local stack is running in {self.root}: {noted['url']} (process {noted['pid']})"
        which = "" if self.root == Path(".maskmill").absolute() else f" --home {shlex.quote(str(self.root))}"
        stop = f"stop it with `maskmill down{which}`"
        return f"{running}; {stop}, or give another one a home and a port: --home DIR --port 0"


def _same_process(noted: Mapping[str, Any]) -> psutil.Process | None:
    import psutil

    try:
        process = psutil.Process(int(noted["pid"]))
        same = abs(process.create_time() - float(noted["started"])) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, KeyError, TypeError, ValueError):
        return None


def read_json(path: Path) -> dict[str, Any]:
    """An object, empty when the file is missing or not one."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_private(path: Path, value: Mapping[str, Any] | str) -> None:
    """Write at once, readable by its owner alone. A mapping becomes JSON."""
    text = value if isinstance(value, str) else json.dumps(value, indent=1)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    part.replace(path)
