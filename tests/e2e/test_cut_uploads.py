"""Direct uploads that are cut: by a service that is killed, and by a person who presses Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maskmill import Maskmill
from maskmill.cli.exits import INTERRUPTED
from storage.objects import open_objects
from tests.factories import picture
from tests.services.processes import wait_for
from tests.stack import Stack

FILES = 1_100  # more than go with their job
BALLAST = 70 * 2**20  # so that an archive is larger than what goes with its job


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "maskmill" / "uploads"


def uploads_of(stack: Stack) -> list[str]:
    return list(open_objects(stack.storage).keys("default/uploads/"))


def test_an_archive_goes_on_where_the_service_was_killed_and_is_stored_once(stack: Stack, tmp_path: Path) -> None:
    before = set(uploads_of(stack))
    path, killed = tmp_path / "all.zip", threading.Event()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ballast.bin", os.urandom(BALLAST))
        for name in ("a", "b"):
            archive.writestr(f"{name}.jpg", picture())

    def cut(sent: int, total: int) -> None:
        if not killed.is_set() and sent > total // 2:
            stack.kill("api")
            killed.set()

    with Maskmill(stack.url, patience=60) as client, ThreadPoolExecutor(1) as threads:
        submitted = threads.submit(client.submit, path, on_sent=cut)
        assert killed.wait(60)
        stack.start_api()  # by this thread: what a thread starts ends with it
        job = submitted.result(120).wait(timeout=60)
    assert (job.status, job.total) == ("succeeded", 2)
    (stored,) = set(uploads_of(stack)) - before
    assert open_objects(stack.storage).info(stored).size == path.stat().st_size
    assert list((stack.storage.home / "objects" / "partial").iterdir()) == []


def test_after_ctrl_c_the_same_command_goes_on(stack: Stack, tmp_path: Path, cache: Path) -> None:
    before = set(uploads_of(stack))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(FILES):
        (folder / f"{index:04d}.jpg").write_bytes(picture())
    command = [sys.executable, "-m", "maskmill", "submit", str(folder), "--json", "--server", stack.url]
    heard = ["env", "--default-signal=INT", *command]  # what runs in the background of a shell may be deaf to it
    with subprocess.Popen(heard, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        wait_for(lambda: _noted(cache) > 50, what="a part of the files to be sent", timeout_s=60)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=60)
    assert first.returncode == INTERRUPTED
    assert b"goes on with it" in said
    arrived = len(set(uploads_of(stack)) - before)
    assert 50 < arrived < FILES
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    job = json.loads(done.stdout)
    assert job["images"]["total"] == FILES
    assert len(set(uploads_of(stack)) - before) == FILES
    assert list(cache.iterdir()) == []
    with stack.http() as http:
        http.post(f"/jobs/{job['id']}/cancel").raise_for_status()


def _noted(cache: Path) -> int:
    """Files of which the submission knows that they have arrived."""
    return sum(each.read_text().count("stored") for each in cache.glob("*.jsonl"))
