"""The one-command local stack: which processes it has, with what settings, and when it is ready."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from maskmill.errors import StackError
from maskmill.installed import dashboard_is_here, how_to_install
from maskmill.stack.broker import LOOPBACK, LocalBroker, free_port, new_broker
from maskmill.stack.checks import (
    check_default_model,
    check_engine,
    check_folder,
    check_mlflow,
    check_models,
    check_settings,
    check_space,
)
from maskmill.stack.explained import settings_explained
from maskmill.stack.home import StackHome, write_private
from maskmill.stack.keys import need_a_key
from maskmill.stack.part import PartSpec, RestartPolicy
from maskmill.stack.supervisor import LOOK_EVERY_S, Notice, Report, Supervisor

DEFAULT_HOME = Path(".maskmill")
DEFAULT_PORT = 8008
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
FLOWER_PORT = 5555
MLFLOW_PORT = 5000
DASHBOARD_PORT = 8009
BROKER_START_S = 30.0
MIGRATION_S = 120.0
READY_S = 180.0
DEATHS_AT_START = 3
LIBRARIES = ("celery", "fastapi", "uvicorn", "python_multipart", "sqlalchemy", "pydantic_settings", "numpy", "cv2")

# Two processes instead of ten, and nothing told to anybody
MLFLOW_MANNERS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}

# glibc returns memory to the kernel after every forward pass otherwise, and takes it again: half of the time
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}

# Memory in large pages, Python's objects too: what runs once a picture finds its memory a tenth faster
LARGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if sys.platform == "linux" else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """home: becomes absolute. host: where the API listens. port 0: any free one. engine None: the worker's own
    setting. dashboard_port: of the page, where it is installed; 0: any free one; None: no page."""

    home: Path = DEFAULT_HOME
    host: str = LOOPBACK
    port: int = DEFAULT_PORT
    workers: int = 1
    flower: bool = False
    mlflow: bool = False
    dashboard_port: int | None = None
    engine: str | None = None
    log_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Asked again and again. interrupted: somebody wants us to end; hurry: at once."""

    interrupted: Callable[[], bool] = lambda: False
    hurry: Callable[[], bool] = lambda: False


class LocalStack:
    """Use `running_stack`; this object is what it gives."""

    def __init__(self, options: StackOptions, report: Report, *, policy: RestartPolicy | None = None) -> None:
        self.options = options
        self.home = StackHome(options.home.expanduser().absolute())
        self.port = free_port(options.port)
        self.flower_port = _port_near(FLOWER_PORT) if options.flower else None
        self.mlflow_port = _port_near(MLFLOW_PORT) if options.mlflow else None
        wanted = options.dashboard_port if dashboard_is_here() else None
        self.dashboard_port = None if wanted is None else _port_near(wanted)
        self._report = report
        self._supervisor = Supervisor(self.home, report, policy=policy)

    @property
    def url(self) -> str:
        """By which this machine reaches the API."""
        host = LOOPBACK if self.options.host in ANY_ADDRESS else self.options.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def flower_url(self) -> str | None:
        return None if self.flower_port is None else f"http://{LOOPBACK}:{self.flower_port}"

    @property
    def mlflow_url(self) -> str | None:
        return None if self.mlflow_port is None else f"http://{LOOPBACK}:{self.mlflow_port}"

    @property
    def dashboard_url(self) -> str | None:
        return None if self.dashboard_port is None else f"http://{LOOPBACK}:{self.dashboard_port}"

    def start(self, interrupted: Callable[[], bool]) -> None:
        """Everything, up to the first answer of /ready. Raises StackError with the end of the log that tells why."""
        for name in self.home.end_leftovers():
            self._report(Notice("leftover", name, f"{name} was left over from an earlier run and was stopped"))
        for sign in (*self.home.run.glob("*.alive"), *self.home.run.glob("metrics/*.json")):
            sign.unlink()
        if self._needs_broker():
            self._start_broker()
        self._supervisor.run_once(self._migration(), timeout_s=MIGRATION_S)
        for spec in self._services():
            self._supervisor.start(spec)
        self._wait_ready(interrupted)
        if not interrupted():
            for spec in self._beside():
                self._supervisor.start(spec)
            write_private(self.home.up_file, self._note())

    def tend_until(self, done: Callable[[], bool]) -> None:
        self._supervisor.tend_until(done)

    @contextlib.contextmanager
    def tended(self) -> Iterator[None]:
        """Dead parts are started again from a thread of its own while the caller does something else."""
        over = threading.Event()
        thread = threading.Thread(target=self.tend_until, args=(over.is_set,), name="maskmill-supervisor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def stop(self, hurry: Callable[[], bool]) -> None:
        self._supervisor.stop(hurry=hurry)
        self.home.broker_file.unlink(missing_ok=True)

    def _needs_broker(self) -> bool:
        from broker.settings import BrokerSettings

        with settings_explained():
            return BrokerSettings().url is None

    def _start_broker(self) -> None:
        """A port can be taken between being found free and being used: then another one is tried."""
        for _ in range(3):
            broker = new_broker()
            self._supervisor.start(broker.spec(self.home))
            if self._broker_came_up(broker):
                return
            self._supervisor.mend("broker")
            self._supervisor.stop()
        raise self._supervisor.failure("broker", "the broker does not start")

    def _broker_came_up(self, broker: LocalBroker) -> bool:
        part = self._supervisor.parts["broker"]
        deadline = time.monotonic() + BROKER_START_S
        while part.alive and time.monotonic() < deadline:
            if broker.answers():
                return True
            time.sleep(0.02)
        return False

    def _wait_ready(self, interrupted: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_S
        said = "the API does not answer"
        with httpx.Client(base_url=self.url, timeout=5.0, trust_env=False) as http:  # no proxy leads here
            while not interrupted():
                self._supervisor.tend()
                self._check_deaths()
                ready, said = _ask_ready(http, said)
                silent = [name for name in self._worker_names() if not self._gave_a_sign(name)]
                if ready and not silent:
                    return
                if ready:
                    said = f"no sign of life of {', '.join(silent)}"
                if time.monotonic() > deadline:
                    raise self._supervisor.failure(_suspect(said), f"not ready after {READY_S:g} s: {said}")
                time.sleep(LOOK_EVERY_S)

    def _check_deaths(self) -> None:
        for name, part in self._supervisor.parts.items():
            if part.deaths >= DEATHS_AT_START:
                raise self._supervisor.failure(name, f"{name} does not stay alive")

    def _worker_names(self) -> list[str]:
        return [f"worker-{number}" for number in range(1, self.options.workers + 1)]

    def _gave_a_sign(self, worker: str) -> bool:
        """/ready may still count a worker of the run before; the file that a worker touches is of this run."""
        return any(self.home.run.glob(f"{worker}@*.alive"))

    def _services(self) -> Iterator[PartSpec]:
        """In the order of starting; the stages are the order of stopping."""
        environment = {**self._environment(), **LARGE_PAGES, **self._old_clients()}
        yield PartSpec(name="api", command=self._api(), environment=environment, stage=0, stop_s=15.0)
        for name in self._worker_names():
            environment = {**self._environment(), **LARGE_PAGES, **ALLOCATOR, **self._share()}
            yield PartSpec(name=name, command=self._worker(name), environment=environment, stage=1, stop_s=40.0)

    def _beside(self) -> Iterator[PartSpec]:
        """What nobody waits for, and what would take processors from those that somebody waits for."""
        yield PartSpec(name="scheduler", command=self._scheduler(), environment=self._environment(), stage=1)
        yield PartSpec(name="webhooks", command=self._webhooks(), environment=self._environment(), stage=1, stop_s=20.0)
        if self.flower_port is not None:
            yield PartSpec(name="flower", command=self._flower(), environment=self._environment(), stage=1)
        if self.mlflow_port is not None:
            environment = {**self._environment(), **MLFLOW_MANNERS}
            yield PartSpec(name="mlflow", command=self._mlflow(), environment=environment, stage=1)
        if self.dashboard_port is not None:
            environment = {**self._environment(), "MASKMILL_SERVER": self.url}
            command = [sys.executable, "-m", "dashboard", "--port", str(self.dashboard_port)]
            yield PartSpec(name="dashboard", command=command, environment=environment, stage=0)

    def _environment(self) -> dict[str, str]:
        environment = {
            "MASKMILL_HOME": str(self.home.root),
            "MASKMILL_API_HOST": self.options.host,
            "MASKMILL_API_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }
        if self.options.log_format is not None:
            environment["MASKMILL_LOG_FORMAT"] = self.options.log_format
        if self.options.engine is not None:
            environment["MASKMILL_WORKER_ENGINE"] = self.options.engine
        return environment

    def _old_clients(self) -> dict[str, str]:
        """They are served here, unless somebody says otherwise."""
        from api.settings import ApiSettings

        return {} if "compat" in ApiSettings().model_fields_set else {"MASKMILL_API_COMPAT": "1"}

    def _share(self) -> dict[str, str]:
        """Several workers on one machine share its processors, unless somebody says how."""
        from worker.settings import WorkerSettings, cpu_count

        settings = WorkerSettings()
        if self.options.workers == 1 or settings.streams or settings.picture_threads:
            return {}
        share = max(1, cpu_count() // self.options.workers)
        streams = min(share, max(2, share // 4))
        return {"MASKMILL_WORKER_STREAMS": str(streams), "MASKMILL_WORKER_PICTURE_THREADS": str(max(2, share))}

    def _migration(self) -> PartSpec:
        command = [sys.executable, "-m", "storage.migrate"]
        return PartSpec(name="migrations", command=command, environment=self._environment())

    def _api(self) -> list[str]:
        where = ["--host", self.options.host, "--port", str(self.port)]
        return [sys.executable, "-m", "api", *where]

    def _worker(self, name: str) -> list[str]:
        from worker.settings import WorkerSettings

        pool = ["--pool", "threads", "--concurrency", str(WorkerSettings().concurrency)]
        queues = ["--queues", "interactive,bulk,upkeep", "--hostname", f"{name}@%h"]
        quiet = ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        return [sys.executable, "-m", "broker", "-A", "worker.tasks", "worker", *pool, *queues, *quiet]

    def _webhooks(self) -> list[str]:
        pool = ["--pool", "threads", "--concurrency", "1", "--queues", "webhooks", "--hostname", "webhooks@%h"]
        quiet = ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        return [sys.executable, "-m", "broker", "-A", "worker.web.webhook_tasks", "worker", *pool, *quiet]

    def _scheduler(self) -> list[str]:
        schedule = ["--schedule", str(self.home.run / "schedule"), "--pidfile="]
        return [sys.executable, "-m", "broker", "-A", "broker.app", "beat", *schedule, "--loglevel", "INFO"]

    def _flower(self) -> list[str]:
        where = [f"--address={LOOPBACK}", f"--port={self.flower_port}"]
        return [sys.executable, "-m", "celery", "-A", "broker.app", "flower", *where]

    def _mlflow(self) -> list[str]:
        """Shows the file that trainings and workers use themselves when no setting names a server."""
        from storage.registry.mlflow_registry import local_tracking

        root = self.home.root
        where = ["--host", LOOPBACK, "--port", str(self.mlflow_port), "--workers", "1"]
        what = ["--backend-store-uri", local_tracking(root)]
        files = ["--artifacts-destination", str(root / "mlflow-artifacts")]
        return [sys.executable, "-m", "mlflow", "server", *where, *what, *files]

    def _note(self) -> dict[str, Any]:
        import psutil

        return {
            "url": self.url,
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "home": str(self.home.root),
            "flower": self.flower_url,
            "mlflow": self.mlflow_url,
            "dashboard": self.dashboard_url,
            "parts": sorted(self._supervisor.parts),
        }


@contextlib.contextmanager
def running_stack(
    options: StackOptions,
    report: Report,
    patience: Patience | None = None,
) -> Iterator[LocalStack]:
    """A ready stack (or one that was interrupted before it was), stopped in order at the end.

    Raises AlreadyRunning, and StackError when it does not become ready.
    """
    patience = patience or Patience()
    check_folder(Path.cwd())
    _check_installed([*LIBRARIES, *(["flower"] if options.flower else [])])
    if options.engine is not None:
        check_engine(options.engine)
    check_settings(page=options.dashboard_port is not None and dashboard_is_here())
    check_models(options.engine, options.home.expanduser())
    check_default_model(options.home.expanduser())
    if options.mlflow:
        check_mlflow()
    home = StackHome(options.home.expanduser().absolute())
    with home.locked(), _home_in_environment(home):
        check_space(home.root)
        with settings_explained():
            need_a_key(options.host)
        stack = LocalStack(options, report)
        try:
            with settings_explained():
                stack.start(patience.interrupted)
            yield stack
        finally:
            stack.stop(patience.hurry)


@contextlib.contextmanager
def _home_in_environment(home: StackHome) -> Iterator[None]:
    """Settings that this process reads itself come from the same home as the parts'."""
    before = os.environ.get("MASKMILL_HOME")
    os.environ["MASKMILL_HOME"] = str(home.root)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MASKMILL_HOME"]
        else:
            os.environ["MASKMILL_HOME"] = before


def _check_installed(libraries: Sequence[str]) -> None:
    absent = [name for name in libraries if importlib.util.find_spec(name) is None]
    if absent:
        raise StackError(f"{', '.join(absent)} not installed: {how_to_install('local')}; or see: maskmill doctor")


def _port_near(wanted: int) -> int:
    with contextlib.suppress(StackError):
        return free_port(wanted)
    return free_port()


def _ask_ready(http: httpx.Client, said: str) -> tuple[bool, str]:
    """Whether it is ready, and what it says when it is not."""
    try:
        response = http.get("/ready")
    except httpx.TransportError:
        return False, said
    if response.status_code == 200:
        return True, "ready"
    return False, response.text[:500]


def _suspect(said: str) -> str:
    """Whose log probably tells why."""
    return "worker-1" if "worker" in said.lower() else "api"
