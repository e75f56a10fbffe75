"""Following a model of the registry: a new version takes over when it has proved itself; else the old one goes on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from storage.catalog import Catalog
from storage.model_reference import InvalidReference, ModelReference
from storage.registry.mlflow_registry import NotInRegistry, RegistryUnavailable
from storage.registry.versions import Versions
from storage.settings import StorageSettings
from tests.services.processes import wait_for
from tests.tiny_models import seal, tiny_bundle
from worker.engines import EngineRules
from worker.follower import Follower, followed, place_among
from worker.pipeline.model_cache import LoadedModel, ModelCache
from worker.pipeline.trial import try_out
from worker.runtime import open_models
from worker.settings import WorkerSettings
from worker.watchdog import Watchdog

STREET = ModelReference("street", alias="champion")


@dataclass
class Shelves:
    """A registry of our own: bundles by version, and where the alias points; away when told so."""

    folder: Path
    champion: str | None = None
    away: bool = False
    fetched: list[str] = field(default_factory=list)

    def put(self, version: str, **changes: Any) -> Path:
        return tiny_bundle(self.folder, name=f"v{version}", **changes).folder

    def version_of(self, reference: ModelReference) -> str:
        self._answer()
        if self.champion is None:
            raise NotInRegistry(f"the registry has no {reference}")
        return self.champion

    def card_digest(self, name: str, version: str) -> str | None:
        self._answer()
        card = self.folder / f"v{version}" / "card.json"
        return hashlib.sha256(card.read_bytes()).hexdigest() if card.is_file() else None

    def fetch(self, name: str, version: str, folder: Path) -> None:
        self._answer()
        self.fetched.append(version)
        shutil.copytree(self.folder / f"v{version}", folder, dirs_exist_ok=True)

    def _answer(self) -> None:
        if self.away:
            raise RegistryUnavailable("the registry does not answer")


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    found = Shelves(tmp_path / "registry")
    for version in ("1", "2"):
        found.put(version)
    return found


@pytest.fixture
def models(tmp_path: Path) -> Iterator[ModelCache]:
    cache = open_cache(tmp_path)
    yield cache
    cache.close()


def open_cache(tmp_path: Path) -> ModelCache:
    settings = WorkerSettings(engine="onnxruntime", follow=["models:/street@champion"])
    storage = StorageSettings(home=tmp_path, model_folders=[tmp_path / "models"])
    return open_models(settings, storage, EngineRules(), Watchdog(0))


def follower_of(tmp_path: Path, shelves: Shelves, models: ModelCache, *, patience_s: float = 60.0) -> Follower:
    folder = tmp_path / "models"
    return Follower(
        references=followed(["models:/street@champion"]),
        registry=shelves,
        catalog=Catalog([folder]),
        versions=Versions(folder),
        models=models,
        every_s=0.01,
        patience_s=patience_s,
    )


def serving(models: ModelCache, name: str = "street") -> tuple[str, str]:
    with models.use(name) as model:
        logits = model.batcher.infer(np.ones((3, 64, 64), np.float32)).logits
        assert np.isfinite(logits).all()
        return model.card.name, model.card.version


def problem_of(follower: Follower) -> str | None:
    (state,) = follower.states()
    return None if state.problem is None else state.problem.code


@pytest.fixture
def follower(tmp_path: Path, shelves: Shelves, models: ModelCache) -> Follower:
    shelves.champion = "1"
    found = follower_of(tmp_path, shelves, models)
    found.begin()
    return found


@pytest.mark.parametrize("name", ["street", "street@champion", "models:/street@champion", "models:/street"])
def test_the_champion_is_served_under_all_its_names(follower: Follower, models: ModelCache, name: str):
    assert serving(models, name) == ("street", "1")
    assert models.names() == ("street",)


def test_a_new_version_takes_over_and_who_uses_the_old_one_goes_on_with_it(
    follower: Follower, shelves: Shelves, models: ModelCache, tmp_path: Path
):
    with models.use("street") as old:
        shelves.champion = "2"
        follower.look()
        assert serving(models) == ("street", "2")
        assert old.card.version == "1"
        assert old.batcher.infer(np.ones((3, 64, 64), np.float32)).logits.shape == (11, 16, 16)
    assert Catalog([tmp_path / "models"]).card("models:/street@champion").version == "2"


def test_a_new_version_has_met_the_sizes_of_the_old_ones_pictures(
    follower: Follower, shelves: Shelves, models: ModelCache
):
    with models.use("street") as old:
        for height in (40, 50, 60, 70, 80, 80):
            old.saw(height, 100)
        assert old.sizes == [(50, 100), (60, 100), (70, 100), (80, 100)]
    ran: list[tuple[int, ...]] = []

    def listening(model: LoadedModel, sizes: Sequence[tuple[int, int]]) -> None:
        ran.extend(sizes)
        try_out(model, sizes)

    models.replace("street", Catalog([follower.versions.folder]).get("street/1"), listening)
    assert ran == [(50, 100), (60, 100), (70, 100), (80, 100)]


def test_rolling_back_fetches_nothing(follower: Follower, shelves: Shelves, models: ModelCache):
    for version in ("2", "1"):
        shelves.champion = version
        follower.look()
    assert serving(models) == ("street", "1")
    assert shelves.fetched == ["1", "2"]


def test_a_pinned_version_is_served_beside_the_champion(follower: Follower, shelves: Shelves, models: ModelCache):
    shelves.champion = "2"
    follower.look()
    assert serving(models, "models:/street/1") == ("street", "1")
    assert serving(models) == ("street", "2")


@pytest.mark.parametrize("trouble", ["away", "alias deleted"])
def test_without_the_registry_what_serves_goes_on(follower: Follower, shelves: Shelves, models: ModelCache, trouble):
    if trouble == "away":
        shelves.away = True
    else:
        shelves.champion = None
    follower.look()
    assert serving(models) == ("street", "1")
    assert problem_of(follower) == ("registry_unavailable" if trouble == "away" else "not_in_registry")
    shelves.away, shelves.champion = False, "1"
    follower.look()
    assert problem_of(follower) is None


def test_another_model_under_the_number_of_a_deleted_one_takes_over(
    follower: Follower, shelves: Shelves, models: ModelCache
):
    """MLflow counts from 1 again where a model was deleted and another one is registered under its name."""
    shelves.put("1", description="another model")
    with models.use("street") as old:
        follower.look()
        with models.use("street") as new:
            assert (new.card.version, new.card.description) == ("1", "another model")
        assert old.card.description != new.card.description
    assert problem_of(follower) is None
    follower.look()
    assert shelves.fetched == ["1", "1"]


def test_what_was_served_last_gives_way_to_another_model_of_its_number(
    follower: Follower, shelves: Shelves, tmp_path: Path
):
    shelves.away = True
    models = open_cache(tmp_path)
    again = follower_of(tmp_path, shelves, models)
    again.begin()
    shelves.away = False
    again.look()
    assert shelves.fetched == ["1"]
    shelves.put("1", description="another model")
    again.look()
    with models.use("street") as new:
        assert new.card.description == "another model"
    models.close()


def test_a_restart_without_the_registry_serves_what_was_served_last(
    follower: Follower, shelves: Shelves, tmp_path: Path
):
    shelves.away = True
    models = open_cache(tmp_path)
    again = follower_of(tmp_path, shelves, models)
    again.begin()
    assert serving(models) == ("street", "1")
    assert [(state.version, state.problem is None) for state in again.states()] == [("1", False)]
    models.close()


def test_with_nothing_to_serve_the_state_says_why(shelves: Shelves, models: ModelCache, tmp_path: Path):
    follower = follower_of(tmp_path, shelves, models)
    follower.begin()
    assert (follower.states()[0].version, problem_of(follower)) == (None, "not_in_registry")


def cut_off(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-9])


def without_card(bundle: Path) -> None:
    (bundle / "card.json").unlink()


def not_a_number(bundle: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    bias = model.graph.initializer[1]
    bias.raw_data = np.full(11, np.nan, np.float32).tobytes()
    onnx.save(model, bundle / "model.onnx")
    seal(bundle)


def no_network(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"this is no network")
    seal(bundle)


@pytest.mark.parametrize("damage", [cut_off, without_card, not_a_number, no_network])
def test_a_broken_version_never_takes_over(follower: Follower, shelves: Shelves, models: ModelCache, tmp_path, damage):
    damage(shelves.folder / "v2")
    shelves.champion = "2"
    follower.look()
    assert serving(models) == ("street", "1")
    assert problem_of(follower) == "model_failed"
    assert Catalog([tmp_path / "models"]).card("street").version == "1"


def test_a_version_of_another_shape_than_its_card_says_never_takes_over(
    follower: Follower, shelves: Shelves, models: ModelCache
):
    shelves.put("3", label_space="oxford-pets-3")
    shelves.champion = "3"
    follower.look()
    assert serving(models) == ("street", "1")
    assert problem_of(follower) == "model_failed"


def test_a_broken_version_is_tried_again_only_after_a_while(
    follower: Follower, shelves: Shelves, models: ModelCache, tmp_path: Path
):
    without_card(shelves.folder / "v2")
    shelves.champion = "2"
    for _ in range(3):
        follower.look()
    assert shelves.fetched == ["1", "2"]
    assert problem_of(follower) == "model_failed"
    shelves.put("2")
    hasty = follower_of(tmp_path, shelves, models, patience_s=0)
    hasty.look()
    assert serving(models) == ("street", "2")


def test_going_back_from_a_broken_version_ends_the_problem(follower: Follower, shelves: Shelves):
    cut_off(shelves.folder / "v2")
    for version in ("2", "1"):
        shelves.champion = version
        follower.look()
    assert problem_of(follower) is None


def test_it_looks_by_itself_and_survives_what_nobody_foresaw(
    follower: Follower, shelves: Shelves, models: ModelCache, monkeypatch: pytest.MonkeyPatch
):
    calls = 0
    ask = shelves.version_of

    def surprising(reference: ModelReference) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("never seen before")
        return ask(reference)

    monkeypatch.setattr(shelves, "version_of", surprising)
    shelves.champion = "2"
    follower.start()
    wait_for(lambda: serving(models)[1] == "2", what="the second look", pause_s=0.01)
    follower.close()
    assert serving(models) == ("street", "2")


def test_a_name_alone_means_its_champion_and_nothing_else():
    assert followed(["street"]) == (STREET,)
    assert followed(["street/3"]) == (ModelReference("street", version="3"),)
    place = place_among(followed(["street", "pets@staging"]))
    assert [place(each) for each in ("models:/street", "pets", "pets@staging", "?")] == [
        *("street@champion", "pets", "pets@staging", "?")
    ]
    with pytest.raises(InvalidReference):
        followed(["Street!"])
