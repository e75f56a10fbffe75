"""What a trainer says of a recipe from the queue that cannot be trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_runs import tiny_order
from training.datasets.pairs import DatasetError
from training.recipe.recipe import RecipeError
from training.tasks import run_training


def test_a_fault_is_told_in_a_sentence_with_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MASKMILL_TRAINING_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", "none")
    with pytest.raises(RecipeError):
        run_training("name = 3", "mine.toml", {})
    text = tiny_order(tmp_path, {}, ['data=[{dataset="folder"}]']).text
    with pytest.raises(DatasetError):
        run_training(text, "next.toml", {"folder": str(tmp_path / "nowhere")})
    first, second = (each.getMessage() for each in caplog.records if each.levelname == "ERROR")
    assert first.startswith("mine.toml is not trained: mine.toml: model: missing")
    assert second.startswith("next.toml is not trained: there is no folder ")
    assert {RecipeError, DatasetError} <= {*run_training.throws}  # Celery writes no traceback of these
