"""A teacher: what it sees, what it adds to the loss, what is written down of it, and which one is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from segmentation.preprocessing import Preprocessing, normalised
from tests.tiny_models import change_version, tiny_bundle
from tests.tiny_runs import tiny_order, tiny_training
from training.datasets.augmentation import normalise
from training.evaluate.predictors import onnx_predictor
from training.fit.distillation import Distillation, Teacher, open_distillation
from training.fit.launch import run_order
from training.fit.loop import read_checkpoint
from training.fit.losses import SegmentationLoss, soft_label_loss
from training.fit.objective import Objective
from training.recipe.recipe import DistillationChoice, RecipeError
from training.runs import RunFacts
from training.settings import TrainingSettings
from training.spaces import find_label_space

UNTRACKED = TrainingSettings(tracking_uri="none")
ONE_EPOCH = "stages[0].epochs=1"


@pytest.fixture(scope="module")
def roots(rendered):
    return {"scenes": rendered}


@pytest.fixture(scope="module")
def runs(roots, tmp_path_factory):
    """With a run of one epoch, `master`."""
    folder = tmp_path_factory.mktemp("runs")
    tiny_training(folder, roots, ["name=master", ONE_EPOCH])
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder)
    tiny_bundle(folder, name="cities", label_space="cityscapes-19")
    exact = Preprocessing(resize="exact", height=64, width=96)
    tiny_bundle(folder, name="fixed", preprocessing=exact)
    return folder


def opened(runs, models, *settings):
    recipe = tiny_order(runs, {}, settings).recipe()
    return open_distillation(recipe, models=[models], runs=runs, device=torch.device("cpu"))


def fake_teacher(predict, **changes):
    values = {"preprocessing": Preprocessing(long_side=64), "space": find_label_space("camvid-11"), "note": "fake"}
    return Teacher(predict=predict, learnt=(), **{**values, **changes})


def weights(folder):
    return read_checkpoint(folder / "checkpoint.pt")["average"]


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


def test_the_loss_is_shared_out_between_truth_and_teacher_on_ignored_pixels_too():
    torch.manual_seed(0)
    images, logits, taught = torch.randn(2, 3, 32, 32), torch.randn(2, 11, 8, 8), torch.randn(2, 11, 16, 16)
    choice = DistillationChoice(teacher="fake", weight=0.25, temperature=3.0)
    objective = Objective(
        torch.nn.Module(),
        SegmentationLoss(ignore_id=255),
        teaching=Distillation(fake_teacher(lambda _: taught), choice),
    )
    objective.model.forward = lambda _: logits
    truth = torch.full((2, 32, 32), 255)
    fine = torch.nn.functional.interpolate(logits, (16, 16), mode="bilinear")
    soft = soft_label_loss(fine, taught, temperature=3.0).item()
    assert objective(images, truth).item() == pytest.approx(0.25 * soft)  # the truth tells nothing
    truth[:, :4] = 3
    plain = SegmentationLoss(ignore_id=255)(logits, truth).item()
    assert objective(images, truth).item() == pytest.approx(0.75 * plain + 0.25 * soft)


@pytest.mark.parametrize(("scale", "size"), [(1.0, (32, 64)), (2.0, (64, 128)), (1.3, (32, 96)), (0.1, (32, 32))])
def test_a_teacher_sees_the_crop_enlarged_to_a_size_that_it_takes(scale, size):
    teacher = fake_teacher(lambda images: images)
    assert teacher(torch.zeros(2, 3, 32, 64), scale=scale).shape == (2, 3, *size)


def test_a_bundle_sees_what_it_would_see_when_it_serves(runs, models):
    """Its mean and deviation are others than training's."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    images = torch.stack([torch.from_numpy(normalise(each)).permute(2, 0, 1) for each in pictures])
    distillation = opened(runs, models, "distillation.teacher=tiny")
    predict = onnx_predictor(models / "tiny" / "model.onnx")
    expected = torch.stack([predict(normalised(each, mean=(0.5,) * 3, std=(0.25,) * 3)) for each in pictures])
    torch.testing.assert_close(distillation.teacher(images), expected, atol=1e-5, rtol=0)


def test_a_run_teaches_with_its_averaged_weights_and_stays_as_it_is(runs, models):
    teacher = opened(runs, models, "distillation.teacher=master").teacher
    assert same(teacher.predict.state_dict(), weights(runs / "master"))
    assert not teacher.predict.training
    assert not any(each.requires_grad for each in teacher.predict.parameters())
    assert teacher.note.startswith("master (epoch 1, sha256 ")


def test_a_run_is_taught_by_another_and_says_so(roots, runs):
    before = (runs / "master" / "checkpoint.pt").read_bytes()
    settings = ["seed=2", ONE_EPOCH]
    alone = tiny_training(runs, roots, ["name=alone", *settings])
    taught = tiny_training(runs, roots, ["name=taught", "distillation.teacher=master", *settings])
    assert not same(weights(taught), weights(alone))
    assert read_checkpoint(taught / "checkpoint.pt")["model"].keys() == weights(alone).keys()
    assert (runs / "master" / "checkpoint.pt").read_bytes() == before
    assert RunFacts.read(taught).taught_by.startswith("master (epoch 1, sha256 ")
    assert RunFacts.read(alone).taught_by == ""


def test_a_run_on_a_bundle_comes_closer_to_it(roots, runs, models):
    """Soft labels alone, of a network that calls red things sky, green ones buildings and blue ones poles."""
    settings = [
        "distillation.teacher=tiny",
        "distillation.weight=1",
        "distillation.temperature=1",
        "stages[0].epochs=8",
        "optimiser.learning_rate=0.01",
    ]
    order = replace(tiny_order(runs, roots, ["name=close", *settings]), models=[models])
    losses = [line["train_loss"] for line in run_order(order, settings=UNTRACKED).history()]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["distillation.teacher=nobody"],
            r"line \d+: distillation.teacher: 'nobody' is no folder .*bundles: cities",
        ),
        (
            ["distillation.teacher=models:/nobody@champion"],
            r"line \d+: distillation.teacher: the registry has no nobody@champion",
        ),
        (["distillation.teacher=cities"], r"distillation.teacher: cities .* classes of cityscapes-19; allowed: a teac"),
        (["distillation.teacher=fixed"], r"distillation.teacher: fixed .* takes pictures of 96×64 alone"),
        (["distillation.weight=0.5"], "distillation.teacher: missing; expected text"),
        (["distillation.teacher=tiny", "distillation.weight=1.5"], r"weight: got 1.5; allowed: above 0, at most 1"),
        (["distillation.teacher=tiny", "distillation.temperature=0"], r"temperature: got 0.0; allowed: above 0"),
        (["distillation.teacher=tiny", "distillation.scale=-1"], r"scale: got -1.0; allowed: above 0"),
        (["distillation.teacher=tiny", "loss.name=own"], r"teacher: got 'tiny'; allowed: none with loss.name = 'own'"),
    ],
)
def test_what_cannot_teach_or_be_taught_is_refused(roots, runs, models, settings, message, mlflow_uri, monkeypatch):
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", mlflow_uri)
    with pytest.raises(RecipeError, match=message):
        order = replace(tiny_order(runs, roots, ["name=refused", *settings]), models=[models])
        run_order(order, settings=UNTRACKED)
    assert not (runs / "refused" / "checkpoint.pt").exists()


def test_a_damaged_teacher_is_refused(roots, runs, tmp_path):
    (tiny_bundle(tmp_path).folder / "model.onnx").write_bytes(b"")
    with pytest.raises(RecipeError, match=r"distillation.teacher: file model.onnx of model tiny is not the one"):
        opened(runs, tmp_path, "distillation.teacher=tiny")


def test_a_run_does_not_go_on_with_another_teacher(roots, runs, tmp_path):
    bundle = tiny_bundle(tmp_path)
    order = replace(tiny_order(runs, roots, ["name=loyal", "distillation.teacher=tiny", ONE_EPOCH]), models=[tmp_path])
    run_order(order, settings=UNTRACKED)
    change_version(bundle, "2")
    longer = replace(order, text=order.text.replace("epochs = 1", "epochs = 2"))
    with pytest.raises(RecipeError, match=r"was taught by tiny \(version 1, .* would be by tiny \(version 2, "):
        run_order(longer, settings=UNTRACKED)
    change_version(bundle, "1")
    assert run_order(longer, settings=UNTRACKED).epochs_done == 2


def test_a_run_whose_recipe_cannot_be_read_is_no_teacher(roots, runs):
    broken = runs / "broken"
    broken.mkdir()
    for name in ("checkpoint.pt", "facts.json"):
        (broken / name).write_bytes((runs / "master" / name).read_bytes())
    (broken / "recipe.toml").write_text('seed = "one"')
    with pytest.raises(RecipeError, match=r"distillation.teacher: .*recipe.toml is damaged.*name: missing") as raised:
        opened(runs, runs, "distillation.teacher=broken")
    assert raised.value.where == "distillation.teacher"
