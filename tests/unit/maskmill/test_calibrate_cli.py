"""`maskmill models calibrate`: what it publishes and tells, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED
from storage.catalog import Catalog
from tests.tiny_models import RED, tiny_bundle

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, own_home: Path) -> Run:
    """`maskmill models calibrate tiny …` with red pictures, of which seven tenths are sky; the model is surer."""
    tiny_bundle(own_home / "models")
    for name in range(6):
        truth = (np.random.default_rng(name).random((64, 64)) > 0.7).astype(np.uint8)
        for folder, pixels in (("images", np.full((64, 64, 3), RED, np.uint8)), ("masks", truth)):
            (tmp_path / "streets" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "streets" / folder / f"{name}.png")
    words = ("models", "calibrate", "tiny", "folder", "--root", "folder=streets", "--option", "label_space=camvid-11")
    return lambda *more: CliRunner().invoke(app, [*words, *map(str, more)], catch_exceptions=False)


def error_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == REFUSED
    told: dict[str, Any] = json.loads(result.stdout)["error"]
    return told


def test_the_result_is_a_model_that_can_be_served(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("--json").stdout)
    assert told["before"]["confidence"] > 0.9
    assert told["before"]["accuracy"] == pytest.approx(0.7, abs=0.05)
    assert told["checked"]["after"]["confidence"] < 0.8
    assert (told["data"]["pictures"], told["better"], told["tied_pixels"]) == (6, True, {"model.onnx": 0})
    card = Catalog([tmp_path / "home" / "models"]).card("tiny-calibrated")
    assert card.temperature == told["divided_by"] == told["model"]["temperature"]


def test_whoever_scores_it_on_the_same_pictures_is_told(run: Run, tmp_path: Path) -> None:
    assert run().exit_code == 0
    place = ("--root", "folder=streets", "--option", "label_space=camvid-11")

    def warning() -> str:
        words = ["evaluate", "tiny-calibrated", "folder", *place, "--no-speed", "--json"]
        data = json.loads(CliRunner().invoke(app, words).stdout)["data"]
        assert not data["learnt_pictures"]
        return str(data["warning"])

    assert "confidence of tiny-calibrated was fitted to these pictures: its calibration error says" in warning()
    for folder, pixels in (("images", np.zeros((64, 64, 3), np.uint8)), ("masks", np.zeros((64, 64), np.uint8))):
        Image.fromarray(pixels).save(tmp_path / "streets" / folder / "new.png")
    assert "was fitted to 6 of these 7 pictures" in warning()


def test_people_read_before_and_after(run: Run) -> None:
    said = run("--name", "calm").stdout
    assert "fitted to the other half" in said
    assert "calm divides its logits by" in said
    assert "was not checked" in run("--name", "few", "--count", "4").stdout


def test_refusals_have_a_code_and_leave_nothing(run: Run, tmp_path: Path) -> None:
    assert error_of(run("--json", "--count", "1"))["code"] == "calibration_too_few_labelled"
    assert error_of(run("--json", "--name", "tiny"))["code"] == "model_name_taken"
    Image.fromarray(np.full((64, 64), 77, np.uint8)).save(tmp_path / "streets" / "masks" / "0.png")
    assert error_of(run("--json"))["code"] == "mask_unknown_ids"
    assert {each.name for each in (tmp_path / "home" / "models").iterdir()} == {"tiny"}
    assert json.loads(run("--json", "--unknown-ids", "ignore").stdout)["data"]["pixels"] == 5 * 13 * 13
