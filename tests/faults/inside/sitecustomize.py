"""Loaded by every Python process of a stack under test: engines in trouble, and deliberately broken variants.

What engines do is read from the file `MASKMILL_FAULTS_ENGINE` names before each batch: a line `kind until`, the time on
the clock of the machine. `MASKMILL_FAULTS_BREAK` names what is broken; `make faults` has to find it.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SLOW_COMMIT_S = 0.1


def claim_without_condition() -> None:
    """A claim takes whatever a slice names, be it in work, done or not due."""
    from sqlalchemy import true

    ledger: Any = importlib.import_module("storage.ledger")
    sound = ledger._way

    def way(source: Any, put: Any, add: Any, copy: Any, which: Any) -> Any:
        if which is not ledger._Which.DUE:
            return sound(source, put, add, copy, which)
        conditions = ledger.is_in, ledger.is_due
        ledger.is_in, ledger.is_due = (lambda _: true()), (lambda _: true())
        try:
            return sound.__wrapped__(source, put, add, copy, which)
        finally:
            ledger.is_in, ledger.is_due = conditions

    ledger._way = way


def finish_without_attempt() -> None:
    """An outcome counts under whatever attempt its image runs."""
    from jobs import transitions

    sound = transitions.finish

    def finish(job: Any, images: Mapping[int, Any], outcomes: Any, *, now: Any) -> Any:
        said = {each.index: each.attempt for each in outcomes}
        held = {index: each._replace(attempt=said[index]) for index, each in images.items()}
        return sound(job, held, outcomes, now=now)

    transitions.finish = finish


def dispatch_before_commit() -> None:
    """Workers hear of a job before the database does; the commit takes its time."""
    submit: Any = importlib.import_module("jobs.submitting.submit")
    sound_submit, sound_make, sound_admit, send = (
        submit.Submitting.submit,
        submit.Submitting._make_job,
        submit.admit,
        submit.send,
    )
    mine: dict[str, Any] = {}

    def submitted(self: Any, *arguments: Any, **options: Any) -> Any:
        mine["self"] = self
        return sound_submit(self, *arguments, **options)

    def made(self: Any, *arguments: Any, **options: Any) -> Any:
        mine["job"] = sound_make(self, *arguments, **options)
        return mine["job"]

    def admitted(*arguments: Any, **options: Any) -> None:
        sound_admit(*arguments, **options)
        send(mine["job"], mine["self"].dispatcher, mine["self"].open_unit)
        time.sleep(SLOW_COMMIT_S)

    submit.Submitting.submit, submit.Submitting._make_job = submitted, made
    submit.admit = admitted
    submit.send = lambda *_arguments, **_options: None


VARIANTS: Mapping[str, Callable[[], None]] = {
    "claim": claim_without_condition,
    "finish": finish_without_attempt,
    "dispatch": dispatch_before_commit,
}


def trouble_engines(file: Path, pace_s: float) -> None:
    from worker.engines.openvino import _OpenVinoEngine

    sound = _OpenVinoEngine.run
    runs = iter(range(sys.maxsize))

    def run(self: Any, batch: Any) -> Any:
        time.sleep(pace_s)
        kind, until = _trouble(file)
        if time.time() < until:
            _suffer(kind, until, file, next(runs))
        return sound(self, batch)

    _OpenVinoEngine.run = run  # type: ignore[method-assign]


def write_late(pace_s: float) -> None:
    """What is done waits for the database for a while, as on a busy one."""
    from jobs.processing.processing import Processing

    sound = Processing._write

    def write(self: Any, claim: Any, outcomes: Any) -> Any:
        time.sleep(pace_s)
        return sound(self, claim, outcomes)

    Processing._write = write  # type: ignore[method-assign]


def through_relays(relays: Mapping[str, int]) -> None:
    """This process reaches its servers by wires that can be cut. relays: a server's port, or `broker`, → the wire's."""
    for name in ("MASKMILL_STORAGE_DATABASE_URL", "MASKMILL_STORAGE_OBJECTS_URL"):
        for port, wire in relays.items():
            if name in os.environ and port != "broker":
                os.environ[name] = re.sub(rf"(?<!\d){port}(?!\d)", str(wire), os.environ[name])
    told = json.loads((Path(os.environ["MASKMILL_HOME"]) / "run" / "broker.json").read_text())
    os.environ["MASKMILL_BROKER_URL"] = re.sub(r":\d+/0$", f":{relays['broker']}/0", told["url"])


def shift_clock(file: Path) -> None:
    """What this process takes for the time is off by as many seconds as the file says."""
    real, offset, looked = time.time, 0.0, float("-inf")

    def off_s() -> float:
        nonlocal offset, looked
        if time.monotonic() - looked > 0.1:
            looked = time.monotonic()
            try:
                offset = float(file.read_text())
            except (OSError, ValueError):
                offset = 0.0
        return offset

    time.time = lambda: real() + off_s()
    shifted = SimpleNamespace(now=lambda zone=None: datetime.now(zone) + timedelta(seconds=off_s()))
    for name in ("storage.transaction", "storage.objects.s3_client"):
        importlib.import_module(name).datetime = shifted  # type: ignore[attr-defined]


def _trouble(file: Path) -> tuple[str, float]:
    try:
        kind, _, until = file.read_text().partition(" ")
        return kind, float(until)
    except (OSError, ValueError):
        return "", 0.0


def _suffer(kind: str, until: float, file: Path, run: int) -> None:
    if kind == "hang":
        time.sleep(max(0.0, until - time.time()))
    elif kind == "slow":
        time.sleep(0.3)
    elif kind == "memory" and run % 3 == 0:
        raise MemoryError
    elif kind == "crash":
        file.unlink(missing_ok=True)  # one process dies of it
        os.kill(os.getpid(), signal.SIGSEGV)


if variant := os.environ.get("MASKMILL_FAULTS_BREAK"):
    VARIANTS[variant]()
if (images := os.environ.get("MASKMILL_FAULTS_SLICE")) and "api" in sys.orig_argv:
    submitting: Any = importlib.import_module("jobs.submitting.submit")
    submitting.slice_size = lambda *_arguments, **_options: int(images)
if any(each.startswith("worker-1@") for each in sys.orig_argv) and "MASKMILL_FAULTS_RELAYS" in os.environ:
    through_relays(json.loads(os.environ["MASKMILL_FAULTS_RELAYS"]))
if {"api", "broker", "celery"} & set(sys.orig_argv) and "MASKMILL_FAULTS_CLOCK" in os.environ:
    shift_clock(Path(os.environ["MASKMILL_FAULTS_CLOCK"]))
if "worker.tasks" in sys.orig_argv and "MASKMILL_FAULTS_ENGINE" in os.environ:
    pace = float(os.environ.get("MASKMILL_FAULTS_PACE_S", "0"))
    trouble_engines(Path(os.environ["MASKMILL_FAULTS_ENGINE"]), pace)
    if pace:
        write_late(pace)
