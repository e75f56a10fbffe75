"""What the doctor says of a simulated GPU: whether the bundled models run on it, and what is to be installed."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version as real_version
from pathlib import Path
from typing import Protocol

import pytest

import data
import maskmill.doctor.installed as installed
from maskmill.doctor.findings import Finding
from storage.catalog import Catalog
from tests.simulated_gpu import simulate_gpu
from tests.tiny_models import tiny_bundle

NAMES = [card.name for card in Catalog([Path(data.__file__).parent / "models"]).list()]
MEND = "maskmill-server[worker-gpu]"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))


class Gpu(Protocol):
    def __call__(self, *, package: bool = True, usable: bool = True) -> object: ...


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """Puts one into this machine."""
    return partial(simulate_gpu, monkeypatch, tmp_path)


def models(home: Path = Path("home")) -> dict[str, Finding]:
    return {each.name: each for each in installed.examine_models(home)}


def test_models_that_run_on_the_gpu_are_well(gpu: Gpu) -> None:
    gpu()
    found = models()
    assert {found[name].state for name in NAMES} == {"good"}
    assert "on the GPU" not in found


def test_a_gpu_that_runs_no_model_is_said_to_be_unused_with_what_to_install(gpu: Gpu) -> None:
    gpu(package=False)
    found = models()
    assert {found[name].state for name in NAMES} == {"good"}
    assert found["on the GPU"].state == "absent"
    assert found["on the GPU"].said.endswith("onnxruntime: the package onnxruntime-gpu is not installed")
    assert MEND in found["on the GPU"].mend


@pytest.mark.parametrize("usable", [True, False])
def test_a_named_gpu_that_runs_no_model_is_bad_for_each_of_them(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    gpu(package=False, usable=usable)
    monkeypatch.setenv("MASKMILL_WORKER_DEVICE", "cuda:0")
    found = models()
    for name in NAMES:
        assert found[name].state == "bad"
        assert "cannot be run on cuda:0: torch: the bundle has no torchscript file; onnxruntime: " in found[name].said
        assert found[name].said.endswith("; a worker does not start")
        assert MEND in found[name].mend


def test_an_engine_that_was_named_and_reads_no_model_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_WORKER_ENGINE", "torch")
    found = models()
    assert {found[name].state for name in NAMES} == {"bad"}
    assert "cannot be run on cpu: torch: the bundle has no torchscript file" in found[NAMES[0]].said
    assert "MASKMILL_WORKER_ENGINE" in found[NAMES[0]].mend


def test_a_model_that_the_gpu_cannot_run_where_it_runs_others(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpu(package=False)
    tiny_bundle(tmp_path / "home" / "models", name="script", torchscript=True)
    monkeypatch.setenv("MASKMILL_WORKER_DEVICE", "cuda")
    found = models()
    assert (found["script"].state, found["street-fast"].state) == ("good", "absent")
    assert found["street-fast"].said.endswith("; runs on the processor")


def test_two_packages_that_overwrite_each_other_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        installed, "version", lambda name: "1.31.1" if name == "onnxruntime-gpu" else real_version(name)
    )
    found = {each.name: each for each in installed.examine_parts()}["onnxruntime"]
    assert found.state == "absent"
    assert "onnxruntime-gpu 1.31.1: each overwrites the other" in found.said
    assert "uninstall onnxruntime onnxruntime-gpu; install one" in found.mend


def test_models_of_the_home_that_was_named_are_looked_at(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "elsewhere" / "models", name="own")
    assert models(tmp_path / "elsewhere")["own"].state == "good"
    assert "own" not in models()
