"""A graph that was exported for one picture at a time is served so, however many come at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from storage.settings import StorageSettings
from tests.tiny_models import single_bundle, tiny_bundle
from worker.engines import EngineRules
from worker.runtime import open_models, pace_of
from worker.settings import WorkerSettings
from worker.watchdog import Watchdog


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_pictures_that_come_together_are_run_one_by_one(engine: str, tmp_path: Path) -> None:
    single_bundle(tmp_path, name="single")
    tiny_bundle(tmp_path)
    settings = WorkerSettings(home=tmp_path / "home", engine=engine, precision="fp32", batch_wait_ms=50)
    storage = StorageSettings(home=tmp_path / "home", model_folders=[tmp_path])
    models = open_models(settings, storage, EngineRules(max_batch=4, streams=1, cpus=2), Watchdog(0))
    tensors = np.random.default_rng(1).normal(size=(4, 3, 32, 64)).astype(np.float32)
    with models.use("single") as single, models.use("tiny") as free, ThreadPoolExecutor(4) as threads:
        assert (single.engine.max_batch, free.engine.max_batch) == (1, 4)
        found = list(threads.map(lambda tensor: single.batcher.infer(tensor).logits, tensors))
        np.testing.assert_allclose(found, free.engine.run(tensors), atol=1e-5)
    models.close()


@pytest.mark.parametrize(("batch", "expected"), [(1, True), (8, False)])
def test_short_pictures_follow_one_another_where_none_waits_for_others(batch: int, expected: bool):
    rules = EngineRules(max_batch=batch, streams=1, cpus=2)
    assert (pace_of(rules) is not None) is expected
