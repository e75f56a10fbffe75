"""`maskmill tune`: it measures, keeps and tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED
from maskmill.doctor import examine
from tests.tiny_models import tiny_bundle

Run = Callable[..., Result]


@pytest.fixture
def run(own_home: Path) -> Run:
    tiny_bundle(own_home / "models", name="mine")
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_what_it_finds_is_told_by_it_by_models_and_by_the_doctor(run: Run, tmp_path: Path) -> None:
    said = {finding.name: finding.said for finding in examine(tmp_path / "home").found}["mine"]
    assert "not measured here yet" in said
    told = run("tune", "mine")
    assert told.exit_code == 0, told.stderr
    chosen = next(line.split()[1:3] for line in told.stdout.splitlines() if line.startswith("✓"))
    (item,) = json.loads(run("tune", "mine", "--json").stdout)["items"]
    assert (item["model"], item["way"]["precision"]) == ("mine", "fp32")
    assert {each["way"]["engine"] for each in item["timed"]} == {"openvino", "onnxruntime"}
    assert chosen[1] == "fp32"
    listed = json.loads(run("models", "list", "--local", "--json").stdout)["items"]
    runs_as = f"{item['way']['engine']} fp32"
    assert {each["name"]: each["runs_as"] for each in listed}["mine"] == runs_as
    assert runs_as in run("models", "list", "--local").stdout
    said = {finding.name: finding.said for finding in examine(tmp_path / "home").found}["mine"]
    assert f"fastest here in {runs_as}" in said


def test_a_setting_that_leaves_one_way_is_told_without_figures(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ENGINE", "onnxruntime"), ("PRECISION", "fp32"), ("STREAMS", "1")):
        monkeypatch.setenv(f"MASKMILL_WORKER_{name}", value)
    assert "✓  onnxruntime fp32" in run("tune", "mine").stdout


def test_a_model_that_is_not_there_is_told(run: Run) -> None:
    told = run("tune", "none", "--json")
    assert (told.exit_code, json.loads(told.stdout)["error"]["code"]) == (REFUSED, "model_not_found")
