"""`maskmill models …`: what it lists, what it refuses, and that what it adds is served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED, USAGE
from storage.catalog import Catalog
from tests.tiny_models import onnx_model, tiny_bundle
from tests.unit.maskmill.toy_server import ToyServer, as_json

Run = Callable[..., Result]


@pytest.fixture
def run(own_home: Path) -> Run:
    """`maskmill models …` with a home of its own."""
    return lambda *words: CliRunner().invoke(app, ["models", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    onnx.save(onnx_model(), tmp_path / "mine.onnx")
    return tmp_path / "mine.onnx"


def error_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == REFUSED
    told: dict[str, Any] = json.loads(result.stdout)["error"]
    return told


def test_listing_is_what_models_does_alone(run: Run, server: ToyServer) -> None:
    server.on("GET", "/models", *(as_json({"items": [{"name": "toy"}]}) for _ in range(3)))
    for words in ((), ("list",)):
        assert json.loads(run(*words, "--json", "--server", server.url).stdout)["items"] == [{"name": "toy"}]
    assert " pull " in run("--help").stdout


def test_local_models_need_no_server(run: Run, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "home" / "models", name="mine")
    assert "mine" in run("list", "--local").stdout
    names = [item["name"] for item in json.loads(run("list", "--local", "--json").stdout)["items"]]
    assert "mine" in names
    assert len(names) > 1


def test_the_hub_catalogue_is_listed_with_what_is_here(run: Run, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "home" / "models", name="segformer-b0-cityscapes")
    lines = {line.split()[0]: line for line in run("list", "--hub").stdout.splitlines() if line.strip()}
    assert "✓" in lines["segformer-b0-cityscapes"]
    assert "✓" not in lines["segformer-b1-cityscapes"]
    assert "78.5 %" in lines["segformer-b1-cityscapes"]
    items = json.loads(run("list", "--hub", "--json").stdout)["items"]
    assert [item["here"] for item in items if item["name"] == "segformer-b0-cityscapes"] == [True]


def test_a_file_is_added_checked_and_removed(run: Run, mine: Path, tmp_path: Path) -> None:
    words = ("--label-space", "camvid-11", "--long-side", 64, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25")
    told = run("add", mine, "--name", "mine", *words, "--licence", "MIT", "--model-version", "7")
    assert told.exit_code == 0, told.stderr
    assert "openvino" in told.stdout
    assert "all is well" in told.stdout
    card = Catalog([tmp_path / "home" / "models"]).card("mine")
    assert (card.version, card.licence, card.preprocessing.std) == ("7", "MIT", (0.25, 0.25, 0.25))
    report = json.loads(run("check", tmp_path / "home" / "models" / "mine", "--json").stdout)
    assert report["model"]["name"] == "mine"
    assert {each["engine"].split()[0] for each in report["checks"]} == {"openvino", "onnxruntime"}
    assert "removed" in run("remove", "mine").stdout
    assert error_of(run("check", "mine", "--json"))["code"] == "model_not_found"


def test_a_card_file_says_it_too_and_options_win(run: Run, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(
        'name = "mine"\nlabel_space = "camvid-11"\nversion = "1"\n[preprocessing]\nlong_side = 64\n'
    )
    told = run("add", mine, "--card", "card.toml", "--name", "other", "--json")
    assert told.exit_code == 0, told.stderr
    model = json.loads(told.stdout)["model"]
    assert (model["name"], model["preprocessing"]["long_side"]) == ("other", 64)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "none.onnx"), "invalid_input"),
        (("add", "mine.onnx", "--name", "mine"), "invalid_model_card"),
        (("add", "mine.onnx", "--mean", "1,2"), "invalid_input"),
        (("add", "mine.onnx", "--name", "mine", "--label-space", "x", "--long-side", "64"), "label_space_not_found"),
        (("check", "none"), "model_not_found"),
        (("remove", "none"), "model_not_found"),
        (("pull", "none"), "hub_model_not_found"),
        (("pull", "segformer-b0-cityscapes"), "hub_unreachable"),
    ],
)
def test_refusals_have_a_code(
    run: Run, mine: Path, words: tuple[str, ...], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert error_of(run(*words, "--json"))["code"] == code


def test_a_licence_is_shown_before_anything_is_fetched(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    said = " ".join(run("pull", "segformer-b0-cityscapes").stderr.split())
    assert "no commercial use" in said
    assert "cannot be reached" in said


def test_models_that_came_with_the_package_stay(run: Run) -> None:
    name = json.loads(run("list", "--local", "--json").stdout)["items"][0]["name"]
    assert "stays" in error_of(run("remove", name, "--json"))["message"]


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    assert run("fetch").exit_code == USAGE


def test_a_bundled_model_is_not_hidden_by_one_of_its_name(run: Run, mine: Path) -> None:
    words = ("--name", "street-fast", "--label-space", "camvid-11", "--long-side", 64, "--json")
    assert error_of(run("add", mine, *words))["code"] == "model_name_taken"
    assert run("add", mine, *words, "--replace").exit_code == 0
    assert run("remove", "street-fast").exit_code == 0
    listed = json.loads(run("list", "--local", "--json").stdout)["items"]
    assert "street-fast" in [each["name"] for each in listed]
