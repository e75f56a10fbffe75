"""The comparison of architectures: one budget, rows that are kept, tables that say what was measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.architectures.__main__ import train_all
from benchmarks.architectures.budget import Budget
from benchmarks.architectures.contenders import CONTENDERS, Contender, chosen_contenders
from benchmarks.architectures.ledger import AnotherBudget, Ledger
from benchmarks.architectures.trial import ONNX
from training.models import MODELS

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
    assert len({each.name for each in CONTENDERS}) == len(CONTENDERS)
    assert chosen_contenders(["dilatednet"])[0].architecture == "dilatednet"
    with pytest.raises(KeyError, match="there are unet-resnet34"):
        chosen_contenders(["vgg"])


def test_everybody_gets_the_same_recipe_but_for_the_model_and_what_its_own_loss_needs():
    expected = TINY.recipe(SMALL)
    for contender in CONTENDERS:
        recipe = TINY.recipe(contender)
        recipe = replace(recipe, name=expected.name, model=expected.model)
        if contender.architecture == "mask2former":
            assert (recipe.loss.name, recipe.optimiser.learning_rate) == ("own", TINY.learning_rate / 4)
            recipe = replace(recipe, loss=expected.loss, optimiser=expected.optimiser)
        assert recipe == expected


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


def test_a_row_is_trained_once_scored_and_exported(ledger, tmp_path):
    roots = {"scenes": tmp_path / "scenes"}
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
