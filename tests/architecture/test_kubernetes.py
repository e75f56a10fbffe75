"""What a cluster is told, as far as it can be checked without one: names that must fit, and nobody with more rights."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.app import QUEUES, TRAINING
from tests.architecture.source_files import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
NAME = "app.kubernetes.io/name"
METRIC = re.compile(r"maskmill_[a-z_]+")


@cache
def _documents() -> tuple[dict[str, Any], ...]:
    files = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return tuple(each for name in files for each in yaml.safe_load_all((FOLDER / name).read_text()))


def _of(kind: str) -> list[dict[str, Any]]:
    return [each for each in _documents() if each["kind"] == kind]


def _pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for each in (*_of("Deployment"), *_of("Job")):
        yield each["metadata"]["name"], each["spec"]["template"]


def _containers() -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, container) for name, pod in _pods() for container in pod["spec"]["containers"])


def test_every_manifest_is_applied() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def test_what_is_chosen_by_a_label_is_there() -> None:
    for each in _of("Deployment"):
        assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]
    there = {pod["metadata"]["labels"][NAME] for _, pod in _pods()}
    chosen = {each["spec"]["selector"][NAME] for each in _of("Service")}
    chosen |= {each["spec"]["selector"]["matchLabels"][NAME] for each in _of("PodDisruptionBudget")}
    chosen |= {each["spec"]["scaleTargetRef"]["name"] for each in _of("ScaledObject")}
    assert chosen <= there
    assert {each["metadata"]["name"] for each in _of("Deployment")} == {"api", "worker", "scheduler", "webhooks"}


def test_all_queues_have_somebody_who_reads_them() -> None:
    """Trainings are run where somebody wants them."""
    read = set()
    for _, container in _containers():
        command = container.get("command", [])
        if "-Q" in command:
            read |= set(command[command.index("-Q") + 1].split(","))
    assert read == set(QUEUES) - {TRAINING}


def test_the_scheduler_is_one_and_the_number_of_workers_is_left_to_the_backlog() -> None:
    deployments = {each["metadata"]["name"]: each["spec"] for each in _of("Deployment")}
    assert deployments["scheduler"]["replicas"] == 1
    assert deployments["scheduler"]["strategy"] == {"type": "Recreate"}
    assert "replicas" not in deployments["worker"]
    (scaled,) = _of("ScaledObject")
    assert scaled["spec"]["minReplicaCount"] >= 1


def test_what_scaling_asks_for_is_told() -> None:
    (scaled,) = _of("ScaledObject")
    asked = {name for each in scaled["spec"]["triggers"] for name in METRIC.findall(each["metadata"]["query"])}
    told = set(METRIC.findall((ROOT / "docs" / "watching.md").read_text()))
    assert asked
    assert asked <= told


@pytest.mark.parametrize("name", ["api", "worker", "scheduler", "webhooks", "setup"])
def test_nobody_has_more_rights_than_needed_or_memory_without_end(name: str) -> None:
    for of, pod in _pods():
        if of == name:
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
            assert pod["spec"]["automountServiceAccountToken"] is False
    for of, container in _containers():
        if of == name:
            rights = container["securityContext"]
            assert not rights["allowPrivilegeEscalation"]
            assert rights["readOnlyRootFilesystem"]
            assert container["resources"]["limits"]["memory"]


def test_settings_are_known() -> None:
    literals = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["configMapGenerator"][0]["literals"]
    documented = (ROOT / "docs" / "configuration.md").read_text()
    assert [each for each in literals if each.partition("=")[0] not in documented] == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_it_together(tmp_path: Path) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert {each["metadata"].get("namespace", "maskmill") for each in yaml.safe_load_all(done.stdout)} == {"maskmill"}
