"""Promoting a run: exported once, registered under the run that trained it, named by the alias."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from segmentation.model_card import ModelCard
from storage.catalog import Catalog, NameTaken
from tests.tiny_models import tiny_bundle
from tests.tiny_runs import tiny_training
from training.promote.promote import Wish, promote
from training.promote.registry import Registry, fetch_bundle
from training.tracking.mlflow_tracker import MlflowTracker
from training.tracking.note import run_of


def test_a_run_is_exported_registered_and_promoted_in_one_step(mlflow_uri: str, tmp_path: Path, rendered: Path):
    runs, roots = tmp_path / "runs", {"scenes": rendered}
    tracker = MlflowTracker(folder=runs / "tiny", name="tiny", uri=mlflow_uri, experiment="trials")
    folder = tiny_training(runs, roots, trackers=[tracker])
    registry, wish = Registry(mlflow_uri), Wish(name="street", runs=runs, roots=roots)

    tiny_bundle(tmp_path / "bundled", name="street-fast")
    with pytest.raises(NameTaken, match="street-fast came with Maskmill"):
        promote("tiny", replace(wish, name="street-fast", bundled=Catalog([tmp_path / "bundled"])), registry)
    assert not (folder / "bundles").exists()  # it is told before the work

    done = promote("tiny", wish, registry)

    assert (done.name, done.alias, done.version, done.before) == ("street", "champion", "1", None)
    exported = folder / "bundles" / "street" / "card.json"
    fetched = fetch_bundle("models:/street@champion", tmp_path / "here", registry=registry)
    card = ModelCard.from_json((fetched / "card.json").read_bytes())
    assert card.sha256 == ModelCard.from_json(exported.read_bytes()).sha256
    client = MlflowClient(mlflow_uri, mlflow_uri)
    run = run_of(folder, mlflow_uri)
    assert client.get_model_version("street", "1").run_id == run
    stored = {entry.path for entry in client.list_artifacts(run)}
    assert stored >= {"environment.txt", "recipe.toml", "data.json", "predictions"}
    assert len([path for path in stored if path.startswith("bundle-")]) == 1

    assert any(name.startswith("inference_ms/onnxruntime") for name in client.get_run(run).data.metrics)

    written = exported.stat().st_mtime_ns
    assert promote(str(folder), wish, registry).version == "1"
    assert exported.stat().st_mtime_ns == written

    promote(str(folder), replace(wish, int8=True), registry)  # there was none: the run is exported once more
    assert exported.stat().st_mtime_ns != written

    card, note = ModelCard.from_json(exported.read_bytes()), folder / "bundles.json"
    noted = note.read_text()
    quantised = replace(card, files={**card.files, "onnx_int8": card.files["onnx"]})
    exported.write_text(quantised.to_json())
    note.write_text(json.dumps({"street": json.loads(noted)["street"]}))  # as an earlier version left it
    promote(str(folder), replace(wish, int8=True), registry)
    assert exported.read_text() == quantised.to_json()
    note.write_text(noted)

    refused = replace(card, files={key: name for key, name in card.files.items() if key != "onnx_int8"})
    exported.write_text(refused.to_json())
    promote(str(folder), replace(wish, int8=True), registry)  # it was refused, and would be again
    assert exported.read_text() == refused.to_json()


def test_a_run_called_as_no_model_is_gets_a_models_name(mlflow_uri: str, tmp_path: Path, rendered: Path):
    tiny_training(tmp_path, {"scenes": rendered}, ["name=Mine", "stages[0].epochs=1"])
    tiny_bundle(tmp_path / "bundled", name="mine")
    wish = Wish(runs=tmp_path, bundled=Catalog([tmp_path / "bundled"]))
    with pytest.raises(NameTaken, match="mine came with Maskmill"):
        promote("Mine", wish, Registry(mlflow_uri))


def test_a_run_that_went_on_is_exported_again_whatever_the_clock_says(mlflow_uri: str, tmp_path: Path, rendered: Path):
    runs, roots = tmp_path / "runs", {"scenes": rendered}
    registry, wish = Registry(mlflow_uri), Wish(name="longer", runs=runs, roots=roots)
    folder = tiny_training(runs, roots, ["stages[0].epochs=1"])
    with ThreadPoolExecutor(2) as people:  # at once: who comes second takes what the first has exported
        done = people.map(lambda _: promote("tiny", wish, registry), range(2))
        assert [each.version for each in done] == ["1", "1"]

    tiny_training(runs, roots, ["stages[0].epochs=2"])
    long_ago = 1_000_000_000
    os.utime(folder / "checkpoint.pt", (long_ago, long_ago))

    assert promote("tiny", wish, registry).version == "2"
    fetched = fetch_bundle("models:/longer@champion", tmp_path / "here", registry=registry)
    assert "trained for 2 of 2 epochs" in ModelCard.from_json((fetched / "card.json").read_bytes()).description


def test_what_was_trained_during_an_export_is_exported_by_the_next_one(mlflow_uri: str, tmp_path: Path, rendered: Path):
    runs, roots = tmp_path / "runs", {"scenes": rendered}
    registry = Registry(mlflow_uri)
    folder = tiny_training(runs, roots, ["stages[0].epochs=1"])

    @contextmanager
    def training_goes_on(_label: str, _total: int) -> Iterator[Callable[[], None]]:
        tiny_training(runs, roots, ["stages[0].epochs=2"])
        yield lambda: None

    promote("tiny", Wish(name="meanwhile", runs=runs, roots=roots, watch=training_goes_on), registry)
    card = ModelCard.from_json((folder / "bundles" / "meanwhile" / "card.json").read_bytes())
    assert "trained for 1 of 1 epoch" in card.description

    assert promote("tiny", Wish(name="meanwhile", runs=runs, roots=roots), registry).version == "2"
    card = ModelCard.from_json((folder / "bundles" / "meanwhile" / "card.json").read_bytes())
    assert "trained for 2 of 2 epochs" in card.description
