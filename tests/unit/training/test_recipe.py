"""A recipe that is wrong says where, what it got, and what is allowed."""

import tomllib
from pathlib import Path

import pytest

import training.recipes
from training.datasets import DATASETS
from training.models import MODELS
from training.recipe import RecipeError
from training.recipe_file import chosen, load_recipe, parse_recipe

GOOD = """
name = "small"
[model]
architecture = "deeplabv3plus"
[[data]]
dataset = "scenes"
[validation]
dataset = "scenes"
split = "val"
[[stages]]
epochs = 2
batch_size = 4
crop = [64, 96]
scale = [0.5, 1]
[[stages]]
epochs = 3
batch_size = 2
crop = [96, 96]
scale = [0.5, 1.5]
"""


def test_a_recipe_is_read_with_its_defaults():
    recipe = parse_recipe(tomllib.loads(GOOD))
    assert recipe.epochs == 5
    assert recipe.stages[0].scale == (0.5, 1.0)
    assert [recipe.stage_of(epoch).batch_size for epoch in range(5)] == [4, 4, 2, 2, 2]
    assert recipe.optimiser.name == "adamw"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "small"', 'name = "small"\ncolour = 1', r"colour: unknown key; allowed: name, model, data"),
        ('name = "small"', "name = 3", "name: expected text, got 3"),
        ('name = "small"', 'name = "small"\nseed = true', "seed: expected a whole number, got True"),
        ('architecture = "deeplabv3plus"', "", "model.architecture: missing"),
        ("epochs = 2", "epochs = 0", r"stages\[0\].epochs: got 0; allowed: 1 or more"),
        ("crop = [64, 96]", "crop = [64, 90]", r"stages\[0\].crop: got \[64, 90\]; allowed: multiples of 32"),
        ("crop = [64, 96]", "crop = [64]", r"stages\[0\].crop: expected a list of 2"),
        ("epochs = 2", 'epochs = 2\ndata = ["moon"]', r"stages\[0\].data: got \['moon'\]; allowed: among scenes"),
        ("[model]", '[optimiser]\nname = "magic"\n[model]', "optimiser.name: got 'magic'; allowed: 'adamw', 'adam'"),
        ("[model]", "optimiser = 1\n[model]", "optimiser: expected a table, got 1"),
    ],
)
def test_a_wrong_recipe_says_where_and_what_is_allowed(old, new, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(tomllib.loads(GOOD.replace(old, new, 1)))


def test_what_is_no_toml_is_a_recipe_error(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("name =")
    with pytest.raises(RecipeError, match=r"broken.toml is not TOML"):
        load_recipe(path)


def test_an_unknown_architecture_names_the_choices():
    with pytest.raises(RecipeError, match=r"architecture: got 'resnot'; allowed: .*deeplabv3plus"):
        chosen(MODELS, "resnot", {}, "architecture")


def test_an_unknown_option_names_the_choices():
    with pytest.raises(RecipeError, match=r"options.heads of architecture 'deeplabv3plus': unknown; allowed: encoder"):
        chosen(MODELS, "deeplabv3plus", {"heads": 3}, "architecture")


@pytest.mark.parametrize("path", sorted(Path(training.recipes.__path__[0]).glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_ours_can_be_read(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    chosen(MODELS, recipe.model.architecture, recipe.model.options, "architecture")
    for choice in (*recipe.data, recipe.validation):
        chosen(DATASETS, choice.dataset, choice.options, "dataset")
