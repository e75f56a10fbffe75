"""What a person does with curl and unzip alone: submit, poll, download, test the archive."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.services.processes import missing
from tests.stack import FINISHED, Stack, picture


@pytest.fixture(autouse=True)
def _programs() -> None:
    for program in ("curl", "unzip"):
        if shutil.which(program) is None:
            missing(program, "the API by hand")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def headers(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return {name.lower(): value.strip() for name, found, value in (line.partition(":") for line in lines) if found}


def submit(stack: Stack, folder: Path, *files: Path) -> tuple[str, Any]:
    """Returns where the job is and the answer's body."""
    forms = [part for path in files for part in ("-F", f"files=@{path}")]
    said = folder / "submitted"
    body = run(
        "curl", "-sS", "-D", str(said), *forms, "-F", "model=tiny", "-F", "artifacts=overlay,mask", f"{stack.url}/jobs"
    )
    assert said.read_text().split()[1] == "202", body
    return headers(said)["location"], json.loads(body)


def poll(stack: Stack, location: str) -> Any:
    job: Any = None
    for _ in range(60):
        job = json.loads(run("curl", "-sS", "--fail", f"{stack.url}{location}?wait=5"))
        if job["status"] in FINISHED:
            return job
    raise AssertionError(f"{job}\n{stack.logs()}")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three pictures and a ZIP with two more."""
    paths = [tmp_path / f"street_{number}.jpg" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(number))
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("a/four.jpg", picture(3))
        archive.writestr("a/five.jpg", picture(4))
    return [*paths, tmp_path / "more.zip"]


def test_a_batch_comes_back_as_a_clean_archive(stack: Stack, files: list[Path], tmp_path: Path) -> None:
    location, submitted = submit(stack, tmp_path, *files)
    assert location == f"/jobs/{submitted['id']}"
    assert submitted["images"]["total"] == 5

    job = poll(stack, location)
    archive, said = tmp_path / "archive.zip", tmp_path / "headers"
    run("curl", "-sS", "--fail", "-D", str(said), "-o", str(archive), f"{stack.url}{location}/archive")

    assert job["status"] == "succeeded"
    assert "No errors detected" in run("unzip", "-t", str(archive))
    assert int(headers(said)["content-length"]) == archive.stat().st_size
    names = zipfile.ZipFile(archive).namelist()
    assert {"manifest.json", "metrics.csv", "metrics.json"} <= set(names)
    assert len([name for name in names if name.startswith("mask/")]) == 5


def test_a_download_that_broke_off_is_resumed(stack: Stack, files: list[Path], tmp_path: Path) -> None:
    location, _ = submit(stack, tmp_path, *files)
    poll(stack, location)
    whole, part = tmp_path / "whole.zip", tmp_path / "part.zip"
    run("curl", "-sS", "--fail", "-o", str(whole), f"{stack.url}{location}/archive")
    part.write_bytes(whole.read_bytes()[:1000])

    run("curl", "-sS", "--fail", "-C", "-", "-o", str(part), f"{stack.url}{location}/archive")

    assert part.read_bytes() == whole.read_bytes()


def test_a_corrupt_file_fails_alone(stack: Stack, files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(picture(9)[:200] + b"nonsense")
    location, _ = submit(stack, tmp_path, *files, broken)

    job = poll(stack, location)
    failed = json.loads(run("curl", "-sS", "--fail", f"{stack.url}{location}/images?status=failed"))["items"]

    assert job["status"] == "partial"
    assert job["images"]["succeeded"] == 5
    assert [(row["name"], row["error"]["code"]) for row in failed] == [("broken.jpg", "unreadable_image")]
