"""A recipe that is wrong says on which line, what it got, and what is allowed."""

import tomllib
from pathlib import Path

import pytest

import training.recipes
from training.fit.launch import Order
from training.recipe.building import check_choices
from training.recipe.edit import with_settings
from training.recipe.file import load_recipe, parse_recipe, read_recipe
from training.recipe.recipe import RecipeError
from training.recipe.unused import unused

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
        (
            'name = "small"',
            'name = "small"\ncolour = 1',
            r"line 3: colour: unknown key, got 1; allowed: name, model, data",
        ),
        ('name = "small"', "name = 3", "line 2: name: expected text, got 3"),
        ('name = "small"', 'name = "../small"', r"line 2: name: got '../small'; allowed: letters, digits"),
        ('name = "small"', 'name = "small"\nseed = true', "line 3: seed: expected a whole number, got True"),
        ('architecture = "deeplabv3plus"', "", "line 3: model.architecture: missing; expected text"),
        ("epochs = 2", "epochs = 0", r"line 11: stages\[0\].epochs: got 0; allowed: 1 or more"),
        ("crop = [64, 96]", "crop = [64, 90]", r"line 13: stages\[0\].crop: got \[64, 90\]; allowed: multiples of 32"),
        ("crop = [64, 96]", "crop = [\n64,\n0.5]", r"line 13: stages\[0\].crop\[1\]: expected a whole number, got 0.5"),
        ("crop = [64, 96]", "crop = [64]", r"line 13: stages\[0\].crop: expected a list of 2"),
        (
            "epochs = 3",
            'epochs = 3\ndata = ["moon"]',
            r"line 17: stages\[1\].data: got \['moon'\]; allowed: among scenes",
        ),
        (
            "[model]",
            '[optimiser]\nname = "magic"\n[model]',
            "line 4: optimiser.name: got 'magic'; allowed: 'adamw', 'adam'",
        ),
        ("[model]", "optimiser = 1\n[model]", "line 3: optimiser: expected a table, got 1"),
        (
            "[model]",
            '# λ\n[loss]\nname = "cross_entropy_dice"\n[model]',
            "line 4: loss.dice_share: got 0.0; allowed: above 0",
        ),
        ("[model]", "start = { from = 3 }\n[model]", "line 3: start.from: expected text, got 3"),
        ("[model]", "long_side = 500\n[model]", "line 3: long_side: got 500; allowed: multiples of 32"),
        ("[model]", "augmentation = { flip = 5 }\n[model]", "line 3: augmentation.flip: got 5.0; allowed: 0 to 1"),
        ("[model]", "augmentation = { aspect = 1 }\n[model]", "line 3: augmentation.aspect: got 1.0; allowed: 0 or"),
        ("[model]", "augmentation = { tint = -0.1 }\n[model]", "line 3: augmentation.tint: got -0.1; allowed: 0 or"),
        (
            "[model]",
            "loss = { class_weight_highest = -5 }\n[model]",
            "line 3: loss.class_weight_highest: got -5.0; allowed: above 0",
        ),
        ("[model]", "schedule = { power = -1 }\n[model]", "line 3: schedule.power: got -1.0; allowed: 0 or more"),
        ("[model]", "loss = { dice_share = inf }\n[model]", "line 3: loss.dice_share: expected a finite number"),
        ("[model]", f"ema_decay = 1{400 * '0'}\n[model]", "line 3: ema_decay: expected a finite number"),
        ("[model]", "seed = 99999999999999999\n[model]", "line 3: seed: got 99999999999999999; allowed: 0 to 9"),
        ("[model]", "long_side = 320000\n[model]", "line 3: long_side: got 320000; allowed: .* at most 16384"),
        (
            "scale = [0.5, 1]",
            "scale = [1e-9, 1]",
            r"line 14: stages\[0\].scale: got \[1e-09, 1.0\]; allowed: .*0.01 to",
        ),
        ('split = "val"', "count = -1", "line 9: validation.count: got -1; allowed: 0 or more"),
        ('split = "val"', "share = 2", "line 9: validation.share: got 2.0; allowed: above 0, at most 1"),
        ('split = "val"', "count = 3\nshare = 0.5", "line 10: validation.share: got 0.5; allowed: 1 with count = 3"),
    ],
)
def test_a_wrong_recipe_says_on_which_line_and_what_is_allowed(old, new, message):
    with pytest.raises(RecipeError, match="^small.toml, " + message):
        read_recipe(GOOD.replace(old, new, 1), name="small.toml")


def test_a_recipe_without_a_key_has_no_line_for_it():
    with pytest.raises(RecipeError, match=r"^small.toml: stages: missing; expected a list"):
        read_recipe(GOOD.split("[[stages]]", maxsplit=1)[0], name="small.toml")


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("optimiser.learning_rate=0.5", lambda recipe: recipe.optimiser.learning_rate == 0.5),
        ("stages[1].epochs=7", lambda recipe: recipe.stages[1].epochs == 7),
        ("name=other", lambda recipe: recipe.name == "other"),
        ("seed=5", lambda recipe: recipe.seed == 5),
        ("start.from=runs/x", lambda recipe: recipe.start.source == "runs/x"),
        ("stages[0].crop=[32, 32]", lambda recipe: recipe.stages[0].crop == (32, 32)),
    ],
)
def test_a_setting_changes_one_value_and_leaves_the_comments(setting, read):
    text = with_settings(GOOD + "# the end\n", [setting])
    assert read(read_recipe(text, name="set"))
    assert "# the end" in text


@pytest.mark.parametrize("setting", ["epochs", "stages[7].epochs=1", "stages.epochs=1", "name.first=a", "=3", "a..b=1"])
def test_a_setting_that_leads_nowhere_is_refused(setting):
    with pytest.raises(RecipeError, match=r"--set "):
        with_settings(GOOD, [setting])


def test_what_is_no_toml_is_a_recipe_error(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("name =")
    with pytest.raises(RecipeError, match=r"broken.toml is not TOML"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.architecture=resnot", r"line 4: model.architecture: got 'resnot'; allowed: .*deeplabv3plus"),
        ("model.options.heads=3", r"model.options.heads: unknown option of 'deeplabv3plus'; allowed: encoder"),
        ("data[0].dataset=moon", r"line 6: data\[0\].dataset: got 'moon'; allowed: camvid"),
        ("label_space=mars", r"label_space: .*mars"),
        ("data[0].options.scene_count=ten", r"data\[0\].options.scene_count: expected a whole number, got 'ten'"),
        ("model.options.decoder_channels=[1]", r"model.options.decoder_channels: expected a whole number, got \[1\]"),
        ("model.options.encoder_weights=3", r"model.options.encoder_weights: expected text, got 3"),
    ],
)
def test_a_choice_that_does_not_exist_names_the_line_and_the_choices(setting, message):
    order = Order(text=with_settings(GOOD, [setting]), title="small.toml")
    with pytest.raises(RecipeError, match=message):
        order.recipe()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimiser.momentum=2", "small.toml with --set: optimiser.momentum: got 2.0"),
        ("data[0].dataset=moon", r"small.toml with --set: data\[0\].dataset: got 'moon'"),
        ("seed=5", r"small.toml, line 13: stages\[0\].crop: got \[64, 90\]"),
    ],
)
def test_what_the_command_line_set_stands_on_no_line_and_moves_no_other(setting, message):
    file = GOOD.replace("[64, 96]", "[64, 90]") if setting == "seed=5" else GOOD
    order = Order(text=with_settings(file, [setting]), title="small.toml", file=file)
    with pytest.raises(RecipeError, match=f"^{message}"):
        order.recipe()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("optimiser.momentum=0.5", "optimiser.momentum = 0.5 counts nowhere with optimiser.name = 'adamw'"),
        ("schedule.gamma=0.5", "schedule.gamma = 0.5 counts nowhere with schedule.name = 'trapezoid'"),
        ("loss.focal_gamma=3", "loss.focal_gamma = 3.0 counts nowhere with loss.name = 'cross_entropy'"),
        ("start.encoder_only=true", "start.encoder_only = True counts nowhere without start.from"),
        ("early_stopping.least=0.1", "early_stopping.least = 0.1 counts nowhere without early_stopping.patience"),
        ("schedule.cool_down=0.5", None),
        ("early_stopping.metric=dice", None),  # by which the best weights are chosen, all the same
    ],
)
def test_a_key_that_nothing_reads_is_told(setting, said):
    recipe = read_recipe(with_settings(GOOD, [setting]), name="small.toml")
    assert list(unused(recipe)) == ([] if said is None else [said])


def test_of_no_teacher_and_no_weights_of_classes_the_keys_are_told():
    loss = {"class_weight_power": 0.0, "class_weight_highest": 2.0}
    text = with_settings(GOOD, [*(f"loss.{key}={value}" for key, value in loss.items()), "distillation.teacher=''"])
    told = list(unused(read_recipe(with_settings(text, ["distillation.weight=0.2"]), name="small.toml")))
    assert told == [
        "loss.class_weight_highest = 2.0 counts nowhere with loss.class_weight_power = 0",
        "distillation.weight = 0.2 counts nowhere without distillation.teacher",
    ]


@pytest.mark.parametrize("path", sorted(Path(training.recipes.__path__[0]).glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_ours_can_be_read(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    check_choices(recipe)
    assert list(unused(recipe)) == []
