"""The registry: bundles become versions, aliases name one, and what is fetched is what was registered."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from jobs.errors import ModelFailed
from segmentation.model_card import ModelCard
from storage.catalog import Bundle
from storage.model_reference import InvalidReference, ModelReference
from storage.registry.mlflow_registry import MlflowRegistry, NotInRegistry, RegistryUnavailable
from tests.tiny_models import tiny_bundle, turned_bundle
from training.promote.errors import BrokenBundle, NotRegistered, RegistryError
from training.promote.promote import Wish, promote
from training.promote.registry import Registry, fetch_bundle
from training.runs import RunNotFound

CHAMPION = ModelReference("street", alias="champion")


@pytest.fixture
def registry(mlflow_uri: str) -> Registry:
    return Registry(mlflow_uri)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "made", name="unet")


def artifacts_of(registry: Registry, version: str) -> Path:
    client = MlflowClient(registry.uri, registry.uri)
    return Path(client.get_model_version("street", version).source.removeprefix("file://"))


def test_promoting_a_bundle_registers_it_once_and_rolling_back_is_the_same(
    registry: Registry, bundle: Bundle, tmp_path: Path
):
    newer = turned_bundle(tmp_path / "newer", name="unet")
    wish = Wish(name="street")
    first = promote(str(bundle.folder), wish, registry)
    again = promote(str(bundle.folder), wish, registry)
    second = promote(str(newer.folder), wish, registry)
    back = promote("models:/street/1", Wish(), registry)
    assert [(each.version, each.before) for each in (first, again, second, back)] == [
        ("1", None),
        ("1", "1"),
        ("2", "1"),
        ("1", "2"),
    ]
    assert registry.version_of(CHAMPION) == "1"
    assert promote("models:/street@champion", Wish(alias="staging"), registry).version == "1"


def test_what_is_fetched_is_the_bundle_under_the_registrys_name(registry: Registry, bundle: Bundle, tmp_path: Path):
    promote(str(bundle.folder), Wish(name="street"), registry)
    for reference in ("models:/street@champion", "models:/street/1"):
        folder = fetch_bundle(reference, tmp_path / "here", registry=registry)
        card = ModelCard.from_json((folder / "card.json").read_bytes())
        assert (card.name, card.version, card.sha256) == ("street", "1", bundle.card.sha256)
        assert sorted(path.name for path in folder.iterdir()) == [".registered", "card.json", "model.onnx"]


def test_two_bundles_of_one_run_are_two_versions_and_both_can_be_fetched(
    registry: Registry, bundle: Bundle, tmp_path: Path
):
    """As of a run that was promoted, went on, and was promoted again: going back must find what was there."""
    newer = turned_bundle(tmp_path / "newer", name="unet")
    client = MlflowClient(registry.uri, registry.uri)
    run_id = client.create_run(client.create_experiment("one run")).info.run_id
    for each in (bundle, newer):
        registry.register(each.folder, "street", run_id)
    for version, made in (("1", bundle), ("2", newer)):
        folder = fetch_bundle(f"models:/street/{version}", tmp_path / "here", registry=registry)
        assert ModelCard.from_json((folder / "card.json").read_bytes()).sha256 == made.card.sha256


def test_a_version_of_another_registry_is_not_taken_for_one_of_the_same_number(
    registry: Registry, bundle: Bundle, tmp_path: Path
):
    other, newer = Registry(f"sqlite:///{tmp_path}/other.db"), turned_bundle(tmp_path / "newer", name="unet")
    found = []
    for where, made in ((registry, bundle), (other, newer), (other, newer)):
        where.register(made.folder, "street")
        folder = fetch_bundle("models:/street/1", tmp_path / "here", registry=where)
        found.append(ModelCard.from_json((folder / "card.json").read_bytes()).sha256)
    assert found == [bundle.card.sha256, newer.card.sha256, newer.card.sha256]


@pytest.mark.parametrize("file", ["card.json", "model.onnx"])
def test_a_file_that_was_changed_in_the_registry_is_never_served(
    registry: Registry, bundle: Bundle, tmp_path: Path, file: str
):
    promote(str(bundle.folder), Wish(name="street"), registry)
    changed = artifacts_of(registry, "1") / file
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises((BrokenBundle, ModelFailed)):
        fetch_bundle("models:/street/1", tmp_path / "here", registry=registry)
    assert not list((tmp_path / "here").rglob("card.json"))


def test_a_broken_bundle_is_not_registered(registry: Registry, bundle: Bundle, tmp_path: Path):
    bundle.file("onnx").write_bytes(b"other weights")
    with pytest.raises(ModelFailed):
        registry.register(bundle.folder, "street")
    with pytest.raises(BrokenBundle, match="no card"):
        registry.register(tmp_path, "street")
    assert registry.versions("street") == []


def test_what_is_not_there_is_said_with_what_is(registry: Registry, bundle: Bundle):
    registry.register(bundle.folder, "street")
    for text in ("models:/street@champion", "models:/street/7"):
        with pytest.raises(NotRegistered, match="it has street/1"):
            promote(text, Wish(), registry)
    with pytest.raises(NotRegistered, match="no model of this name"):
        promote("models:/pets/1", Wish(), registry)
    with pytest.raises(RunNotFound, match="neither a run"):
        promote("nothing", Wish(), registry)
    with pytest.raises(InvalidReference):
        promote(str(bundle.folder), Wish(name="No Name"), registry)
    with pytest.raises(InvalidReference):
        promote(str(bundle.folder), Wish(alias="3rd"), registry)


def test_a_registry_that_is_away_is_told_without_its_password(bundle: Bundle):
    away = Registry("http://user:secret@127.0.0.1:9")
    with pytest.raises(RegistryError, match="does not answer") as caught:
        away.register(bundle.folder, "street")
    assert "secret" not in str(caught.value)


def test_a_worker_fetches_what_training_registered(registry: Registry, bundle: Bundle, tmp_path: Path):
    promote(str(bundle.folder), Wish(name="street"), registry)
    seen = MlflowRegistry(registry.uri)
    assert seen.version_of(CHAMPION) == "1"
    assert seen.card_digest("street", "1") == hashlib.sha256((bundle.folder / "card.json").read_bytes()).hexdigest()
    seen.fetch("street", "1", tmp_path / "got")
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["card.json", "model.onnx"]
    with pytest.raises(NotInRegistry):
        seen.version_of(ModelReference("street", alias="staging"))
    card = artifacts_of(registry, "1") / "card.json"
    card.write_text(card.read_text() + " ")
    with pytest.raises(ModelFailed, match="not the one that was registered"):
        seen.fetch("street", "1", tmp_path / "again")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////nowhere/mlflow.db"])
def test_a_worker_without_a_registry_is_told_so_and_makes_none(uri: str):
    with pytest.raises(RegistryUnavailable):
        MlflowRegistry(uri).version_of(CHAMPION)
    assert not Path("/nowhere").exists()
