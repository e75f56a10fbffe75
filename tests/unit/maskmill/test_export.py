"""`maskmill export`: what it shows, and how it ends when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED
from tests.tiny_runs import tiny_training
from training.runs import find_run


@pytest.fixture(scope="module")
def roots(rendered: Path) -> dict[str, Path]:
    return {"scenes": rendered}


@pytest.fixture(scope="module")
def runs(roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training(tmp_path_factory.mktemp("runs"), roots, ["stages[0].epochs=1"]).parent


def export(*words: object):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_a_table_shows_each_variant_and_what_was_refused(runs: Path, roots: dict[str, Path], tmp_path: Path):
    more = ("--runs", runs, "--root", f"scenes={roots['scenes']}", "--models", tmp_path)
    result = export("tiny", "--name", "small", *more)
    assert result.exit_code == 0
    assert (tmp_path / "small" / "model.onnx").is_file()
    first, *rest = result.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'small'}: fpn tu-test_resnet, trained for 1 of 1 epoch, from scratch")
    (onnxruntime,) = [line.split() for line in rest if line.startswith("fp32       onnxruntime")]
    assert onnxruntime[2] == "model.onnx"
    assert float(onnxruntime[7]) > 0  # images/s


def test_json_goes_alone_to_stdout(runs: Path, roots: dict[str, Path], tmp_path: Path):
    more = ("--root", f"scenes={roots['scenes']}", "--models", tmp_path, "--json")
    result = export(runs / "tiny", "--name", "small", *more)
    told = json.loads(result.stdout)
    assert told["files"] == {"onnx": "model.onnx"}
    assert told["agreements"]["onnx"]["difference"] < 0.02
    assert {each["precision"] for each in told["variants"]} >= {"fp32"}


def test_another_model_of_that_name_is_not_lost_unless_that_is_said(
    runs: Path, roots: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    """The same run again is the same model, whatever was measured of it."""
    more = ("--root", f"scenes={roots['scenes']}", "--models", tmp_path, "--json")
    assert [export(runs / "tiny", "--name", "small", *more).exit_code for _ in range(2)] == [0, 0]
    kept = (tmp_path / "small" / "model.onnx").read_bytes()
    other = tiny_training(tmp_path_factory.mktemp("runs"), roots, ["stages[0].epochs=1", "seed=7"])
    refused = export(other, "--name", "small", *more)
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["code"]) == (REFUSED, "model_name_taken")
    assert (tmp_path / "small" / "model.onnx").read_bytes() == kept
    assert export(other, "--name", "small", "--replace", *more).exit_code == 0
    assert (tmp_path / "small" / "model.onnx").read_bytes() != kept


def test_a_folder_of_a_runs_name_that_is_none_is_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("field").mkdir()  # of a data set, as it may be
    assert find_run("field", Path("runs")) == Path("field")
    Path("runs/field").mkdir(parents=True)
    Path("runs/field/checkpoint.pt").touch()
    assert find_run("field", Path("runs")) == Path("runs/field")
    assert export("field", "--name", "x").stderr.startswith("Error: runs/field is no run: there is no recipe.toml")
    Path("field/checkpoint.pt").touch()
    assert find_run("field", Path("runs")) == Path("field")
    assert find_run("nowhere", Path("runs")) == Path("runs/nowhere")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere", "--name", "x"], REFUSED, "is no run: there is no recipe.toml"),
        (["nowhere", "--name", "x", "--root", "moon=here"], REFUSED, "expected DATASET=FOLDER"),
        (["nowhere", "--name", "x", "--graph", "pictures"], 2, "logits or ids"),
    ],
)
def test_what_cannot_be_exported_says_why(
    words: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    result = export(*words)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())


def test_the_name_of_a_bundled_model_is_refused(
    runs: Path, roots: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path))
    more = ("--root", f"scenes={roots['scenes']}", "--json")
    for chosen in ((), ("--models", tmp_path / "models")):
        refused = export(runs / "tiny", "--name", "street-fast", *more, *chosen)
        assert (refused.exit_code, json.loads(refused.stdout)["error"]["code"]) == (REFUSED, "model_name_taken")
    assert export(runs / "tiny", "--name", "street-fast", *more, "--models", tmp_path / "own").exit_code == 0
