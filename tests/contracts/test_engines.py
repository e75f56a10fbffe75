"""What every runtime promises in every precision: the same logits for any size, batch and number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.errors import ModelFailed
from segmentation.variant import Variant
from storage.catalog import Bundle
from tests.tiny_models import CLASSES, STRIDE, tiny_bundle, weights
from worker.engines import ENGINES, Engine, EngineRules, find_device, load_in, open_engine, runtime_of, variants_here
from worker.engines.processor import precisions, processor_flags

RULES = EngineRules(device="cpu", max_batch=3, streams=2, cpus=2)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("models"), torchscript=True, int8=True)


def here(name: str, precision: str) -> bool:
    """bf16 needs instructions that few processors have, and in torch a GPU."""
    return precision != "bf16" or (name == "openvino" and "bf16" in precisions(processor_flags()))


CASES = [(name, each) for name, runtime in ENGINES.items() for each in runtime.files if here(name, each)]


@pytest.fixture(params=CASES, ids=str)
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Engine]:
    name, precision = request.param
    assert runtime_of(name).missing("cpu", precision) is None
    engine = load_in(name, bundle, replace(RULES, precision=precision))
    yield engine
    engine.close()


def images(count: int, height: int = 32, width: int = 64, *, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, 3, height, width)).astype(np.float32)


def expected(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """The convolution, written out."""
    kernel, bias = weights()
    count, _, height, width = batch.shape
    cells = batch.reshape(count, 3, height // STRIDE, STRIDE, width // STRIDE, STRIDE)
    logits = np.einsum("bihyxw,cihx->bcyw", cells.transpose(0, 1, 3, 2, 5, 4), kernel, optimize=True)
    return np.asarray(logits + bias[:, None, None], np.float32)


def tolerance(engine: Engine) -> float:
    return {"fp32": 1e-4, "bf16": 0.02, "int8": 0.03}[engine.device.split()[-1]]


@pytest.mark.parametrize(("height", "width"), [(32, 64), (64, 32), (96, 160), (4, 4)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_logits_are_those_of_the_network(engine: Engine, count: int, height: int, width: int):
    batch = images(count, height, width)
    logits = engine.run(batch)
    assert logits.dtype == np.float32
    assert logits.shape == (count, CLASSES, height // STRIDE, width // STRIDE)
    np.testing.assert_allclose(logits, expected(batch), atol=tolerance(engine))


def test_a_result_is_not_overwritten_by_the_next_call(engine: Engine):
    first = engine.run(images(1, seed=1))
    before = first.copy()
    engine.run(images(1, seed=2))
    np.testing.assert_array_equal(first, before)


def test_many_threads_with_many_sizes_get_their_own_results(engine: Engine):
    batches = [images(1 + n % 3, 32 * (1 + n % 2), 32 * (1 + n % 4), seed=n) for n in range(24)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(engine.run, batches))
    for batch, logits in zip(batches, results, strict=True):
        np.testing.assert_allclose(logits, expected(batch), atol=tolerance(engine))


def test_an_input_that_the_network_cannot_take_is_a_failure_of_ours(engine: Engine):
    with pytest.raises(ModelFailed):
        engine.run(np.zeros((1, 5, 32, 32), np.float32))
    assert engine.run(images(1)).shape[0] == 1


def test_it_says_where_it_runs(engine: Engine):
    assert "cpu" in engine.device
    assert engine.max_batch == 3


@pytest.mark.parametrize("name", ENGINES)
def test_a_damaged_file_is_a_failure_of_ours(name: str, tmp_path: Path):
    bundle = tiny_bundle(tmp_path, torchscript=True)
    bundle.file(ENGINES[name].files["fp32"]).write_bytes(b"not a model")
    with pytest.raises(ModelFailed):
        load_in(name, bundle, RULES)


def test_the_first_runtime_that_can_is_chosen(bundle: Bundle):
    assert open_engine(bundle, RULES).device.startswith("openvino")


@pytest.mark.parametrize("name", ENGINES)
def test_a_runtime_can_be_chosen_by_name(bundle: Bundle, name: str):
    assert open_engine(bundle, RULES, engine=name).device.startswith(name)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_precision_can_be_chosen_by_name(bundle: Bundle, name: str):
    for precision in ("fp32", "int8"):
        assert open_engine(bundle, RULES, engine=name, precision=precision).device == f"{name} cpu {precision}"


def vouched(bundle: Bundle, *precisions: str) -> Bundle:
    """Its card says that these are as accurate as fp32."""
    named = [Variant(precision=each, engine="openvino", file="model.onnx", bytes=1, miou=0.5) for each in precisions]
    return replace(bundle, card=replace(bundle.card, variants=tuple(named)))


def test_the_narrowest_precision_that_is_as_accurate_and_has_instructions_is_preferred(bundle: Bundle):
    sound = vouched(bundle, "fp32", "bf16", "int8")
    assert open_engine(sound, RULES).device == f"openvino cpu {precisions(processor_flags())[0]}"


def test_everything_that_can_run_a_bundle_is_named_the_preferred_first(bundle: Bundle):
    found = variants_here(vouched(bundle, "fp32", "int8"), "cpu", engine="onnxruntime")
    assert found[-1] == ("onnxruntime", "fp32")
    assert (("onnxruntime", "int8") in found) == ("int8" in precisions(processor_flags()))


def test_torch_runs_on_a_processor_where_nothing_else_can(bundle: Bundle):
    assert "torch" not in [name for name, _ in variants_here(bundle, "cpu")]
    assert variants_here(bundle, "cpu", engine="torch") == [("torch", "fp32")]


def test_a_bundle_whose_card_tells_no_accuracy_is_run_in_fp32(bundle: Bundle):
    assert open_engine(bundle, RULES).device == "openvino cpu fp32"


def test_a_bundle_without_a_quantised_file_is_run_as_it_is(tmp_path: Path):
    plain = tiny_bundle(tmp_path)
    assert not open_engine(plain, RULES, engine="onnxruntime").device.endswith("int8")
    with pytest.raises(ModelFailed, match="onnxruntime: the bundle has no onnx_int8 file"):
        open_engine(plain, RULES, engine="onnxruntime", precision="int8")


def test_a_precision_that_was_not_published_is_not_chosen_by_itself(bundle: Bundle):
    measured = Variant(precision="fp32", engine="onnxruntime", file="model.onnx", bytes=1, miou=0.5)
    careful = replace(bundle, card=replace(bundle.card, variants=(measured,)))
    assert open_engine(careful, RULES).device == "openvino cpu fp32"
    assert open_engine(careful, RULES, precision="int8").device == "openvino cpu int8"


def test_a_runtime_without_the_precision_says_so(bundle: Bundle):
    with pytest.raises(ModelFailed, match="torch: does not compute in int8"):
        open_engine(bundle, RULES, engine="torch", precision="int8")


def test_a_bundle_that_nothing_can_run_names_every_reason(tmp_path: Path):
    with pytest.raises(ModelFailed, match="torch: the bundle has no torchscript file"):
        open_engine(tiny_bundle(tmp_path), RULES, engine="torch")


def test_a_named_device_is_taken_as_it_is():
    assert [find_device(wish) for wish in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda:0", "cuda:1"]
