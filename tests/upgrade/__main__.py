"""`make upgrade FROM=commit`: a job is worked by that commit's API and workers while the database is migrated, then by
ours; it has to end whole, and the archive of a job from before has to be the same bytes.

Needs the history of the repository. Ends with 1 when something is not as it has to be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from storage.settings import StorageSettings
from tests.services.postgres import postgres
from tests.services.processes import free_port
from tests.services.valkey import valkey
from tests.stack import IMPATIENT, ROOT, Stack, _settings, pictures_zip
from tests.tiny_models import tiny_bundle

IMAGES = 2500  # enough for both workers to have some
DONE_BEFORE = 20  # images, when the database is migrated


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make upgrade", description=__doc__)
    parser.add_argument("--from", dest="commit", required=True, help="the commit or tag to upgrade from")
    parser.add_argument("--full", action="store_true", help="on PostgreSQL instead of SQLite")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="maskmill-upgrade-") as name, ExitStack() as parts:
        folder = Path(name)
        environment = {"MASKMILL_BROKER_URL": parts.enter_context(valkey(folder / "broker")).url}
        if given.full:
            server = parts.enter_context(postgres(folder / "postgres"))
            environment["MASKMILL_STORAGE_DATABASE_URL"] = server.create("maskmill")
        return _upgraded(folder, environment, _code_of(given.commit, folder / "code"))


def _code_of(commit: str, folder: Path) -> Path:
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    return folder


def _upgraded(folder: Path, parts: dict[str, str], old: Path) -> int:
    before, after = _stack(folder, parts, old), _stack(folder, parts, ROOT)
    try:
        _migrate(before)
        _start(before, "worker-old")
        early = _ended(before, _submit(before, 20))
        archive = _archive(before, early)
        job_id = _submit(before, IMAGES)
        before.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= DONE_BEFORE)
        _migrate(after)  # beside those who work
        _say(f"migrated while {', '.join(before.processes)} were at work")
        _start(after, "worker-new")
        before.stop()
        job = after.finished(job_id, timeout_s=300)
        return _judged(after, job, same_archive=_archive(after, early) == archive)
    finally:
        before.stop()
        after.stop()


def _stack(folder: Path, parts: dict[str, str], code: Path) -> Stack:
    """On the same database, store and broker, with this code."""
    models = folder / "models"
    if not models.exists():
        tiny_bundle(models)
    environment = {
        **IMPATIENT,
        "MASKMILL_HOME": str(folder / "home"),
        "MASKMILL_STORAGE_MODEL_FOLDERS": json.dumps([str(models)]),
        "PYTHONPATH": str(code),
        **parts,
    }
    settings: StorageSettings = _settings(environment)
    return Stack(folder, environment, settings, port=free_port(), celery="celery")  # older code has no other


def _migrate(stack: Stack) -> None:
    command = [sys.executable, "-m", "storage.migrate"]
    subprocess.run(command, cwd=stack.folder, env={**os.environ, **stack.environment}, check=True)


def _start(stack: Stack, worker: str) -> None:
    where = ("--host", "127.0.0.1", "--port", str(stack.port))
    stack.start("api", "uvicorn", "--factory", "api.main:create_app", *where)  # as every commit has it
    stack.start_scheduler()
    stack.start_worker(worker)
    stack.wait_until_ready()


def _submit(stack: Stack, images: int) -> str:
    files = {"files": ("pictures.zip", pictures_zip(images, width=320, height=240), "application/zip")}
    with stack.http() as http:
        answer = http.post("/jobs", files=files, data={"model": "tiny"}).raise_for_status()
    return str(answer.json()["id"])


def _ended(stack: Stack, job_id: str) -> str:
    assert stack.finished(job_id)["status"] == "succeeded"
    return job_id


def _archive(stack: Stack, job_id: str) -> bytes:
    with stack.http() as http:
        return http.get(f"/jobs/{job_id}/archive").raise_for_status().content


def _judged(stack: Stack, job: Any, *, same_archive: bool) -> int:
    rows = stack.rows(job["id"])[1]
    tries = max(image.attempt for image in rows)
    ours = sum("worker-new" in (image.worker or "") for image in rows)
    _say(f"{job['status']}: {job['images']}, at most {tries} tries, {ours} of {IMAGES} by the new worker")
    _say(f"the earlier archive is {'the same' if same_archive else 'NOT THE SAME'}")
    return int(job["images"]["succeeded"] != IMAGES or not same_archive or not 0 < ours < IMAGES)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
