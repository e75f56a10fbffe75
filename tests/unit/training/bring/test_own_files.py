"""A user's own ONNX file is served only when every runtime here runs it as its card says."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from data.sample_library import SampleLibrary
from jobs.errors import ModelFailed
from maskmill.cli.training.runtimes import open_all
from segmentation.errors import InvalidLabelSpace, InvalidModelCard, UnknownLabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from storage.catalog import Bundle, Catalog, NameTaken
from tests.factories import mask, picture
from tests.tiny_models import CLASSES, STRIDE, onnx_model, tiny_bundle, weights
from training.bring.card import FOUND_OUT, OwnCard, own_card, read_own_card
from training.bring.check import MixesPictures, ModelUnfit, NotDeterministic, Pixels, check, read_samples
from training.bring.graph import ExternalData, UnreadableModel, WrongGraph
from training.bring.publish import Added, CannotRun, NoRuntime, add, check_bundle

Edit = Callable[[onnx.ModelProto], object]

ABOUT: dict[str, Any] = {"name": "own", "label_space": "camvid-11", "preprocessing": {"long_side": 128}}


def given(tmp_path: Path, *edits: Edit) -> Path:
    model = onnx_model()
    for edit in edits:
        edit(model)
    path = tmp_path / "own.onnx"
    onnx.save(model, path)
    return path


def added(tmp_path: Path, file: Path, **changes: Any) -> Added:
    about = own_card({**ABOUT, **changes})
    return add(file, about, models=Catalog([tmp_path / "models"]), samples=small_samples(), open_all=open_all)


def refused(tmp_path: Path, file: Path, kind: type[Exception], said: str, **changes: Any) -> None:
    with pytest.raises(kind, match=said) as caught:
        added(tmp_path, file, **changes)
    assert isinstance(caught.value.code, str)  # type: ignore[attr-defined]
    assert not list((tmp_path / "models").glob("*"))


@functools.cache
def small_samples() -> SampleLibrary:
    """Two little pictures with their truth, in a folder that goes with the process."""
    folder = Path(_FOLDER.name)
    for number in range(2):
        ids = np.random.default_rng(number).choice(np.array([7, 11, 23], np.uint8), (48, 96))
        (folder / f"s{number}.jpg").write_bytes(picture(96, 48, seed=number))
        (folder / f"s{number}_gtFine_labelIds.png").write_bytes(mask(ids))
    return SampleLibrary(folder)


_FOLDER = tempfile.TemporaryDirectory()


def shape_input(*dims: int | str, kind: int = TensorProto.FLOAT) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", kind, dims))

    return edit


def test_another_model_of_that_name_stays_unless_it_may_go(tmp_path: Path):
    """The same file again is no error; with other means it is another model."""
    first = added(tmp_path, given(tmp_path)).bundle
    assert added(tmp_path, given(tmp_path)).bundle.card == first.card
    other = {"preprocessing": {"long_side": 128, "mean": [0.1, 0.2, 0.3]}}
    with pytest.raises(NameTaken, match="--replace"):
        added(tmp_path, given(tmp_path), **other)
    assert Catalog([tmp_path / "models"]).card("own") == first.card
    about = own_card({**ABOUT, **other})
    places: dict[str, Any] = {
        "models": Catalog([tmp_path / "models"]),
        "samples": small_samples(),
        "open_all": open_all,
    }
    add(given(tmp_path), about, **places, replace_other=True)
    assert Catalog([tmp_path / "models"]).card("own").preprocessing.mean == (0.1, 0.2, 0.3)


def end_with(operator: str, kind: int = TensorProto.FLOAT, *, rank: int = 4, **attributes: Any) -> Edit:
    """One more node behind the logits."""

    def edit(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node(operator, ["logits"], ["after"], **attributes))
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("after", kind, list("bchw")[:rank]))

    return edit


def test_a_file_that_keeps_to_the_contract_is_served(tmp_path: Path):
    result = added(tmp_path, given(tmp_path), version="3", licence="MIT", source="mine")
    card = Catalog([tmp_path / "models"]).card("own")
    assert card == result.bundle.card
    assert (card.version, card.licence, card.output_stride) == ("3", "MIT", STRIDE)
    assert card.parameters == sum(each.size for each in weights())
    assert {report.engine.split()[0] for report in result.reports} == {"openvino", "onnxruntime"}
    for report in result.reports:
        assert report.input_size == (64, 128)
        assert report.median_ms > 0
        assert report.miou is not None
    check_bundle(result.bundle, samples=small_samples(), open_all=open_all)


def test_names_and_sizes_fixed_at_export_are_adapted(tmp_path: Path):
    def rename(model: onnx.ModelProto) -> None:
        model.graph.node[0].input[0] = model.graph.input[0].name = "pixel_values"
        model.graph.node[0].output[0] = model.graph.output[0].name = "output_0"

    file = given(tmp_path, shape_input(1, 3, 64, 128), rename)
    result = added(tmp_path, file)
    graph = onnx.load(result.bundle.file("onnx")).graph
    assert (graph.input[0].name, graph.output[0].name) == ("image", "logits")
    assert [each.dim_param for each in graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "height", "width"]


def test_logits_of_full_size_have_stride_one(tmp_path: Path):
    def enlarge(model: onnx.ModelProto) -> None:
        scales = numpy_helper.from_array(np.array([1, 1, STRIDE, STRIDE], np.float32), "scales")
        model.graph.initializer.append(scales)
        model.graph.node.append(helper.make_node("Resize", ["logits", "", "scales"], ["large"], mode="linear"))
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("large", TensorProto.FLOAT, list("bchw")))

    assert added(tmp_path, given(tmp_path, enlarge)).bundle.card.output_stride == 1


def test_one_output_of_several_can_be_named(tmp_path: Path):
    def second(model: onnx.ModelProto) -> None:
        model.graph.node[0].output[0] = "main"
        model.graph.node.append(helper.make_node("Neg", ["main"], ["auxiliary"]))
        del model.graph.output[:]
        for name in ("main", "auxiliary"):
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list("bchw")))

    file = given(tmp_path, second)
    refused(tmp_path, file, WrongGraph, "several outputs.*--output: main, auxiliary")
    refused(tmp_path, file, WrongGraph, "no output 'third'", output="third")
    result = added(tmp_path, file, output="main")
    assert [each.name for each in onnx.load(result.bundle.file("onnx")).graph.output] == ["logits"]


def test_a_network_for_one_size_alone_is_added_with_that_size(tmp_path: Path):
    def fix(model: onnx.ModelProto) -> None:
        shape = numpy_helper.from_array(np.array([-1, 3, 64, 128], np.int64), "shape")
        model.graph.initializer.append(shape)
        model.graph.node[0].input[0] = "reshaped"
        model.graph.node.insert(0, helper.make_node("Reshape", ["image", "shape"], ["reshaped"]))

    file = given(tmp_path, shape_input(1, 3, 64, 128), fix)
    refused(tmp_path, file, ModelUnfit, "--height and --width")
    result = added(tmp_path, file, preprocessing={"height": 64, "width": 128})
    assert result.bundle.card.preprocessing.resize == "exact"
    assert {report.input_size for report in result.reports} == {(64, 128)}


def test_parts_in_other_files_are_refused(tmp_path: Path):
    def lead_away(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../../etc/passwd"

    refused(tmp_path, given(tmp_path, lead_away), ExternalData, "etc/passwd")


def test_parts_in_other_files_are_refused_inside_a_branch_too(tmp_path: Path):
    def lead_away(model: onnx.ModelProto) -> None:
        tensor = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        constant = helper.make_node("Constant", [], ["inside"], value=tensor)
        branch = helper.make_graph([constant], "branch", [], [])
        yes = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
        choice = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch)
        model.graph.node.extend([yes, choice])

    refused(tmp_path, given(tmp_path, lead_away), ExternalData, "far")


@pytest.mark.parametrize(
    ("edit", "kind", "said"),
    [
        (shape_input("b", 128, 128, 3), WrongGraph, "channels come before"),
        (shape_input("b", 1, "h", "w"), WrongGraph, "must be .batch, 3"),
        (shape_input("b", 3, "h", "w", kind=TensorProto.UINT8), WrongGraph, "takes UINT8"),
        (lambda model: model.graph.input.append(helper.make_tensor_value_info("b", 1, [1])), WrongGraph, "2 inputs"),
        (end_with("ArgMax", TensorProto.INT64, rank=4, axis=1), WrongGraph, "before arg max"),
        (end_with("ReduceMax", rank=3, axes=[2], keepdims=0), WrongGraph, "must be .batch, classes"),
        (end_with("Log"), ModelUnfit, "not finite"),
        (end_with("Gelu", domain="my.company"), WrongGraph, "Gelu of my.company"),
        (lambda model: model.graph.node[0].input.__setitem__(1, "nowhere"), UnreadableModel, "contradicts itself"),
    ],
)
def test_a_graph_that_is_no_segmentation_network_is_refused(
    tmp_path: Path, edit: Edit, kind: type[Exception], said: str
):
    refused(tmp_path, given(tmp_path, edit), kind, said)


def test_the_classes_must_be_those_of_the_label_space(tmp_path: Path):
    refused(
        tmp_path, given(tmp_path), ModelUnfit, f"{CLASSES} channels.*cityscapes-19 has 19", label_space="cityscapes-19"
    )


def test_what_is_no_onnx_file_is_refused(tmp_path: Path):
    for content in (b"not a model", b""):
        path = tmp_path / "own.onnx"
        path.write_bytes(content)
        refused(tmp_path, path, UnreadableModel, "no ONNX file")


def test_probabilities_and_a_single_class_are_noted(tmp_path: Path):
    result = added(tmp_path, given(tmp_path, end_with("Softmax", axis=1)))
    assert "instead of logits (softmax)" in result.reports[0].notes[0]
    assert result.bundle.card.activation == "softmax"

    def prefer_the_sky(model: onnx.ModelProto) -> None:
        bias = np.zeros(CLASSES, np.float32)
        bias[0] = 99
        model.graph.initializer[1].CopyFrom(numpy_helper.from_array(bias, "bias"))

    result = added(tmp_path, given(tmp_path, prefer_the_sky), name="sky")
    assert result.reports[0].classes_seen == 1
    assert any("one class alone" in note for note in result.reports[0].notes)


def test_a_network_that_throws_dice_is_refused(tmp_path: Path):
    card = tiny_bundle(tmp_path).card
    dice = np.random.default_rng(1)

    def throw(batch: Pixels) -> Pixels:
        shape = (len(batch), CLASSES, batch.shape[2] // STRIDE, batch.shape[3] // STRIDE)
        return dice.normal(size=shape).astype(np.float32)

    with pytest.raises(NotDeterministic, match="same picture twice"):
        space = get_label_space(card.label_space)
        check(throw, card, read_samples(small_samples(), space), space=space, engine="dice")


def test_samples_without_a_remapping_give_no_score(tmp_path: Path):
    pets = get_label_space("oxford-pets-3")
    assert all(each.truth is None for each in read_samples(small_samples(), pets))


def test_a_replaced_bundle_is_whole_and_a_refused_one_leaves_the_old(tmp_path: Path):
    added(tmp_path, given(tmp_path), version="1")
    added(tmp_path, given(tmp_path), version="2")
    with pytest.raises(ModelUnfit):
        added(tmp_path, given(tmp_path, end_with("Log")), version="3")
    assert Catalog([tmp_path / "models"]).card("own").version == "2"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["own"]


def test_a_bundle_is_checked_for_what_its_card_says(tmp_path: Path):
    good = tiny_bundle(tmp_path)
    assert len(check_bundle(good, samples=small_samples(), open_all=open_all)) == 2
    with pytest.raises(ModelUnfit, match="output stride 8"):
        check_bundle(tiny_bundle(tmp_path, name="b", output_stride=8), samples=small_samples(), open_all=open_all)
    with pytest.raises(NoRuntime):
        check_bundle(good, samples=small_samples(), open_all=lambda bundle: iter(()))
    good.file("onnx").write_bytes(b"other")
    with pytest.raises(ModelFailed, match="not the one"):
        check_bundle(good, samples=small_samples(), open_all=open_all)
    with pytest.raises(CannotRun, match="cannot open tiny"):
        next(open_all(Bundle(good.card, good.folder)))


def test_a_card_is_a_toml_or_json_file(tmp_path: Path):
    toml = tmp_path / "card.toml"
    toml.write_text(
        'name = "own"\nlabel_space = "camvid-11"\n[preprocessing]\nlong_side = 96\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n'
    )
    about = own_card(read_own_card(toml))
    assert (about.preprocessing.long_side, about.preprocessing.std) == (96, (1.0, 1.0, 1.0))
    whole = tmp_path / "card.json"
    whole.write_text(tiny_bundle(tmp_path, scores={"miou": 0.5}, temperature=1.25).card.to_json())
    assert own_card(read_own_card(whole)).scores == {"miou": 0.5}
    assert added(tmp_path, given(tmp_path), **read_own_card(whole)).bundle.card.temperature == 1.25


def test_every_field_of_a_whole_card_is_taken_or_found_out_here():
    assert {each.name for each in fields(ModelCard)} <= {each.name for each in fields(OwnCard)} | {*FOUND_OUT}


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"colour": "red"}, InvalidModelCard, "colour"),
        ({"name": None}, InvalidModelCard, "name must be given"),
        ({"label_space": "elsewhere"}, UnknownLabelSpace, "elsewhere"),
        ({"preprocessing": {}}, InvalidModelCard, "--long-side"),
        ({"preprocessing": 3}, InvalidModelCard, "a table"),
        ({"preprocessing": {"long_side": 100}}, InvalidModelCard, "multiple of 32"),
        ({"preprocessing": {"long_side": 64, "blur": 1}}, InvalidModelCard, "blur"),
    ],
)
def test_a_wrong_card_names_the_field(change: dict[str, Any], kind: type[Exception], said: str):
    with pytest.raises(kind, match=said):
        own_card({**ABOUT, **change})


def test_a_card_that_cannot_be_read_is_named(tmp_path: Path):
    for name, text in (("card.toml", "["), ("card.json", "{"), ("list.json", "[]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidModelCard, match=name):
            read_own_card(tmp_path / name)


def test_sigmoid_outputs_are_named(tmp_path: Path):
    result = added(tmp_path, given(tmp_path, end_with("Sigmoid")))
    assert result.bundle.card.activation == "sigmoid"
    assert all("instead of logits (sigmoid)" in report.notes[0] for report in result.reports)
    assert added(tmp_path, given(tmp_path), name="plain").bundle.card.activation == ""


def fixed_inside(*shape: int) -> Edit:
    """One more node behind the logits, which gives them this shape, whatever came."""

    def edit(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), "shape"))
        end_with("Reshape")(model)
        model.graph.node[-1].input.append("shape")

    return edit


ONE_SIZE = {"preprocessing": {"height": 64, "width": 128}}


def test_a_graph_for_one_picture_alone_is_served_in_batches_of_one(tmp_path: Path):
    """Its declared batch can be freed, what is computed inside cannot."""
    inside = fixed_inside(1, CLASSES, 64 // STRIDE, 128 // STRIDE)
    result = added(tmp_path, given(tmp_path, shape_input(1, 3, 64, 128), inside), **ONE_SIZE)
    assert result.bundle.card.max_batch == 1
    assert any("served in batches of 1" in note for note in result.reports[0].notes)
    check_bundle(result.bundle, samples=small_samples(), open_all=open_all)
    assert added(tmp_path, given(tmp_path, shape_input(1, 3, 64, 128)), name="free").bundle.card.max_batch is None


def test_a_graph_for_another_number_of_pictures_alone_is_refused(tmp_path: Path):
    inside = fixed_inside(4, CLASSES, 64 // STRIDE, 128 // STRIDE)
    path = given(tmp_path, shape_input(4, 3, 64, 128), inside)
    refused(tmp_path, path, CannotRun, "in a batch must be free, or 1", **ONE_SIZE)


def test_a_network_that_mixes_the_pictures_of_a_batch_is_found_out(tmp_path: Path):
    card = tiny_bundle(tmp_path).card
    space = get_label_space(card.label_space)

    def mix(batch: Pixels) -> Pixels:
        logits = np.zeros((len(batch), CLASSES, batch.shape[2] // STRIDE, batch.shape[3] // STRIDE), np.float32)
        logits[:, 1 if len(batch) == 1 else 2] = 1
        return logits

    with pytest.raises(MixesPictures, match=r"only 0\.0%"):
        check(mix, card, read_samples(small_samples(), space), space=space, engine="mixer")
    alone = check(mix, replace(card, max_batch=1), read_samples(small_samples(), space), space=space, engine="mixer")
    assert alone.classes_seen == 1


def test_a_file_with_classes_of_its_own_carries_them_along(tmp_path: Path):
    classes = [{"id": n, "name": f"crop {n}", "colour": [n, 0, 0], "group": "field"} for n in range(CLASSES)]
    own: dict[str, Any] = {"name": "crops", "ignore_id": None, "classes": classes, "mappings": {}}
    (tmp_path / "crops.json").write_text(json.dumps(own))
    result = added(tmp_path, given(tmp_path), label_space=str(tmp_path / "crops.json"))
    assert (result.bundle.card.label_space, result.bundle.card.label_space_file) == ("crops", "label_space.json")
    assert result.bundle.space().name_of(3) == "crop 3"
    assert str(tmp_path) not in result.bundle.card.to_json()
    assert result.reports[0].miou is None
    check_bundle(result.bundle, samples=small_samples(), open_all=open_all)
    (tmp_path / "crops.json").write_text(json.dumps({**own, "name": "camvid-11"}))
    with pytest.raises(InvalidLabelSpace, match="another label space called 'camvid-11'"):
        added(tmp_path, given(tmp_path), label_space=str(tmp_path / "crops.json"))
