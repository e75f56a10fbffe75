"""Tables in the pages are written from the figures that are kept, and cannot drift from them."""

from __future__ import annotations

import json

import pytest

from benchmarks import pages


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_those_of_the_figures(page):
    text = page.read_text(encoding="utf-8")
    assert pages.with_figures(text) == text, "run `make pages`"


def test_a_table_that_nobody_knows_is_an_error():
    with pytest.raises(KeyError, match="speed-of-light"):
        pages.with_figures("<!-- figures: speed-of-light -->\n<!-- end of figures -->")


def test_the_best_row_comes_first_and_what_was_not_measured_is_a_dash(tmp_path, monkeypatch):
    machine = {"cores": 2, "processor": "a processor"}
    speed = {"onnxruntime": {"median_ms": 20.0, "images_per_s": 49.5}}
    row = {"title": "A", "note": "", "miou": 0.2, "mean_dice": 0.3, "pixel_accuracy": 0.7, "parameters": 1_250_000}
    rows = {
        "a": {**row, "speed": speed, "speed_machine": machine, "commit": "c1", "date": "d1"},
        "b": {**row, "title": "B", "note": "half as wide", "miou": 0.4, "commit": "c1", "date": "d1"},
    }
    budget = {"crop": [96, 128], "scale": [0.3, 0.7], "steps": 3, "batch_size": 8, "pictures": 9, "dataset": "camvid"}
    budget |= {"learning_rate": 0.0005, "seed": 1, "checked_pictures": 4, "long_side": 256}
    document = {"figures": {"budget": budget, "rows": rows, "bundled": {}}}
    (tmp_path / "architectures.json").write_text(json.dumps(document))
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.architecture_table().splitlines() == [
        "| model | mIoU | Dice | pixel accuracy | parameters (million) | ONNX Runtime: ms (images/s) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| B | 0.400 | 0.300 | 0.700 | 1.2 | – |",
        "| A | 0.200 | 0.300 | 0.700 | 1.2 | 20 (49.5) |",
    ]
    said = pages.budget_list()
    assert "3 steps of 8 crops of 128×96" in said
    assert "2 cores of a processor" in said
    assert "* B: half as wide." in said
    assert pages.bundled_table() == "Not measured yet."


def test_runs_of_several_seeds_are_one_row_with_mean_and_deviation(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.long_table() == pages.long_budget_list() == "Not measured yet."
    row = {"title": "A", "note": "narrow", "mean_dice": 0.3, "pixel_accuracy": 0.7, "parameters": 1_250_000}
    row |= {"commit": "c1", "date": "d1"}
    rows = {
        "a": {**row, "pretrained": False, "seed": 1, "miou": 0.2},
        "a-imagenet-seed2": {**row, "pretrained": True, "seed": 2, "miou": 0.5},
        "a-imagenet": {**row, "pretrained": True, "seed": 1, "miou": 0.4},
        "b-imagenet": {**row, "title": "B", "note": "", "pretrained": True, "seed": 1, "miou": 0.46},
    }
    budget = {"crop": [96, 128], "scale": [0.3, 0.7], "steps": 2025, "batch_size": 8, "pictures": 9}
    budget |= {"learning_rate": 0.001, "checked_pictures": 4, "long_side": 240, "dataset": "camvid"}
    (tmp_path / "training").mkdir()
    document = {"figures": {"budget": budget, "rows": rows, "bundled": {}}}
    (tmp_path / "training" / "architectures.json").write_text(json.dumps(document))
    assert pages.long_table().splitlines()[2:] == [
        "| B | ImageNet weights | 1 | 0.460 | 0.300 | 0.700 | 1.2 |",
        "| A | ImageNet weights | 1, 2 | 0.450 ± 0.071 | 0.300 ± 0.000 | 0.700 ± 0.000 | 1.2 |",
        "| A | nothing | 1 | 0.200 | 0.300 | 0.700 | 1.2 |",
    ]
    said = pages.long_budget_list().splitlines()
    assert said[0].startswith("* Training: 2,025 steps of 8 crops of 128×96")
    assert said[3:] == ["* Worth of the ImageNet weights in mIoU: A +0.250.", "* A: narrow."]


def test_changes_stand_below_each_other_and_models_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    assert pages.robustness_table() == "Not measured yet."
    miou = {"one": {"as they are": 0.7, "fog": 0.4561}, "two": {"as they are": 0.6, "fog": 0.5}}
    (tmp_path / "robustness.json").write_text(json.dumps({"figures": {"pictures": 2, "miou": miou}}))
    assert pages.robustness_table().splitlines() == [
        "| pictures | `one` | `two` |",
        "| --- | ---: | ---: |",
        "| as they are | 0.700 | 0.600 |",
        "| fog | 0.456 | 0.500 |",
    ]


def test_the_picture_of_the_robustness_table_shows_what_was_measured():
    assert pages.PICTURE.read_text(encoding="utf-8") == pages.robustness_figure(), "run `make pages`"
