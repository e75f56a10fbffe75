"""`maskmill promote`: what it says, in sentences and in JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED
from tests.tiny_models import tiny_bundle, turned_bundle

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_uri: str) -> Run:
    """`maskmill promote …` in a folder with two bundles, `first` and `second`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", mlflow_uri)
    tiny_bundle(tmp_path, name="first")
    turned_bundle(tmp_path, name="second")
    return lambda *words: CliRunner().invoke(app, ["promote", *words], catch_exceptions=False)


def test_it_says_what_serves_now_what_did_before_and_how_to_go_back(run: Run):
    first = run("first", "--name", "street")
    assert "models:/street@champion is version 1 now; it named none before" in first.stdout
    assert """MASKMILL_WORKER_FOLLOW='["models:/street@champion"]' maskmill up""" in first.stdout
    again = run("first", "--name", "street").stdout
    assert "is version 1 now, as before" in again
    assert "FOLLOW" not in again
    second = run("second", "--name", "street").stdout
    assert "models:/street@champion is version 2 now; before it was version 1" in second
    assert "Go back: maskmill promote models:/street/1 --alias champion" in second
    back = run("models:/street/1", "--json")
    assert json.loads(back.stdout) == {"name": "street", "alias": "champion", "version": "1", "before": "2"}


def test_the_name_of_a_bundled_model_is_taken_over_only_when_that_is_said(run: Run):
    assert run("first", "--name", "street-fast", "--replace").exit_code == 0
    for what in (("second", "--name", "street-fast"), ("models:/street-fast/1",)):
        result = run(*what, "--json")
        assert result.exit_code == REFUSED
        assert json.loads(result.stdout)["error"]["code"] == "model_name_taken"
    again = run("second", "--name", "street-fast", "--replace")
    assert "Go back: maskmill promote models:/street-fast/1 --alias champion --replace" in again.stdout


def test_a_bundle_is_promoted_without_pytorch(run: Run, tmp_path: Path, mlflow_uri: str):
    """It takes seconds to load, and what is copied into the registry needs none of it."""
    code = (
        "import sys; from typer.testing import CliRunner; from maskmill.cli.app import app; "
        f"ended = CliRunner().invoke(app, ['promote', 'first', '--registry', {mlflow_uri!r}]); "
        "print(ended.exit_code, ended.stdout.splitlines()[0], 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "0 models:/first@champion is version 1 now; it named none before False"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("models:/street/7",), "not_registered"),
        (("models:/street/7", "--name", "street"), "not_registered"),
        (("models:/street/7", "--name", "other"), "promotion_refused"),  # a version has the name that it has
        (("models:/street/7", "--int8"), "promotion_refused"),
        (("first", "--int8"), "promotion_refused"),  # nothing is exported that could be quantised
    ],
)
def test_what_cannot_be_promoted_is_refused_with_a_code(run: Run, words: tuple[str, ...], code: str):
    result = run(*words, "--json")
    assert result.exit_code == REFUSED
    assert json.loads(result.stdout)["error"]["code"] == code
