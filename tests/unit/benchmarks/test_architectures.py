"""The comparison of architectures: one budget, rows that are kept, tables that say what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.architectures.__main__ import main, train_all
from benchmarks.architectures.budget import LONG, Budget
from benchmarks.architectures.comparisons import COMPARISONS
from benchmarks.architectures.contenders import CONTENDERS, LONGER, Contender, chosen_contenders
from benchmarks.architectures.ledger import AnotherBudget, Ledger
from benchmarks.architectures.trial import ONNX
from segmentation.label_spaces import get_label_space
from training.models import MODELS
from training.recipe.building import build_empty_model
from training.recipe.file import load_recipe

RECIPES = Path(__file__).parents[3] / "training" / "recipes"
TINY = Budget(pictures=2, checked_pictures=1, epochs=1, batch_size=2, crop=(32, 32), long_side=32, scene_size=(64, 48))
SMALL = Contender(name="small", title="Small", architecture="fpn", options={"encoder": "tu-mobilenetv3_small_050"})


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "architectures.json")
    ledger.begin(TINY.to_dict(), afresh=False)
    return ledger


def test_every_architecture_takes_part():
    assert {each.architecture for each in CONTENDERS} == set(MODELS)


def test_names_of_rows_are_unique_and_unknown_ones_are_told():
    for comparison in COMPARISONS.values():
        assert len({each.name for each in comparison.contenders}) == len(comparison.contenders)
    assert chosen_contenders(["dilatednet"], CONTENDERS)[0].architecture == "dilatednet"
    with pytest.raises(KeyError, match="there are unet-resnet34"):
        chosen_contenders(["vgg"], CONTENDERS)


def test_everybody_gets_the_same_recipe_but_for_the_model_and_what_its_own_loss_needs():
    expected = TINY.recipe(SMALL)
    for contender in CONTENDERS:
        recipe = TINY.recipe(contender)
        recipe = replace(recipe, name=expected.name, model=expected.model)
        if contender.architecture == "mask2former":
            assert (recipe.loss.name, recipe.optimiser.learning_rate) == ("own", TINY.learning_rate / 4)
            recipe = replace(recipe, loss=expected.loss, optimiser=expected.optimiser)
        assert recipe == expected


def test_the_longer_comparison_differs_by_network_first_weights_and_seed_alone():
    expected = TINY.recipe(SMALL)
    for contender in LONGER:
        recipe = TINY.recipe(contender)
        assert (recipe.seed, recipe.optimiser.encoder_factor) == (
            contender.seed or TINY.seed,
            0.25 if contender.pretrained else 1.0,
        )
        optimiser = replace(recipe.optimiser, encoder_factor=1.0)
        same = replace(recipe, name=expected.name, model=expected.model, seed=expected.seed, optimiser=optimiser)
        assert same == expected


@pytest.mark.parametrize(("row", "model"), [("fpn-lite0", "street-fast"), ("fpn-lite2", "street-accurate")])
def test_the_bundled_networks_are_trained_with_three_seeds(row, model):
    shipped = build_empty_model(load_recipe(RECIPES / f"{model}-base.toml").model, get_label_space("camvid-11"))
    first, *others = [LONG.recipe(each) for each in LONGER if each.name.startswith(f"{row}-imagenet")]
    assert str(build_empty_model(first.model, get_label_space("camvid-11"))) == str(shipped)
    assert [each.model for each in others] == [first.model] * 2
    assert [each.seed for each in (first, *others)] == [1, 2, 3]


def test_the_longer_budget_is_two_thousand_steps_of_all_the_pictures():
    assert LONG.steps >= 2000
    assert LONG.pictures == 367


def test_rows_of_two_budgets_never_stand_in_one_table(ledger):
    ledger.keep("rows", "unet", {"miou": 0.1})
    again = Ledger(ledger.path)
    with pytest.raises(AnotherBudget, match="--afresh"):
        again.begin(replace(TINY, epochs=2).to_dict(), afresh=False)
    again.begin(TINY.to_dict(), afresh=False)
    assert again.rows == {"unet": {"miou": 0.1}}
    again.begin(replace(TINY, epochs=2).to_dict(), afresh=True)
    assert again.rows == {}


def test_two_processes_keep_rows_in_one_file(ledger):
    other = Ledger(ledger.path)
    other.begin(TINY.to_dict(), afresh=False)
    ledger.keep("rows", "unet", {"miou": 0.1})
    other.keep("rows", "fpn", {"miou": 0.2})
    ledger.keep("rows", "unet", {"speed": {}})
    assert Ledger(ledger.path).rows == {"unet": {"miou": 0.1, "speed": {}}, "fpn": {"miou": 0.2}}


def test_a_model_that_is_no_longer_shipped_has_no_row(ledger):
    ledger.keep("bundled", "old", {"miou": 0.1})
    ledger.forget_bundled(but={"new"})
    assert Ledger(ledger.path).bundled == {}


def test_a_row_is_trained_once_scored_and_exported(ledger, tmp_path, rendered):
    roots = {"scenes": rendered}
    train_all([SMALL], TINY, roots, ledger=ledger, runs=tmp_path / "runs")
    row = ledger.rows["small"]
    assert 0 <= row["miou"] <= row["mean_dice"] <= 1
    assert 0 <= row["pixel_accuracy"] <= 1
    assert row["parameters"] > 100_000
    ledger.keep("rows", "small", {"miou": 0.99})
    train_all([SMALL], TINY, roots, ledger=ledger, runs=tmp_path / "runs")
    assert ledger.rows["small"]["miou"] == 0.99
    assert json.loads(ledger.path.read_text())["figures"]["rows"]["small"]["miou"] == 0.99
    assert (tmp_path / "runs" / TINY.digest / "small" / ONNX).is_file()


def test_the_command_takes_the_comparisons_budget_but_for_what_is_given(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "long.json")
    ledger.begin(replace(LONG, epochs=2, crop=(32, 64)).to_dict(), afresh=False)
    ledger.keep("rows", "fpn-lite0", {"miou": 0.5})
    order = ["train", "fpn-lite0", "--comparison", "long", "--results", str(ledger.path), "--crop", "32", "64"]
    monkeypatch.setattr("sys.argv", ["architectures", *order, "--epochs", "2"])
    main()
    assert Ledger(ledger.path).rows == {"fpn-lite0": {"miou": 0.5}}
    monkeypatch.setattr("sys.argv", ["architectures", *order, "--epochs", "3"])
    with pytest.raises(AnotherBudget):
        main()


def test_speeds_are_not_measured_of_the_longer_comparison(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["architectures", "speed", "--comparison", "long"])
    with pytest.raises(SystemExit):
        main()
    assert "speeds do not depend on the training" in capsys.readouterr().err
