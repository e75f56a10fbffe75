"""`maskmill compare` on two bundles of a model that tells three colours apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED
from tests.tiny_comparison import flags
from tests.tiny_models import tiny_bundle

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`maskmill compare …` in a folder with the bundles `one` and `two` and the data set `flags`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))
    for name in ("one", "two"):
        tiny_bundle(tmp_path / "home" / "models", name=name)
    flags(tmp_path / "flags", 2)
    words = ("--data", "folder", "--root", "folder=flags", "--option", "label_space=camvid-11")
    return lambda *more: CliRunner().invoke(app, ["compare", *map(str, more), *words], catch_exceptions=False)


def test_the_page_is_written_and_its_summary_is_shown(run: Run, tmp_path: Path) -> None:
    result = run("one", "two", "--threads", "1", "--out", "new/page.html", "--title", "Flags")
    assert result.exit_code == 0
    assert "A, one, and B, two, have the highest mIoU" in result.stdout
    assert "A and B have the same mIoU on 2 pictures." in result.stdout
    assert "The page: new/page.html" in result.stdout
    page = (tmp_path / "new" / "page.html").read_text("utf-8")
    assert "<h1>Flags</h1>" in page
    assert "onnxruntime on cpu, 1 thread" in page


def test_json_stands_alone_on_stdout_and_is_what_lies_beside_the_page(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("one", "two", "--json", "--no-speed", "--published-colours").stdout)
    assert told.pop("page") == "comparison.html"
    assert told == json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert [model["name"] for model in told["models"]] == ["one", "two"]


def test_one_model_is_refused_with_a_code(run: Run) -> None:
    result = run("one", "--json", "--no-speed")
    assert result.exit_code == REFUSED
    assert json.loads(result.stdout)["error"]["code"] == "nothing_to_compare"


def test_a_data_set_among_the_models_is_told_where_it_belongs(run: Run) -> None:
    error = json.loads(run("one", "two", "camvid", "--json", "--no-speed").stdout)["error"]
    assert error["code"] == "subject_not_found"
    assert error["message"].endswith("; the data set is named by --data camvid")


@pytest.mark.parametrize("place", ["flags", "comparison.json"])
def test_a_page_that_cannot_be_written_is_told_before_the_work(run: Run, tmp_path: Path, place: str) -> None:
    next((tmp_path / "flags").rglob("*.png")).write_bytes(b"what is looked at later is broken")
    result = run("one", "two", "--no-speed", "--out", place)
    assert result.exit_code == REFUSED
    assert place in result.stderr


def test_an_unknown_model_is_a_sentence(run: Run) -> None:
    result = run("one", "nobody")
    assert result.exit_code == REFUSED
    assert "bundles: " in result.stderr


def test_classes_that_a_model_cannot_give_are_named(run: Run) -> None:
    result = run("one", "two", "--no-speed", "--label-space", "cityscapes-19")
    assert "A was trained on other classes and cannot say" in result.stdout
    assert "train" in result.stdout
