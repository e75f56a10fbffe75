"""What a training leaves as it is: an encoder that is held still."""

import pytest
import torch

from tests.tiny_runs import RECIPE, tiny_order, tiny_training
from training.fit.strategies import set_training
from training.recipe.building import build_model
from training.recipe.file import read_recipe
from training.recipe.recipe import RecipeError
from training.spaces import find_label_space


def fresh():
    torch.manual_seed(1)
    recipe = read_recipe(RECIPE, name="tiny.toml")
    return build_model(recipe.model, find_label_space(recipe.label_space))


def test_an_encoder_thaws_again():
    model = fresh()
    set_training(model, freeze_encoder=True)
    assert not model.encoder.training
    assert model.decoder.training
    assert not any(each.requires_grad for each in model.encoder.parameters())
    set_training(model, freeze_encoder=False)
    assert model.encoder.training
    assert all(each.requires_grad for each in model.parameters())


def test_the_loss_of_a_model_without_one_of_its_own_is_refused(tmp_path, rendered):
    roots = {"scenes": rendered}
    with pytest.raises(RecipeError, match=r"loss.name: got 'own'; this architecture has no loss of its own"):
        tiny_training(tmp_path, roots, ["loss.name=own"])
    assert tiny_order(tmp_path, roots).recipe().loss.name == "cross_entropy"
