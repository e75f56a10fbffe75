"""The bundled models beside a simulated GPU: where they run, and what is said where they cannot."""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
import pytest

import data
import worker.engines.onnxruntime as engine
from jobs.errors import ModelFailed
from segmentation.variant import Variant
from storage.catalog import Bundle, Catalog
from storage.settings import StorageSettings
from tests.simulated_gpu import simulate_gpu
from tests.tiny_models import tiny_bundle
from worker.engines import EngineRules, find_device, has_gpu, open_engine, variants_here
from worker.runtime import _shown, engine_rules, open_models, tell_unfit
from worker.settings import WorkerSettings
from worker.tuning.race import blank_picture
from worker.watchdog import Watchdog

BUNDLED = Path(data.__file__).parent / "models"
NAMES = [card.name for card in Catalog([BUNDLED]).list()]
NO_PACKAGE = "torch: the bundle has no torchscript file; onnxruntime: the package onnxruntime-gpu is not installed"


class Gpu(Protocol):
    def __call__(self, *, package: bool = True, usable: bool = True) -> threading.Event: ...


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """Puts one into this machine."""
    return partial(simulate_gpu, monkeypatch, tmp_path)


@pytest.fixture
def bundles() -> Sequence[Bundle]:
    return Catalog([BUNDLED]).bundles()


def settings_of(tmp_path: Path, **given: object) -> WorkerSettings:
    return WorkerSettings.model_validate({"home": tmp_path / "home", "precision": "fp32", "streams": 1, **given})


def test_what_its_libraries_print_is_not_among_a_commands_json(
    gpu: Gpu, bundles: Sequence[Bundle], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu()
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("Failed to load libcublas.so\n"))
    monkeypatch.setattr(engine, "_find_cuda_libraries", functools.cache(engine._find_cuda_libraries.__wrapped__))
    assert find_device("auto", bundles) == "cuda:0"
    assert capsys.readouterr() == ("", "Failed to load libcublas.so\n")


@pytest.mark.parametrize("name", NAMES)
def test_every_bundled_model_runs_on_a_gpu_and_says_what_a_processor_says(name: str, gpu: Gpu) -> None:
    gpu()
    bundle = Catalog([BUNDLED]).get(name)
    on_gpu = open_engine(bundle, EngineRules(device="cuda:0", max_batch=8, streams=2, cpus=2))
    assert on_gpu.device == "onnxruntime cuda:0 fp32"
    picture = blank_picture(64, 96, batch=1)
    on_cpu = open_engine(bundle, EngineRules(cpus=2), engine="onnxruntime", precision="fp32")
    np.testing.assert_allclose(on_gpu.run(picture), on_cpu.run(picture), atol=1e-4)


def test_a_gpu_is_taken_by_itself_where_one_of_the_models_can_be_run_there(gpu: Gpu, bundles: Sequence[Bundle]) -> None:
    assert (has_gpu(), find_device("auto", bundles)) == (False, "cpu")
    gpu()
    assert (has_gpu(), find_device("auto", bundles), find_device("auto")) == (True, "cuda:0", "cuda:0")
    assert find_device("auto", bundles, engine="torch") == "cpu"


@pytest.mark.parametrize(("package", "usable"), [(False, True), (True, False)])
def test_a_gpu_that_runs_none_of_them_is_left_alone_and_that_is_said(
    gpu: Gpu, bundles: Sequence[Bundle], tmp_path: Path, caplog: pytest.LogCaptureFixture, package: bool, usable: bool
) -> None:
    gpu(package=package, usable=usable)
    settings = settings_of(tmp_path)
    rules = engine_rules(settings, bundles)
    assert (rules.device, rules.max_batch) == ("cpu", 1)
    with caplog.at_level(logging.WARNING):
        tell_unfit(settings, rules, bundles)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the GPU is not used (")
    assert "maskmill-server[worker-gpu]" in said


def test_a_session_that_fell_back_to_the_processor_is_no_gpu(gpu: Gpu, bundles: Sequence[Bundle]) -> None:
    gpu(usable=False)
    with pytest.raises(ModelFailed, match="onnxruntime-gpu finds no GPU, driver or CUDA library for cuda:0"):
        variants_here(bundles[0], "cuda:0")


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_device_that_was_named_and_runs_nothing_is_refused_at_the_start(
    gpu: Gpu, bundles: Sequence[Bundle], tmp_path: Path, device: str
) -> None:
    gpu(package=False)
    settings = settings_of(tmp_path, device=device)
    with pytest.raises(ModelFailed) as refused:
        tell_unfit(settings, engine_rules(settings, bundles), bundles)
    for name in NAMES:
        assert f"{name} ({NO_PACKAGE})" in str(refused.value)
    assert str(refused.value).startswith(f"no model can be run on {device} here")
    assert "maskmill-server[worker-gpu]" in str(refused.value)


def test_an_engine_that_reads_none_of_them_is_refused_unless_models_come_from_a_registry(
    bundles: Sequence[Bundle], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(tmp_path, engine="torch")
    with pytest.raises(ModelFailed, match=r"street-fast \(torch: the bundle has no torchscript file"):
        tell_unfit(settings, EngineRules(), bundles)
    following = settings_of(tmp_path, engine="torch", follow=["street"])
    tell_unfit(following, EngineRules(), bundles)
    assert "no model can be run on cpu here" in caplog.text


def test_each_model_that_cannot_be_run_is_named_where_others_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_bundle(tmp_path / "models", name="script", torchscript=True)
    tiny_bundle(tmp_path / "models", name="plain")
    settings = settings_of(tmp_path, engine="torch")
    tell_unfit(settings, EngineRules(), Catalog([tmp_path / "models"]).bundles())
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "plain cannot be run on cpu: torch: the bundle has no torchscript file"


@pytest.mark.parametrize("device", ["auto", "cuda:0"])
@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_model_that_the_gpu_cannot_run_runs_on_the_processor_and_that_is_said(
    gpu: Gpu, tmp_path: Path, caplog: pytest.LogCaptureFixture, device: str, engine: str
) -> None:
    gpu(package=False)
    folder = tmp_path / "models"
    tiny_bundle(folder, name="plain")
    tiny_bundle(folder, name="script", torchscript=True)  # may be run, but this is no real GPU: it cannot be loaded
    settings = settings_of(tmp_path, device=device, engine=engine)
    rules = engine_rules(settings, Catalog([folder]).bundles())
    assert (rules.device, rules.max_batch) == ("cuda:0", 8)
    tell_unfit(settings, rules, Catalog([folder]).bundles())
    assert "plain cannot be run on cuda:0: " in caplog.text
    storage = StorageSettings(home=tmp_path / "home", model_folders=[folder])
    models = open_models(settings, storage, rules, Watchdog(0))
    for name in ("plain", "script"):
        with models.use(name) as loaded:
            assert loaded.engine.device.split()[1:] == ["cpu", "fp32"]
            assert loaded.engine.max_batch == 1
            assert _shown(loaded, rules.device) == f"{loaded.variant} on cpu"
        assert f"{name} runs on cpu: " in caplog.text
    models.close()


@pytest.mark.parametrize(("capability", "precisions"), [((8, 0), ["bf16", "fp32"]), ((7, 5), ["fp32"])])
def test_torch_computes_in_bf16_where_the_gpu_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precisions: Sequence[str]
) -> None:
    simulate_gpu(monkeypatch, tmp_path, capability=capability)
    scored = [Variant(precision=each, engine="torch", file="model.pt", bytes=1, miou=0.5) for each in ("fp32", "bf16")]
    bundle = tiny_bundle(tmp_path / "models", torchscript=True, variants=tuple(scored))
    found = variants_here(bundle, "cuda:0")
    assert [precision for engine, precision in found if engine == "torch"] == precisions
    assert ("onnxruntime", "fp32") in found
    with pytest.raises(ModelFailed, match="torch finds no cuda:1"):
        variants_here(bundle, "cuda:1", engine="torch")


def test_a_model_on_the_gpu_says_so_and_shares_calls(gpu: Gpu, tmp_path: Path) -> None:
    gpu()
    settings = settings_of(tmp_path, engine="onnxruntime")
    storage = StorageSettings(home=tmp_path / "home", model_folders=[BUNDLED])
    rules = engine_rules(settings, Catalog([BUNDLED]).bundles())
    models = open_models(settings, storage, rules, Watchdog(0))
    with models.use("street-fast") as loaded:
        assert _shown(loaded, rules.device) == "onnxruntime fp32 on cuda:0"
        assert loaded.engine.max_batch == 8
    models.close()


def test_a_gpu_that_fails_while_it_serves_costs_no_image(
    gpu: Gpu, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = gpu()
    folder = tmp_path / "models"
    bundles = [tiny_bundle(folder, name=name) for name in ("first", "second")]
    settings = settings_of(tmp_path, engine="onnxruntime")
    storage = StorageSettings(home=tmp_path / "home", model_folders=[folder])
    models = open_models(settings, storage, engine_rules(settings, bundles), Watchdog(0))
    picture = blank_picture(64, 96, batch=1)[0]
    with models.use("first") as loaded:
        before = loaded.batcher.infer(picture).logits
        lost.set()
        for answer in [loaded.batcher.submit(picture) for _ in range(3)]:
            np.testing.assert_allclose(loaded.batcher.result(answer).logits, before, atol=1e-4)
        assert _shown(loaded, "cuda:0").endswith(" fp32 on cpu")
    with models.use("second") as loaded:
        assert loaded.engine.device.endswith(" cpu fp32")
    models.close()
    (said,) = [each.getMessage() for each in caplog.records if getattr(each, "action", "") == "device_lost"]
    assert said.startswith("first failed on onnxruntime cuda:0 fp32, which answers no more; from now on it runs on ")
    assert said.endswith(" cpu fp32: CUDA failure 719: unspecified launch failure")
