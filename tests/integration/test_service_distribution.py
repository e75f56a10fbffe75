"""`maskmill-server` as it would be published: an sdist, a wheel of it, and the demo from that wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from maskmill.stack.backup import SAFE
from tests.architecture.source_files import ROOT, project_files
from tests.stack import NO_RACE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
OURS = ("api", "worker", "training", "storage", "broker", "jobs", "segmentation", "telemetry", "maskmill", "dashboard")
LEFT_OUT = ("tests", "benchmarks", "docs", "deploy")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked. Built from a copy of the sources: building leaves files beside them."""
    copy, built, unpacked = (tmp_path_factory.mktemp(name) for name in ("sources", "built", "sdist"))
    for path in project_files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    subprocess.run([sys.executable, "-c", SDIST, built], cwd=copy, check=True, capture_output=True, timeout=300)
    (packed,) = built.iterdir()
    shutil.unpack_archive(packed, unpacked, **SAFE)
    (folder,) = unpacked.iterdir()
    return folder


@pytest.fixture(scope="module")
def installed(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sdist, unpacked where nothing of the checkout is."""
    built, target = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "-w", built, sdist], check=True, capture_output=True, timeout=300)
    (wheel,) = built.iterdir()
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_the_wheel_of_the_sdist_holds_every_file_of_the_packages_and_no_test(installed: Path) -> None:
    there = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    wanted = {str(path) for path in project_files() if path.parts[0] in (*OURS, "data", "migrations", "scenes")}
    missing = {path for path in wanted - there if not path.endswith(".md")}
    assert missing == set()
    assert {path.name for path in installed.iterdir()} & set(LEFT_OUT) == set()


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKMILL_")}
    environment |= {**NO_RACE, "PYTHONPATH": str(installed)}  # before any other installation of it
    said = subprocess.run(
        [sys.executable, "-c", "import maskmill, api, worker; print(maskmill.__file__, api.__file__, worker.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(path.startswith(str(installed)) for path in said.stdout.split())
    command = [sys.executable, "-m", "maskmill", "demo", "--limit", "1"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(list((tmp_path / "demo" / "mask").iterdir())) == 1
    assert "up --open" in ended.stdout
