"""`make gpu` on its twin, a processor: the same code but for the device."""

from __future__ import annotations

import json

import pytest

import benchmarks.engines.gpu as gpu
import benchmarks.record
from tests.simulated_gpu import simulate_gpu
from tests.tiny_models import tiny_bundle


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks.record, "RESULTS", tmp_path / "results")
    tiny_bundle(tmp_path / "models")
    return tmp_path / "models"


def test_the_twin_sees_what_the_processor_sees_and_tells_its_speed(models, tmp_path):
    assert gpu.main(["--device", "cpu", "--models", str(models), "--rounds", "1", "--pictures", "1"]) == 0
    told = json.loads((tmp_path / "results" / "gpu-twin.json").read_text())["figures"]
    (found,) = told["models"].values()
    assert found["differing"] <= gpu.LARGEST_SHARE
    assert found["images_per_s"]["1"] > 0


def test_every_bundled_model_is_opened_on_a_gpu(models, tmp_path, monkeypatch):
    simulate_gpu(monkeypatch, tmp_path)
    monkeypatch.setattr(gpu, "BATCHES", (1,))
    assert gpu.main(["--rounds", "1", "--pictures", "1"]) == 0
    told = json.loads((tmp_path / "results" / "gpu.json").read_text())["figures"]
    assert told["device"] == "cuda:0"
    assert {"street-fast", "street-accurate", "street-free"} <= told["models"].keys()
    assert {found["engine"] for found in told["models"].values()} == {"onnxruntime cuda:0 fp32"}


def test_masks_that_differ_are_a_failure(models, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "differing_share", lambda *_: 0.01)
    assert gpu.main(["--device", "cpu", "--models", str(models), "--rounds", "1", "--pictures", "1"]) == 1
    assert "other masks" in capsys.readouterr().err


def test_without_a_gpu_nothing_is_measured_and_that_is_said(models, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu, "find_device", lambda wish: "cpu")
    assert gpu.main(["--models", str(models)]) == 2
    assert "no GPU here" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_model_that_the_device_cannot_run_is_a_failure_that_says_why(models, tmp_path, capsys):
    assert gpu.main(["--device", "cuda:7", "--models", str(models), "--pictures", "1"]) == 1
    told = json.loads((tmp_path / "results" / "gpu.json").read_text())["figures"]
    (found,) = told["models"].values()
    assert "cannot be run on cuda:7" in found["error"]
    assert found["error"] in capsys.readouterr().err
