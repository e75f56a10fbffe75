"""A model from wherever it lies: a bundle, a run; and how long its inference takes."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from jobs.errors import ModelFailed
from segmentation.label_spaces import get_label_space
from storage.model_reference import ModelReference
from tests.tiny_models import GREEN, seal, tiny_bundle
from training.evaluate.latency import Patience, Turns, measure_in_turns, measure_latency, run_times
from training.evaluate.predictors import onnx_options
from training.evaluate.scoring import class_ids
from training.evaluate.subjects import Engine, EngineNotFound, SubjectNotFound, open_subject
from training.models import MODELS
from training.promote.registry import open_registry
from training.settings import TrainingSettings

CAMVID = get_label_space("camvid-11")
BUILDING = 1  # what the tiny model calls a green picture
PATIENCE = Patience(warm_up=1, runs=2, seconds=0.0)
PICTURE = np.full((48, 64, 3), GREEN, dtype=np.uint8)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder, torchscript=True)
    return folder


def predicted(subject, engine=None):
    predict = subject.predict if engine is None else subject.engines[engine].open(1)
    return class_ids(predict(subject.preprocessing.apply(PICTURE)), PICTURE.shape[:2], subject.space)


@pytest.mark.parametrize("by_name", [True, False])
def test_a_bundle_is_found_by_name_and_by_folder(models, by_name):
    subject = open_subject("tiny" if by_name else str(models / "tiny"), models=[models], runs=Path("nowhere"))
    assert (subject.name, subject.space, subject.history) == ("tiny", CAMVID, ())
    assert subject.size_bytes == (models / "tiny" / "model.onnx").stat().st_size
    assert subject.card is not None
    assert (predicted(subject) == BUILDING).all()


def test_every_engine_gives_the_same_classes(models):
    subject = open_subject("tiny", models=[models], runs=Path("nowhere"))
    assert {"onnxruntime", "openvino"} <= set(subject.engines)
    for engine in subject.engines:
        assert (predicted(subject, engine) == BUILDING).all()


def test_a_graph_that_kept_its_own_names_and_gives_half_floats_is_run_as_workers_do(tmp_path):
    """`maskmill models add` renames input and output, unless something inside is called so already."""
    bundle = tiny_bundle(tmp_path)
    model = onnx.load(bundle.folder / "model.onnx")
    model.graph.node[0].input[0] = model.graph.input[0].name = "pixels"
    model.graph.node.append(helper.make_node("Cast", ["logits"], ["answer"], to=TensorProto.FLOAT16))
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT16, ["batch", 11, "rows", "columns"])
    model.graph.output[0].CopyFrom(answer)
    onnx.save(model, bundle.folder / "model.onnx")
    seal(bundle.folder)
    subject = open_subject("tiny", models=[tmp_path], runs=tmp_path)
    for engine in subject.engines:
        assert (predicted(subject, engine) == BUILDING).all()


def test_a_quantised_file_can_be_scored_alone(tmp_path):
    bundle = tiny_bundle(tmp_path)
    (bundle.folder / "small.onnx").write_bytes((bundle.folder / "model.onnx").read_bytes())
    change_files(bundle, {"onnx": "model.onnx", "onnx_int8": "small.onnx"})
    subject = open_subject("tiny", models=[tmp_path], runs=tmp_path).on("openvino int8")
    assert list(subject.engines) == ["openvino int8"]
    assert subject.size_bytes == (bundle.folder / "small.onnx").stat().st_size
    assert (predicted(subject) == BUILDING).all()


def test_an_engine_that_cannot_run_a_model_is_told_with_those_that_can(models):
    with pytest.raises(EngineNotFound, match="'abacus' here, only in onnxruntime, openvino"):
        open_subject("tiny", models=[models], runs=Path("nowhere")).on("abacus")


def test_a_bundle_with_no_logits_is_refused(tmp_path):
    bundle = tiny_bundle(tmp_path)
    change_files(bundle, {"onnx_ids": "model.onnx"})
    with pytest.raises(ModelFailed, match="no file with logits; it has onnx_ids"):
        open_subject("tiny", models=[tmp_path], runs=tmp_path)


def test_a_bundle_without_onnx_runs_its_torchscript(tmp_path):
    bundle = tiny_bundle(tmp_path, torchscript=True)
    change_files(bundle, {"torchscript": bundle.card.files["torchscript"]})
    subject = open_subject("tiny", models=[tmp_path], runs=tmp_path)
    assert list(subject.engines) == ["torch"]
    assert (predicted(subject) == BUILDING).all()


def change_files(bundle, files, **changes):
    digests = {name: hashlib.sha256((bundle.folder / name).read_bytes()).hexdigest() for name in files.values()}
    (bundle.folder / "card.json").write_text(replace(bundle.card, files=files, sha256=digests, **changes).to_json())


def test_a_bundle_whose_file_was_changed_is_refused(tmp_path):
    bundle = tiny_bundle(tmp_path)
    (bundle.folder / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelFailed, match="not the one its card describes"):
        open_subject("tiny", models=[tmp_path], runs=tmp_path)


def test_a_name_that_nothing_has_is_told_with_what_there_is(models, tmp_path):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "checkpoint.pt").touch()
    with pytest.raises(SubjectNotFound, match=r"bundles: tiny; runs in .*runs: first"):
        open_subject("nobody", models=[models], runs=tmp_path / "runs")


RECIPE = """
name = "first"
long_side = 64
[model]
architecture = "deeplabv3plus"
options = { decoder_channels = 16 }
[[data]]
dataset = "scenes"
[validation]
dataset = "scenes"
split = "val"
[[stages]]
epochs = 2
batch_size = 2
crop = [32, 64]
scale = [0.5, 1.0]
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs with one in it, whose averaged weights choose buildings everywhere."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "first").mkdir()
    (folder / "first" / "recipe.toml").write_text(RECIPE)
    (folder / "first" / "facts.json").write_text('{"commit": "", "torch": ""}')
    (folder / "first" / "log.jsonl").write_text('{"epoch": 1, "train_loss": 2.0}\n')
    average = MODELS["deeplabv3plus"](11, decoder_channels=16).state_dict()
    average["segmentation_head.0.bias"][BUILDING] = 1000
    torch.save({"epoch": 1, "average": average}, folder / "first" / "checkpoint.pt")
    return folder


@pytest.mark.parametrize("by_name", [True, False])
def test_a_run_is_found_by_name_and_by_folder_and_runs_its_averaged_weights(runs, models, by_name):
    subject = open_subject("first" if by_name else str(runs / "first"), models=[models], runs=runs)
    assert (subject.name, subject.architecture, subject.space) == ("first", "deeplabv3plus", CAMVID)
    assert subject.history == [{"epoch": 1, "train_loss": 2.0}]
    assert list(subject.engines) == ["torch"]
    assert subject.size_bytes > 4 * subject.parameters > 0
    assert (predicted(subject) == BUILDING).all()


def test_a_bundle_wins_over_a_run_of_the_same_name(runs, tmp_path):
    tiny_bundle(tmp_path, name="first")
    assert open_subject("first", models=[tmp_path], runs=runs).card is not None


def test_a_version_of_the_registry_is_fetched_once(models, tmp_path, mlflow_uri, monkeypatch):
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", mlflow_uri)
    registry = open_registry(TrainingSettings())
    version = registry.register(models / "tiny", "street")
    registry.promote(ModelReference("street", version=version), "champion")
    for reference in (f"models:/street/{version}", "models:/street@champion"):
        subject = open_subject(reference, models=[], runs=tmp_path / "runs")
        assert (predicted(subject) == BUILDING).all()
    assert len(list((tmp_path / "runs").rglob("model.onnx"))) == 1


def test_inference_is_timed_alone_at_the_size_that_is_served(models):
    subject = open_subject("tiny", models=[models], runs=Path("nowhere"))
    threads = torch.get_num_threads()
    latency = measure_latency(subject, PICTURE, threads=1, patience=PATIENCE)
    assert (latency.engine, latency.threads, latency.device) == ("onnxruntime", 1, "cpu")
    assert latency.size == subject.preprocessing.input_size(*PICTURE.shape[:2])
    assert 0 < latency.median_ms <= latency.p90_ms
    assert torch.get_num_threads() == threads


def test_warm_up_runs_do_not_count_and_time_prolongs_a_measurement():
    calls = []

    def predict(image):
        calls.append(image)
        return image

    quick = Patience(warm_up=4, runs=2, most_runs=5, seconds=math.inf)
    assert len(run_times(predict, np.zeros((3, 2, 2), np.float32), quick)) == 5
    assert len(calls) == 4 + 5


def test_models_that_are_compared_take_turns_after_all_are_warm(models):
    ran = []

    def model(name):
        def predict(image):
            ran.append(name)
            return torch.zeros(1)

        return replace(
            open_subject("tiny", models=[models], runs=Path("nowhere")),
            name=name,
            engines={"engine": Engine(lambda threads: predict, 1)},
        )

    turns = Turns(warm_up=2, rounds=3, seconds=0)
    first, second = measure_in_turns([model("a"), model("b")], PICTURE, threads=1, turns=turns)
    warm, rounds = ran[:6], ran[6:]
    assert warm == ["a"] * 3 + ["b"] * 3
    assert rounds == ["a", "a", "b", "b"] * 3
    assert len(first.rounds_ms) == len(second.rounds_ms) == 3
    assert first.engine == "engine"


@pytest.mark.parametrize(("activation", "node"), [("softmax", {"axis": 1}), ("sigmoid", {})])
def test_probabilities_of_a_bundle_are_scored_as_such(models, tmp_path, activation, node):
    bundle = tiny_bundle(tmp_path)
    model = onnx.load(bundle.folder / "model.onnx")
    model.graph.node[-1].output[0] = "inner"
    model.graph.node.append(onnx.helper.make_node(activation.capitalize(), ["inner"], ["logits"], **node))
    onnx.save(model, bundle.folder / "model.onnx")
    change_files(bundle, {"onnx": "model.onnx"}, activation=activation)
    subject = open_subject(str(bundle.folder), models=[], runs=tmp_path)
    found = subject.predict(subject.preprocessing.apply(PICTURE)).numpy()
    logits = open_subject("tiny", models=[models], runs=tmp_path).predict(subject.preprocessing.apply(PICTURE)).numpy()
    if activation == "softmax":  # loses what all logits have in common
        found, logits = found - found.max(0), logits - logits.max(0)
    assert found == pytest.approx(logits, abs=1e-2)
    assert (predicted(subject) == BUILDING).all()


def test_who_is_timed_next_is_given_the_processors():
    """Threads of ONNX Runtime that wait by turning made engines that are timed after it twice as slow."""
    assert onnx_options(2).get_session_config_entry("session.intra_op.allow_spinning") == "0"
