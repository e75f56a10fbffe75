"""`maskmill demo` for real, on two of the bundled samples."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)


def _demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKMILL_")}
    command = [sys.executable, "-m", "maskmill", "demo", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("demo")
    return _demo(folder, "--limit", "2"), folder


def test_it_ends_well_and_says_what_to_type_next(told: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ended, _ = told
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 of 2 pictures: mIoU" in ended.stdout
    assert "2/2 images" in ended.stdout
    assert "maskmill up" in ended.stdout


def test_results_lie_in_its_folder(told: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    out = told[1] / "demo"
    with (out / "metrics.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 2
    assert all(float(row["miou"]) > 0 for row in rows)
    for kind in ("overlay", "mask", "pictures", "truth"):
        assert len(list((out / kind).iterdir())) == 2
    assert zipfile.ZipFile(out / "results.zip").testzip() is None
    assert (out / "index.html").read_text(encoding="utf-8").count("<article ") == 2


def test_nothing_of_it_runs_afterwards(told: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    run = told[1] / ".maskmill" / "demo" / "run"
    assert not (run / "up.json").exists()
    assert not list(run.glob("*.pid.json"))


def test_it_can_be_run_again_and_speaks_json(told: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ended = _demo(told[1], "--limit", "1", "--json")
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert (summary["status"], summary["images"]["succeeded"]) == ("succeeded", 1)
    assert len(list((told[1] / "demo" / "mask").iterdir())) == 1
