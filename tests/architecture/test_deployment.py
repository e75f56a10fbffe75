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
OTHER_STORES = [ROOT / "deploy" / name for name in ("seaweedfs.compose.yml", "own-store.compose.yml")]
DOCKERFILES = [ROOT / "deploy" / place / "Dockerfile" for place in ("", "minio", "prometheus", "grafana")]
CHECKED_BY_THE_IMAGE = {"dashboard", "api", "worker-cpu", "worker-gpu", "flower"}
WITHOUT_CHECK = {"setup", "scheduler", "trainer"}  # one ends; two do one thing at a time and answer nobody meanwhile


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
    assert len(installs) == 6
    whole = {name for name, stage in installs.items() if "RUN rm -r scenes training &&" not in stage}
    assert whole == {"build-trainer"}


def every_service() -> dict[str, Any]:
    """Those of the other stores too."""
    more = [yaml.safe_load(path.read_text("utf-8"))["services"] for path in OTHER_STORES]
    return {**{name: each for file in more for name, each in file.items() if name != "minio"}, **SERVICES}


def test_a_store_runs_whatever_profiles_are_named() -> None:
    assert "profiles" not in SERVICES["minio"]
    for path in OTHER_STORES:
        assert yaml.safe_load(path.read_text("utf-8"))["services"]["minio"] == {"profiles": ["never"]}, path
    assert "COMPOSE_PROFILES" not in (ROOT / ".env.example").read_text("utf-8")


def test_whoever_serves_is_asked_whether_it_does() -> None:
    stages = {
        stage.split()[0]: stage
        for stage in re.split(r"^FROM \S+ AS ", DOCKERFILES[0].read_text(), flags=re.MULTILINE)[1:]
    }
    assert all("\nHEALTHCHECK --" in stages[name] for name in ("api", "worker", "flower", "dashboard"))
    unchecked = {
        name for name, each in every_service().items() if each.get("healthcheck", {}).get("test") in (None, ["NONE"])
    }
    assert unchecked == CHECKED_BY_THE_IMAGE | WITHOUT_CHECK


def test_logs_and_memory_have_limits() -> None:
    unlimited = [
        name
        for name, each in every_service().items()
        if "max-size" not in each["logging"]["options"] or not each["mem_limit"]
    ]
    assert unlimited == []


def test_no_password_is_an_argument_of_a_process() -> None:
    """Compose fills in ${…} before a container starts; $$… is left to its shell, where printf is no process."""
    for name, each in every_service().items():
        arguments = " ".join(map(str, (each.get("command"), each.get("entrypoint"), each.get("healthcheck"))))
        assert not re.search(r"(?<!\$)\$\{\w*(PASSWORD|KEY)", arguments), name
        assert not re.search(r"requirepass \W*\$\$|-a \W*\$\$|--auth", arguments), name


def test_images_of_others_are_pinned_to_a_release() -> None:
    theirs = [each["image"] for each in every_service().values() if not each["image"].startswith("maskmill-")]
    theirs += [
        line.split("=", 1)[1]
        for path in DOCKERFILES
        for line in path.read_text().splitlines()
        if line.startswith("ARG") and "_IMAGE=" in line
    ]
    assert len(theirs) == 8
    assert [image for image in theirs if not re.search(r":(v?\d+\.\d+|bookworm-\d{8})", image)] == []


def test_nothing_of_the_checkout_is_mounted() -> None:
    assert [
        name for name, each in every_service().items() if any(str(v).startswith(".") for v in each.get("volumes", ()))
    ] == []
