"""A bundle that is too sure becomes one that is as sure as it is right; its classes stay."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

from segmentation.errors import InvalidModelCard
from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from segmentation.variant import Variant
from storage.catalog import Bundle, Catalog, NameTaken
from tests.tiny_models import CLASSES, STRIDE, tiny_bundle, weights
from training.calibrate.calibrate import Order, calibrate
from training.calibrate.check import DividedFile
from training.calibrate.errors import NoBetter, NoLogits, OutOfRange, TooFewLabelled, UnfitPictures, WrongDivision
from training.calibrate.fitting import Fit, cross_check, fit, sureness
from training.calibrate.graph import divide, find_logits
from training.datasets.pairs import About, PairDataset
from training.evaluate.predictors import onnx_predictor
from training.evaluate.subjects import open_subject
from training.export.files import export_ids
from training.lineage import DataRecord, Learnt

SPACE = get_label_space("camvid-11")
SIDE, SURER = 64, 3.0  # how much too sure the bundles are


def drawn(folder, *, count=12, sharp=1.0, label=None):
    """Pictures of one colour each, whose labels are drawn from what the tiny network says of that colour.

    sharp: how much surer these labels are than it. label: the mask's only id instead.
    """
    rng = np.random.default_rng(7)
    kernel, bias = weights()
    pairs = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        colour = rng.integers(0, 256, 3)
        logits = sharp * (kernel.sum((2, 3)) @ ((colour / 255 - 0.5) / 0.25) + bias)
        shares = np.exp(logits) / np.exp(logits).sum()
        truth = rng.choice(CLASSES, size=(SIDE, SIDE), p=shares).astype(np.uint8)
        pairs.append((folder / f"{number:02}.png", folder / f"{number:02}_mask.png"))
        Image.fromarray(np.full((SIDE, SIDE, 3), colour, np.uint8)).save(pairs[-1][0])
        Image.fromarray(truth if label is None else np.full_like(truth, label)).save(pairs[-1][1])
    return PairDataset(pairs, space=SPACE, about=About(title="drawn labels", licence="none needed"))


def write_card(folder, **changes):
    """With the digests of the files that are there."""
    card = ModelCard.from_json((folder / "card.json").read_bytes())
    files = [each for each in folder.iterdir() if each.name != "card.json"]
    digests = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
    card = replace(card, **{"sha256": digests, **changes})
    (folder / "card.json").write_text(card.to_json(), "utf-8")
    return Bundle(card, folder)


def make_surer(path):
    """Logits that are SURER times as large."""
    model = onnx.load(path)
    for each in model.graph.initializer:
        if each.name in ("kernel", "bias", "kernel_step"):
            each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each) * np.float32(SURER), each.name))
    onnx.save(model, path)


def ids_model(path):
    kernel, bias = weights()
    network = nn.Conv2d(3, CLASSES, STRIDE, STRIDE)
    surer = {"weight": torch.from_numpy(kernel * SURER), "bias": torch.from_numpy(bias * SURER)}
    network.load_state_dict(surer)
    export_ids(network, SPACE, path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A bundle with every kind of file, too sure of what it says, and with what it learnt from."""
    bundle = tiny_bundle(tmp_path_factory.mktemp("models"), name="sure", int8=True, torchscript=True)
    make_surer(bundle.folder / "model.onnx")
    make_surer(bundle.folder / "model.int8.onnx")
    ids_model(bundle.folder / "model.ids.onnx")
    learnt = Learnt(dataset="folder", split="train", title="others", licence="none", marks=("0" * 20,))
    DataRecord(train=(), validation=(), learnt=(learnt,)).write_learnt(bundle.folder / "learnt.json")
    files = {**bundle.card.files, "onnx_ids": "model.ids.onnx"}
    floats = Variant(precision="fp32", engine="onnxruntime", file="model.onnx", bytes=1, median_ms=2.5, miou=0.5)
    gone = replace(floats, engine="torch", file="model.pt")
    scores = {"miou": 0.5, "ece": 0.2, "iou/sky": 0.75}
    return write_card(bundle.folder, files=files, variants=(floats, gone), scores=scores, description="Small.")


@pytest.fixture
def source(tmp_path):
    """The float file alone."""
    bundle = tiny_bundle(tmp_path / "models", name="sure")
    make_surer(bundle.folder / "model.onnx")
    return write_card(bundle.folder)


def calibrated(source, pictures, **changes):
    order = Order(**{"name": "calm", "pictures": pictures, "split": "val", **changes})
    return calibrate(source, order, models=Catalog([source.folder.parent]))


@pytest.fixture(scope="module")
def done(kept, pictures):
    return calibrated(kept, pictures)


def test_a_model_that_is_three_times_too_sure_is_found_out_and_published(kept, done):
    assert done.fit.temperature == pytest.approx(SURER, rel=0.1)
    assert done.fit.before.calibration_error > 0.1 > 0.04 > done.fit.check.after.calibration_error
    assert done.fit.check.after.confidence == pytest.approx(done.fit.before.accuracy, abs=0.04)
    assert done.fit.check.after.accuracy == done.fit.before.accuracy
    card = Catalog([kept.folder.parent]).get("calm").card
    assert (card.version, card.temperature) == (kept.card.version, done.fit.temperature)
    assert (done.bundle.folder / "learnt.json").read_bytes() == (kept.folder / "learnt.json").read_bytes()
    for said in ("Small. Confidence fitted on 20", "12 pictures of drawn labels (val)", "sure (version 1)"):
        assert said in card.description


def test_what_the_card_says_of_files_and_scores_stays_true(done):
    card = done.bundle.card
    assert done.left_out == ["model.pt"]
    assert set(card.files) == {"onnx", "onnx_int8", "onnx_ids"}
    assert "model.pt" not in card.sha256
    assert card.scores == {"miou": 0.5, "iou/sky": 0.75}
    (variant,) = card.variants
    assert (variant.median_ms, variant.bytes) == (2.5, (done.bundle.folder / "model.onnx").stat().st_size)


def served(folder):
    """Runs a tensor through each file: (H, W) channels and confidences, which the third gives itself."""
    session = onnxruntime.InferenceSession(folder / "model.ids.onnx", providers=["CPUExecutionProvider"])

    def chosen(predict, tensor):
        logits = nn.functional.interpolate(predict(tensor)[None], (SIDE, SIDE), mode="bilinear")[0]
        confidence, channels = logits.softmax(0).max(0)
        return channels.numpy(), confidence.numpy()

    def given(tensor):
        ids, confidence = session.run(["ids", "confidence"], {"image": tensor[None]})
        return ids[0], confidence[0]

    logits = [onnx_predictor(folder / name) for name in ("model.onnx", "model.int8.onnx")]
    return [*(partial(chosen, each) for each in logits), given]


def test_all_files_give_the_classes_of_before_and_agree_how_sure_they_are(kept, done, pictures):
    assert set(done.tied.values()) == {0}
    before, after = served(kept.folder), served(done.bundle.folder)
    for index in range(3):
        tensor = kept.card.preprocessing.apply(pictures[index][0])
        answers = [each(tensor) for each in after]
        for (classes, confidence), earlier in zip(answers, before, strict=True):
            assert np.array_equal(classes, earlier(tensor)[0])
            assert confidence == pytest.approx(answers[0][1], abs=0.02)


def test_what_is_calibrated_again_tells_the_whole_temperature(done, source, pictures):
    tempered = write_card(source.folder, temperature=2.0)
    card = calibrated(tempered, pictures).bundle.card
    assert card.temperature == round(2 * done.fit.temperature, 3)
    with pytest.raises(NoBetter, match="calm is as sure as it is right"):
        calibrated(Catalog([source.folder.parent]).get("calm"), pictures, name="calmer")


def test_another_model_is_not_lost_unless_that_is_asked_for(source, pictures):
    with pytest.raises(NameTaken):
        calibrated(source, pictures, name="sure")
    before = source.card.sha256["model.onnx"]
    assert calibrated(source, pictures, name="sure", replace=True).bundle.card.sha256["model.onnx"] != before
    with pytest.raises(InvalidModelCard, match="name"):
        calibrated(source, pictures, name="A/B")


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_divided_before_they_are_made(activation, pictures, tmp_path):
    bundle = tiny_bundle(tmp_path, name="sure", activation=activation)
    make_surer(bundle.folder / "model.onnx")
    model = onnx.load(bundle.folder / "model.onnx")
    model.graph.node[0].output[0] = "before"
    options = {"axis": 1} if activation == "softmax" else {}
    model.graph.node.append(helper.make_node(activation.title(), ["before"], ["between"], **options))
    model.graph.node.append(helper.make_node("Identity", ["between"], ["logits"]))
    onnx.save(model, bundle.folder / "model.onnx")
    done = calibrated(write_card(bundle.folder), pictures)
    assert done.fit.temperature == pytest.approx(SURER, rel=0.1)
    assert done.bundle.card.activation == activation
    subject = open_subject(str(done.bundle.folder), models=(), runs=tmp_path)
    logits = subject.predict(subject.preprocessing.apply(pictures[0][0]))
    expected = onnx_predictor(tiny_bundle(tmp_path, name="plain").folder / "model.onnx")
    wanted = expected(subject.preprocessing.apply(pictures[0][0])) * (SURER / done.fit.temperature)
    assert logits.softmax(0).numpy() == pytest.approx(wanted.softmax(0).numpy(), abs=1e-3)


def test_a_graph_whose_probabilities_come_from_elsewhere_is_refused(tmp_path):
    bundle = tiny_bundle(tmp_path, activation="softmax")
    model = onnx.load(bundle.folder / "model.onnx")
    with pytest.raises(NoLogits, match="no Softmax was found right before the output logits"):
        find_logits(model, "onnx", "softmax")
    with pytest.raises(NoLogits, match="nothing in the graph computes image"):
        divide(model, "image", 2.0)


def test_half_precision_and_names_that_are_taken_are_kept(tmp_path):
    model = onnx.load(tiny_bundle(tmp_path).folder / "model.onnx")
    model.graph.node[0].output[0] = "logits_undivided"
    model.graph.node.append(helper.make_node("Cast", ["logits_undivided"], ["logits"], to=TensorProto.FLOAT16))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    whole = tmp_path / "whole.onnx"
    onnx.save(model, whole)
    divide(model, "logits", 2.0)
    onnx.save(model, tmp_path / "half.onnx")
    tensor = np.random.default_rng(1).normal(size=(3, 8, 8)).astype(np.float32)
    first, second = (onnx_predictor(path)(tensor) for path in (whole, tmp_path / "half.onnx"))
    assert second.numpy() == pytest.approx(first.numpy() / 2, abs=1e-3)


def test_classes_of_the_users_own_travel_along(source, pictures):
    own = replace(SPACE, name="mine", mappings={})
    (source.folder / "label_space.json").write_text(json.dumps(own.to_dict()))
    mine = write_card(source.folder, label_space="mine", label_space_file="label_space.json")
    theirs = PairDataset(pictures.pairs, space=own, about=pictures.about)
    done = calibrated(mine, theirs)
    assert done.bundle.space() == own
    assert done.fit.temperature == pytest.approx(SURER, rel=0.1)


def test_pictures_that_were_learnt_from_are_refused(source, pictures):
    learnt = Learnt.of(pictures, dataset="folder", split="train")
    DataRecord(train=(), validation=(), learnt=(learnt,)).write_learnt(source.folder / "learnt.json")
    knowing = write_card(source.folder)
    with pytest.raises(UnfitPictures, match=r"sure learnt from these pictures: .* --anyway"):
        calibrated(knowing, pictures)
    assert calibrated(knowing, pictures, anyway=True).overlap.learnt == len(pictures)


def test_a_models_own_answers_are_no_truth(source, pictures):
    about = replace(pictures.about, answers_of="sure")
    with pytest.raises(UnfitPictures, match="answers of sure"):
        calibrated(source, PairDataset(pictures.pairs, space=SPACE, about=about))


def test_masks_that_cannot_show_what_the_model_says_are_refused(source, pictures):
    often = int(np.bincount(np.concatenate([pictures.mask(each).ravel() for each in range(len(pictures))])).argmax())
    mapping = {each: each for each in SPACE.class_ids if each != often}
    fewer = replace(SPACE, name="fewer", mappings={SPACE.name: mapping})
    masks = PairDataset(pictures.pairs, space=fewer, about=pictures.about)
    with pytest.raises(UnfitPictures, match=f"masks in fewer cannot show {SPACE.name_of(often)}, of which sure says"):
        calibrated(source, masks)
    assert calibrated(source, masks, anyway=True).fit.temperature > 1


def test_too_little_is_labelled(source, tmp_path):
    with pytest.raises(TooFewLabelled, match=r"^0 labelled pixels"):
        calibrated(source, drawn(tmp_path / "void", count=3, label=SPACE.void_id))
    with pytest.raises(TooFewLabelled, match=r"^169 labelled pixels"):
        calibrated(source, drawn(tmp_path / "one", count=1))
    assert {each.name for each in source.folder.parent.iterdir()} == {"sure"}


def test_a_bundle_of_torchscript_alone_is_refused(source, pictures):
    (source.folder / "model.onnx").rename(source.folder / "model.pt")
    alone = write_card(source.folder, files={"torchscript": "model.pt"})
    with pytest.raises(NoLogits, match="no file onnx, whose logits could be divided; it has torchscript"):
        calibrated(alone, pictures)


def sample(pixels, *, right, margin=2.0):
    """Two classes; the first one is ahead by the margin everywhere, and right in that share of the pixels."""
    logits = torch.tensor([margin, 0.0]).repeat(pixels, 1)
    return logits, (torch.arange(pixels) >= right * pixels).long()


def test_one_picture_cannot_be_checked():
    found = fit([sample(1000, right=0.7)])
    assert found.check is None
    assert found.is_better
    assert cross_check([sample(1000, right=0.7), sample(20, right=0.7)]) is None


def test_what_one_half_asks_for_and_the_other_suffers_from_is_no_better():
    found = fit([sample(1000, right=0.99), sample(1000, right=0.75)])
    assert found.check is not None
    assert found.check.after.cross_entropy > found.before.cross_entropy
    assert not found.is_better
    assert found.check.temperatures[0] < 1 < found.check.temperatures[1]


def test_what_is_no_better_is_published_when_asked_for_alone(source, tmp_path):
    sharp, flat = drawn(tmp_path / "sharp", count=6, sharp=6.0), drawn(tmp_path / "flat", count=6)
    pairs = [pair for both in zip(sharp.pairs, flat.pairs, strict=True) for pair in both]
    both = PairDataset(pairs, space=SPACE, about=sharp.about)
    with pytest.raises(NoBetter, match="the other half no better: cross-entropy"):
        calibrated(source, both)
    assert {each.name for each in source.folder.parent.iterdir()} == {"sure"}
    done = calibrated(source, both, anyway=True)
    assert not done.fit.is_better
    assert done.bundle.card.name == "calm"
    assert not Fit(temperature=1.0, pixels=9, before=done.fit.before, check=None).is_better


@pytest.mark.parametrize(("right", "why"), [(1.0, "sure of too little"), (0.4, "sure of what is wrong")])
def test_a_temperature_at_the_end_of_what_is_tried_is_none(right, why):
    with pytest.raises(OutOfRange, match=why):
        fit([sample(1000, right=right)])


def test_how_sure_and_how_right_are_means_over_pixels():
    found = sureness([(*sample(600, right=0.5), 1.0), (*sample(200, right=1), 2.0)])
    by_hand = torch.sigmoid(torch.tensor([2.0, 1.0])).tolist()
    assert found.confidence == pytest.approx((600 * by_hand[0] + 200 * by_hand[1]) / 800)
    assert found.accuracy == pytest.approx(500 / 800)
    error = (600 * abs(by_hand[0] - 0.5) + 200 * abs(by_hand[1] - 1)) / 800
    assert found.calibration_error == pytest.approx(error, abs=1e-6)


def test_a_file_that_was_divided_wrongly_is_found_out():
    logits = torch.randn(CLASSES, 4, 4)
    file = DividedFile(file="model.onnx", logits=lambda _: logits, temperature=2.0, activation="", space=SPACE)
    tensor = np.zeros((3, 16, 16), np.float32)
    assert file.tied(lambda _: logits / 2, tensor, (16, 16)) == 0
    with pytest.raises(WrongDivision, match=r"model.onnx, divided by 2, differs by"):
        file.tied(lambda _: logits / 3, tensor, (16, 16))
    with pytest.raises(WrongDivision, match="another class"):
        file._changed(logits, logits.argmin(0))
