"""How a training begins: from another run's weights, with an encoder held still, with other classes."""

import json

import pytest
import torch

from tests.tiny_runs import RECIPE, tiny_order, tiny_training
from training.fit.strategies import begin_with, encoder_names, set_training
from training.recipe.building import build_model
from training.recipe.edit import with_settings
from training.recipe.file import read_recipe
from training.recipe.recipe import RecipeError
from training.spaces import find_label_space

OTHER_CLASSES = "label_space=cityscapes-19"


def recipe_with(*settings):
    return read_recipe(with_settings(RECIPE, settings), name="tiny.toml")


def fresh(recipe, *, seed):
    torch.manual_seed(seed)
    return build_model(recipe.model, find_label_space(recipe.label_space))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs with one in it, `old`, whose weights are those of seed 1."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "old").mkdir()
    (folder / "old" / "recipe.toml").write_text(RECIPE)
    weights = fresh(recipe_with(), seed=1).state_dict()
    torch.save({"epoch": 7, "average": weights}, folder / "old" / "checkpoint.pt")
    return folder


@pytest.fixture(scope="module")
def old(runs):
    return torch.load(runs / "old" / "checkpoint.pt", weights_only=True)["average"]


def taken(model, old):
    """Names of what is the same as in the old run; a fresh batch norm is always the same."""
    return {name for name, tensor in model.state_dict().items() if torch.equal(tensor, old[name])}


def test_a_run_is_continued_with_all_of_its_weights(runs, old):
    recipe = recipe_with("start.from=old")
    model = fresh(recipe, seed=2)
    note = begin_with(model, recipe, beside=runs).note
    assert taken(model, old) == set(old)
    assert note.startswith("old (epoch 7, sha256 ")
    assert note.endswith(f"; {len(old)} of {len(old)} tensors taken")


def test_the_encoder_alone_can_be_taken(runs, old):
    recipe = recipe_with(f"start.from={runs / 'old'}", "start.encoder_only=true")
    model = fresh(recipe, seed=2)
    begin_with(model, recipe, beside=runs / "elsewhere")
    assert encoder_names(model) <= taken(model, old)
    assert "segmentation_head.0.weight" not in taken(model, old)


def test_other_classes_begin_with_another_head(runs, old):
    recipe = recipe_with("start.from=old", OTHER_CLASSES)
    model = fresh(recipe, seed=2)
    begin_with(model, recipe, beside=runs)
    assert set(old) - taken(model, old) == {"segmentation_head.0.weight", "segmentation_head.0.bias"}


def test_as_many_classes_of_another_kind_begin_with_another_head(runs, old, tmp_path):
    space = find_label_space("camvid-11").to_dict()
    space = json.loads(json.dumps(space).replace('"sky"', '"heaven"')) | {"name": "mine"}
    (tmp_path / "mine.json").write_text(json.dumps(space))
    recipe = recipe_with("start.from=old", f"label_space={tmp_path / 'mine.json'}")
    model = fresh(recipe, seed=2)
    begin_with(model, recipe, beside=runs)
    assert set(old) - taken(model, old) == {"segmentation_head.0.weight"}  # a bias begins with zeros anyway


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["start.from=nobody"], "start.from: there is no run or checkpoint nobody"),
        (["start.from=bundle"], "start.from: a bundle holds weights to serve, not to train"),
        (["start.from=old", "model.options.encoder=tu-test_efficientnet"], "start.from: old .* is another network"),
    ],
)
def test_what_cannot_be_begun_with_is_refused(runs, settings, message):
    (runs / "bundle").mkdir(exist_ok=True)
    (runs / "bundle" / "card.json").touch()
    recipe = recipe_with(*settings)
    with pytest.raises(RecipeError, match=message):
        begin_with(fresh(recipe, seed=2), recipe, beside=runs)


def test_a_frozen_encoder_keeps_its_weights_and_its_statistics(tmp_path, tmp_path_factory):
    """Through the real training: the second stage thaws, and what was begun with is noted."""
    roots = {"scenes": tmp_path_factory.mktemp("scenes")}
    first = tiny_training(tmp_path, roots, ["name=first", "stages[0].epochs=1"])
    settings = ["name=second", "start.from=first", "stages[0].epochs=1", "stages[0].freeze_encoder=true"]
    second = tiny_training(tmp_path, roots, settings)
    before, after = (torch.load(run / "checkpoint.pt", weights_only=True)["average"] for run in (first, second))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if name.startswith("encoder.")]
    assert json.loads((second / "facts.json").read_text())["started_from"].startswith("first (epoch 1, sha256 ")


def test_an_encoder_thaws_again():
    model = fresh(recipe_with(), seed=1)
    set_training(model, freeze_encoder=True)
    assert not model.encoder.training
    assert model.decoder.training
    assert not any(each.requires_grad for each in model.encoder.parameters())
    set_training(model, freeze_encoder=False)
    assert model.encoder.training
    assert all(each.requires_grad for each in model.parameters())


def test_the_loss_of_a_model_without_one_of_its_own_is_refused(tmp_path, tmp_path_factory):
    roots = {"scenes": tmp_path_factory.mktemp("scenes")}
    with pytest.raises(RecipeError, match=r"loss.name: got 'own'; this architecture has no loss of its own"):
        tiny_training(tmp_path, roots, ["loss.name=own"])
    assert tiny_order(tmp_path, roots).recipe().loss.name == "cross_entropy"
