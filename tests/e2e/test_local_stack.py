"""`maskmill up` for real: a job goes through it, parts are killed and come back, and nothing is left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import onnx
import psutil
import pytest
from PIL import Image

from maskmill import Maskmill
from maskmill.errors import APIError
from maskmill.stack.home import StackHome
from tests.services.processes import wait_for
from tests.stack import NO_RACE
from tests.tiny_models import onnx_model

pytestmark = pytest.mark.timeout(600)

START_S = 120.0
SHORT_LEASES = {"MASKMILL_WORKER_LEASE_S": "5", "MASKMILL_WORKER_HEARTBEAT_S": "1", "MASKMILL_WORKER_SILENCE_S": "3"}
STOP_S = 60.0


@dataclass(frozen=True)
class Up:
    process: subprocess.Popen[str]
    folder: Path
    url: str
    flower: str | None

    @property
    def home(self) -> StackHome:
        return StackHome(self.folder / ".maskmill")

    def next_notice(self, event: str, part: str) -> None:
        while True:
            said = self._line()
            if (said["event"], said.get("part")) == (event, part):
                return

    def _line(self) -> dict[str, Any]:
        return _read(self.process)


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"maskmill up ended with {process.wait()}"
    told: dict[str, Any] = json.loads(line)
    return told


def _maskmill(*words: str, folder: Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "maskmill", *words]
    return subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=timeout_s, check=False
    )


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MASKMILL_")}
    return {**ours, **NO_RACE, **SHORT_LEASES, "COLUMNS": "160"}


@contextmanager
def _up(folder: Path, *words: str) -> Iterator[Up]:
    command = [sys.executable, "-m", "maskmill", "up", "--port", "0", "--no-dashboard", "--json", *words]
    with subprocess.Popen(command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            while (said := _read(process))["event"] != "ready":
                assert said["event"] in ("started", "leftover"), said
            yield Up(process, folder, said["url"], said["flower"])
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with _up(tmp_path_factory.mktemp("up")) as up:
        yield up


@pytest.fixture
def client(up: Up) -> Iterator[Maskmill]:
    with Maskmill(up.url) as client:
        yield client


def _jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64), (shade, 100, 100)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, one of them in an archive."""
    for number in (1, 2):
        (tmp_path / f"picture_{number}.jpg").write_bytes(_jpeg(number))
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as bundle:
        bundle.writestr("picture_3.jpg", _jpeg(3))
    return tmp_path


def test_a_batch_of_files_and_archives_comes_back_as_masks(client: Maskmill, pictures: Path, tmp_path: Path) -> None:
    job = client.submit(pictures, artifacts=["mask", "overlay"])
    assert [image.status for image in job.images()] == ["succeeded"] * 3
    out = job.download(tmp_path / "out")
    assert sorted(path.name for path in (out / "mask").iterdir()) == [f"picture_{number}.png" for number in (1, 2, 3)]
    assert len((out / "metrics.csv").read_text().splitlines()) == 4
    with Image.open(out / "mask" / "picture_3.png") as mask:
        assert mask.size == (96, 64)


def test_flower_shows_the_queues_the_workers_and_the_jobs(up: Up, client: Maskmill, pictures: Path) -> None:
    with httpx.Client(base_url=up.flower or "", timeout=20) as pages:
        wait_for(lambda: bool(_workers(pages)), what="Flower to know the worker")
        (worker,) = _workers(pages)
        queues = pages.get(f"/worker/{worker}").raise_for_status().text
        assert all(queue in queues for queue in ("interactive", "bulk", "upkeep"))
        done: list[str] = []

        def names_a_job() -> bool:
            """Workers tell of tasks once Flower has asked them to, which may be after the first job."""
            done.append(client.submit(pictures).wait().id)
            shown = _tasks(pages)
            return any(f"{job_id} images 0 to" in shown for job_id in done)

        wait_for(names_a_job, what="Flower to name a job", pause_s=1)


def _workers(pages: httpx.Client) -> list[str]:
    try:
        found = pages.get("/workers?json=1&refresh=1").raise_for_status().json()["data"]
    except httpx.HTTPError:
        return []  # it starts after everything else
    return [str(each["hostname"]) for each in found if str(each["hostname"]).startswith("worker-")]


def _tasks(pages: httpx.Client) -> str:
    asked = {"draw": 1, "start": 0, "length": 50, "search[value]": "", "order[0][column]": 0, "order[0][dir]": "asc"}
    return pages.post("/tasks/datatable", data={**asked, "columns[0][data]": "name"}).text


def test_a_corrupt_file_fails_alone(client: Maskmill, pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"this is no picture")
    job = client.submit(pictures).wait()
    assert job.status == "partial"
    failed = {image.name: image.error for image in job.results() if image.error}
    assert list(failed) == ["broken.jpg"]
    assert failed["broken.jpg"] is not None
    assert failed["broken.jpg"]["code"] == "unreadable_image"
    assert "broken.jpg" in (job.download(tmp_path / "out") / "errors.csv").read_text()


def test_one_picture_at_once(client: Maskmill, pictures: Path) -> None:
    assert client.predict(pictures / "picture_1.jpg").startswith(b"\x89PNG")


def test_the_command_line_finds_the_stack_of_its_folder(up: Up, pictures: Path) -> None:
    out = pictures / "results"
    ended = _maskmill("submit", str(pictures / "picture_1.jpg"), "--download", str(out), folder=up.folder)
    assert ended.returncode == 0, ended.stderr
    assert (out / "overlay" / "picture_1.jpg").is_file()
    listed = json.loads(_maskmill("jobs", "--json", "--limit", "1", folder=up.folder).stdout)
    assert listed["items"][0]["status"] == "succeeded"


def test_a_model_that_is_added_while_it_runs_is_served_without_a_restart(
    up: Up, client: Maskmill, pictures: Path
) -> None:
    onnx.save(onnx_model(), pictures / "own.onnx")
    words = ("--name", "own", "--label-space", "camvid-11", "--long-side", "64", "--json")
    added = _maskmill("models", "add", str(pictures / "own.onnx"), *words, folder=up.folder)
    assert added.returncode == 0, added.stderr
    assert "own" in {model["name"] for model in client.models()}
    job = client.submit(pictures / "picture_1.jpg", model="own").wait()
    assert (job.status, job.state["model"]) == ("succeeded", "own")
    assert _maskmill("models", "remove", "own", folder=up.folder).returncode == 0
    with pytest.raises(APIError, match="there is no model 'own'"):
        client.submit(pictures / "picture_1.jpg", model="own")
    with pytest.raises(APIError, match="maskmill models pull segformer-b0-cityscapes"):
        client.submit(pictures / "picture_1.jpg", model="segformer-b0-cityscapes")


def test_the_doctor_sees_all_parts(up: Up) -> None:
    told = json.loads(_maskmill("doctor", "--json", folder=up.folder).stdout)
    running = {finding["name"]: finding["state"] for finding in told["findings"] if finding["group"] == "Running"}
    assert running == dict.fromkeys(
        ("local stack", "api", "broker", "flower", "scheduler", "webhooks", "worker-1", "ready"), "good"
    )


def test_a_second_stack_in_the_same_home_is_refused(up: Up) -> None:
    ended = _maskmill("up", "--port", "0", folder=up.folder)
    assert ended.returncode == 1
    assert f"a local stack is running in {up.home.root}: {up.url}" in ended.stderr


def test_the_password_of_the_broker_is_for_its_owner_alone(up: Up) -> None:
    password = json.loads(up.home.broker_file.read_text())["url"].split(":")[2].split("@")[0]
    assert up.home.broker_file.stat().st_mode & 0o077 == 0
    commands = [" ".join(process.cmdline()) for process in psutil.Process(up.process.pid).children(recursive=True)]
    assert not any(password in command for command in commands)


def test_everything_listens_on_loopback_alone(up: Up) -> None:
    family = [psutil.Process(up.process.pid), *psutil.Process(up.process.pid).children(recursive=True)]
    listening = [each.laddr.ip for part in family for each in part.net_connections() if each.status == "LISTEN"]
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize("part", ["worker-1", "broker", "api"])
def test_a_part_that_is_killed_comes_back_and_jobs_go_on(up: Up, client: Maskmill, pictures: Path, part: str) -> None:
    up.home.parts()[part].kill()
    up.next_notice("again", part)
    wait_for(lambda: _ready(client), what="/ready", timeout_s=START_S, pause_s=0.2)
    assert client.submit(pictures / "picture_1.jpg").wait(timeout=90).status == "succeeded"


def _ready(client: Maskmill) -> bool:
    from maskmill.errors import ServerUnreachable

    try:
        return client.ready()
    except ServerUnreachable:
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_plain_kill_stops_everything_in_order(tmp_path: Path) -> None:
    with _up(tmp_path, "--workers", "2", "--flower") as up:
        family = psutil.Process(up.process.pid).children(recursive=True)
        assert set(up.home.parts()) == {"api", "broker", "flower", "scheduler", "webhooks", "worker-1", "worker-2"}
        up.process.send_signal(signal.SIGTERM)
        assert up.process.stdout is not None
        said = [json.loads(line) for line in up.process.stdout]
        assert up.process.wait(STOP_S) == 0
    stopped = [line["part"] for line in said if line["event"] == "stopped"]
    assert (stopped[0], stopped[-1]) == ("api", "broker")
    assert [line for line in said if line["event"] == "killed"] == []
    assert said[-1] == {"event": "ended"}
    assert not any(_lives(process) for process in family)
    assert not up.home.up_file.exists()
    assert not up.home.broker_file.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_outlives_a_stack_that_is_killed_and_its_jobs_survive(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(_jpeg(1))
    with _up(tmp_path, "--no-flower") as up:
        with Maskmill(up.url) as client:
            job_id = client.submit(tmp_path / "picture.jpg").id
        family = psutil.Process(up.process.pid).children(recursive=True)
        up.process.kill()
        up.process.wait()
    wait_for(lambda: not any(map(_lives, family)), what="the end of all parts")
    with _up(tmp_path, "--no-flower") as again, Maskmill(again.url) as client:
        assert client.job(job_id).wait(timeout=90).status == "succeeded"
        assert _maskmill("down", folder=tmp_path).returncode == 0
        assert again.process.wait(STOP_S) == 0
