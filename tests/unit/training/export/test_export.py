"""From a run to a bundle: every file agrees with PyTorch, and what is not worth publishing is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from segmentation.model_card import ModelCard
from segmentation.variant import Variant
from storage.catalog import Catalog, NameTaken
from tests.tiny_runs import tiny_training
from training.datasets.pairs import InSpace
from training.evaluate.held_out import overlap
from training.evaluate.predictors import torch_predictor, torchscript_predictor
from training.evaluate.scoring import class_ids, onnx_predictor
from training.evaluate.subjects import open_subject
from training.export.card import FinishedRun
from training.export.export import Release, export_run
from training.export.files import ExportError, export_onnx, export_torchscript
from training.export.quantize import PLANS, QuantizationFailed, quantise
from training.export.variants import refusal, unwatched
from training.runs import Run, RunFacts

pytestmark = pytest.mark.slow

FLOAT = Variant(precision="fp32", engine="onnxruntime", file="model.onnx", bytes=4000, median_ms=10.0, miou=0.6)
INT8 = replace(FLOAT, precision="int8", file="model.int8.onnx", bytes=2000, median_ms=5.0, miou=0.598)


@pytest.fixture(scope="module")
def roots(rendered):
    return {"scenes": rendered}


@pytest.fixture(scope="module")
def finished(roots, tmp_path_factory):
    """The folder of a finished run."""
    return tiny_training(tmp_path_factory.mktemp("runs"), roots, ["stages[0].epochs=1"])


@pytest.fixture(scope="module")
def tensor(finished, roots):
    """A picture that the run did not see, as the network sees it."""
    read = FinishedRun.read(finished, roots)
    return read.run.preprocessing.apply(InSpace(read.validation, read.run.space)[0][0])


@pytest.fixture(scope="module")
def exported(finished, roots, tmp_path_factory):
    """With everything that can be asked for; a quantised file may lose as much as it likes."""
    release = Release(name="tiny-model", int8=True, torchscript=True, ids=True, tolerance=1.0)
    folder = tmp_path_factory.mktemp("models")
    return export_run(finished, release, roots=roots, models=Catalog([folder])), Catalog([folder]).get("tiny-model")


def test_the_card_tells_how_the_model_was_made(finished, exported):
    card = ModelCard.from_json((exported[1].folder / "card.json").read_bytes())
    assert card == exported[0].card
    assert {"onnx", "onnx_ids", "torchscript"} <= set(card.files)
    assert "trained for 1 of 1 epoch, from scratch" in card.description
    assert "5 pictures of generated street scenes" in card.dataset
    assert 0 <= card.scores["miou"] <= 1
    assert card.output_stride == 4
    assert card.commit == RunFacts.read(finished).commit


def test_confidence_is_fitted_to_validation_pictures_that_were_not_learnt_from_and_told(finished, roots, exported):
    card, pictures = exported[0].card, FinishedRun.read(finished, roots).validation
    assert card.temperature > 0
    assert card.dataset.endswith("Its confidence was fitted to them: elsewhere the calibration error is larger.")
    found = overlap(open_subject(str(exported[1].folder), models=(), runs=Path()), pictures, split="val")
    assert found.learnt == 0
    assert found.warning.startswith("the confidence of tiny-model was fitted to these pictures: its calibration error")


def test_offsets_of_classes_are_fitted_when_asked_for_and_told(finished, roots, tmp_path):
    release = Release(name="balanced", balance=True)
    card = export_run(finished, release, roots=roots, models=Catalog([tmp_path])).card
    assert "Fitted to the training pictures, added to the logits: " in card.description


def test_the_card_tells_what_each_variant_costs_and_scores(exported):
    variants = {(each.precision, each.engine): each for each in exported[0].card.variants}
    assert {("fp32", "onnxruntime"), ("fp32", "openvino")} <= set(variants)
    for (precision, _), each in variants.items():
        assert each.miou is not None
        assert each.bytes == (exported[1].folder / each.file).stat().st_size
        assert (each.median_ms is None) == ("not measured" in each.note), precision
    assert variants["fp32", "onnxruntime"].miou == pytest.approx(exported[0].torch_miou, abs=0.01)


def test_bf16_is_scored_even_where_its_speed_cannot_be_measured(exported):
    (bf16,) = [each for each in exported[0].card.variants if each.precision == "bf16"]
    assert bf16.file == "model.onnx"
    assert bf16.miou == pytest.approx(exported[0].torch_miou, abs=0.1)


def test_files_agree_with_pytorch_on_a_real_picture(finished, exported, tensor):
    expected = torch_predictor(Run.open(finished).snapshot().model)(tensor) / exported[0].card.temperature
    largest = float(expected.abs().max())
    for predict in (onnx_predictor(exported[1].file("onnx")), torchscript_predictor(exported[1].file("torchscript"))):
        assert predict(tensor).numpy() == pytest.approx(expected.numpy(), abs=0.02 * largest)
    assert exported[0].agreements["onnx"].difference < 0.02
    assert exported[0].agreements["onnx"].same_class > 0.95


def test_a_torchscript_file_stores_its_weights_in_half(exported):
    size = exported[1].file("torchscript").stat().st_size
    assert size < 2 * exported[0].card.parameters + 400_000


def test_the_file_with_ids_needs_nobody_to_choose_the_class(finished, exported, tensor):
    session = onnxruntime.InferenceSession(exported[1].file("onnx_ids"), providers=["CPUExecutionProvider"])
    wide = np.concatenate([tensor, tensor], axis=2)
    for image in (tensor, wide):
        ids, confidence = session.run(["ids", "confidence"], {"image": np.stack([image, image])})
        assert ids.shape == confidence.shape == (2, *image.shape[1:])
        assert ids.dtype == np.uint8
        assert 0 < confidence.min() <= confidence.max() <= 1
        run = Run.open(finished)
        expected = class_ids(torch_predictor(run.snapshot().model)(image), image.shape[1:], run.space)
        assert (ids[1] == expected).mean() > 0.98


def test_a_quantised_file_computes_almost_the_same(finished, tensor, tmp_path):
    model = Run.open(finished).snapshot().model
    export_onnx(model, tmp_path / "float.onnx", half_weights=False)
    expected = torch_predictor(model)(tensor).numpy()
    errors = []
    for plan in (PLANS[0], PLANS[-1]):
        quantise(tmp_path / "float.onnx", [tensor], tmp_path / "int8.onnx", plan)
        got = onnx_predictor(tmp_path / "int8.onnx")(tensor).numpy()
        errors.append(float(np.abs(got - expected).mean() / np.abs(expected).mean()))
        kinds = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
        assert kinds.count("QuantizeLinear") > 5
    assert 0 < errors[0] < 0.3
    assert 0 < errors[1] < 0.3


def test_a_graph_that_cannot_be_quantised_is_an_error_of_ours(tmp_path, tensor):
    (tmp_path / "broken.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(QuantizationFailed):
        quantise(tmp_path / "broken.onnx", [tensor], tmp_path / "int8.onnx", PLANS[0])


def test_a_bundle_with_fewer_files_is_refused_before_anything_is_measured(finished, roots, tmp_path):
    export_run(finished, Release(name="tiny", torchscript=True), roots=roots, models=Catalog([tmp_path]))
    measured = []

    def watch(label, total):
        measured.append(label)
        return unwatched(label, total)

    with pytest.raises(NameTaken):
        export_run(finished, Release(name="tiny"), roots=roots, models=Catalog([tmp_path]), watch=watch)
    assert measured == []


def test_a_variant_that_loses_more_than_the_tolerance_is_refused_and_the_rest_published(finished, roots, tmp_path):
    strict = Release(name="strict", version="2", int8=True, tolerance=-1.0)
    done = export_run(finished, strict, roots=roots, models=Catalog([tmp_path]))
    assert set(done.refused) == {"bf16", "onnx_int8"}
    assert "points of mIoU" in done.refused["onnx_int8"]
    assert set(Catalog([tmp_path]).get("strict").card.files) == {"onnx"}
    assert {each.precision for each in done.card.variants} == {"fp32"}
    assert [path.name for path in tmp_path.iterdir()] == ["strict"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"miou": 0.594}, "it loses 0.60 points of mIoU, more than 0.5"),
        ({"bytes": 4000}, "it is not smaller: 4,000 bytes against 4,000"),
        ({"median_ms": 10.0}, "it is not faster: 10.0 ms against 10.0 ms"),
    ],
)
def test_a_quantised_file_must_be_smaller_and_faster_and_as_good(change, reason):
    assert refusal([replace(INT8, **change)], [FLOAT], miou=0.6, tolerance=0.005) == reason


def test_a_file_that_computes_something_else_is_never_written(tmp_path):
    class Drifting(torch.nn.Module):
        """Another result on every call."""

        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, 2, 1)
            self.calls = 0

        def forward(self, image):
            self.calls += 1
            return self.convolution(image) * self.calls

    for write in (export_onnx, export_torchscript):
        with pytest.raises(ExportError, match="differ by"):
            write(Drifting(), tmp_path / "model")
    assert not list(tmp_path.iterdir())
