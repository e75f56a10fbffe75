"""Train, evaluate, export, compare and promote a model: the five commands of the README in a row.

`make snippets` types them, each a process; here one process imports what they need once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maskmill.cli.app import app
from tests.tiny_runs import tiny_order
from training.runs import CHECKPOINT

ENCODER = '"tu-mobilenetv3_small_050"'
SETTINGS = [
    "evaluate_every=1",
    "stages[0].epochs=1",
    f'model={{architecture="fpn", options={{encoder={ENCODER}, pyramid_channels=32, decoder_channels=32}}}}',
]
ROUNDING = 0.02  # of half-precision weights, on two small pictures
SCENES = ("--option", "scene_count=2", "--option", "width=64", "--option", "height=64")  # as those of the recipe


@pytest.fixture
def maskmill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_template: Path) -> Callable[..., Any]:
    """The command in a folder of its own. Returns what it printed on stdout with --json."""
    home = tmp_path / ".maskmill"
    home.mkdir()
    shutil.copyfile(mlflow_template, home / "mlflow.db")  # its tables take seconds to make
    monkeypatch.setenv("MASKMILL_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Any:
        done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_is_trained_scored_exported_compared_and_promoted_by_five_commands(
    maskmill: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_order(tmp_path, {}, SETTINGS).text)
    trained = maskmill("train", "tiny.toml")
    assert (tmp_path / "runs" / "tiny" / CHECKPOINT).is_file(), trained

    evaluated = maskmill("evaluate", "tiny", "scenes", *SCENES, "--no-speed")
    exported = maskmill("export", "tiny", "--name", "tiny", "--models", "models")
    card = json.loads((tmp_path / "models" / "tiny" / "card.json").read_text())
    assert evaluated["scores"]["miou"] == pytest.approx(card["scores"]["miou"], abs=ROUNDING), exported

    maskmill("compare", "tiny", "models/tiny", *SCENES, "--no-speed", "--out", "page/comparison.html")
    assert "<html" in (tmp_path / "page" / "comparison.html").read_text(encoding="utf-8")

    promoted = maskmill("promote", "models/tiny", "--alias", "champion")
    again = maskmill("evaluate", "models:/tiny@champion", "scenes", *SCENES, "--no-speed")
    assert again["scores"]["miou"] == pytest.approx(card["scores"]["miou"], abs=ROUNDING), promoted
