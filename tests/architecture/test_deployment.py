"""What is deployed keeps its secrets: none has a default, and nothing listens beyond the machine."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.source_files import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
SECRET = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)(:?[-?][^}]*)?\}")
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_no_secret_has_a_default() -> None:
    uses = SECRET.findall(COMPOSE)
    assert uses
    assert [name for name, rule in uses if not rule.startswith(":?")] == []


def test_the_example_names_every_secret_and_gives_none() -> None:
    assert {name for name, _ in SECRET.findall(COMPOSE)} == {n for n, value in example().items() if value == "<random>"}


def test_services_are_published_on_loopback_alone() -> None:
    ports = [(name, str(port)) for name, service in SERVICES.items() for port in service.get("ports", [])]
    assert ports
    assert [(name, port) for name, port in ports if not port.startswith("127.0.0.1:")] == []


def test_make_env_fills_every_secret_and_keeps_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "env"
    command = [sys.executable, str(ROOT / "deploy" / "make_env.py"), str(ROOT / ".env.example"), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    written = dict(line.split("=", 1) for line in target.read_text().splitlines() if "=" in line and line[0] != "#")

    secrets = [value for name, value in written.items() if example()[name] == "<random>"]
    assert len(set(secrets)) == len(secrets)
    assert all(len(value) >= 32 for value in secrets)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_no_image_but_the_trainers_holds_the_renderer_or_training() -> None:
    stages = re.split(r"^FROM \w+ AS ", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    installs = {stage.split()[0]: stage for stage in stages if "pip install --no-deps ." in stage}
    assert len(installs) == 5
    whole = {name for name, stage in installs.items() if "RUN rm -r scenes training &&" not in stage}
    assert whole == {"build-trainer"}
