"""The cache of loaded models: loaded once, bounded, replaced when the bundle changes, never closed under a user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.errors import ModelFailed, ModelNotFound
from storage.catalog import Bundle
from tests.factories import make_card
from tests.services.processes import wait_for
from worker.pipeline.batcher import Batcher, BatchRules
from worker.pipeline.model_cache import LoadedModel, ModelCache
from worker.watchdog import Watchdog


class CountedEngine:
    device = "counted cpu"
    file = "onnx"
    max_batch = 1

    def __init__(self) -> None:
        self.closed = False

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        assert not self.closed
        return batch

    def close(self) -> None:
        self.closed = True


class Shelf:
    """Bundles that can be changed, and a loader that counts."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {"a": "1", "b": "1", "c": "1"}
        self.loads: list[str] = []
        self.before_load: Callable[[], None] = lambda: None

    def get(self, name: str) -> Bundle:
        if name not in self.versions:
            raise ModelNotFound(name)
        return Bundle(card=make_card(name, version=self.versions[name]), folder=Path())

    def load(self, bundle: Bundle) -> LoadedModel:
        self.before_load()
        self.loads.append(f"{bundle.card.name} {bundle.card.version}")
        engine = CountedEngine()
        batcher = Batcher(engine.run, BatchRules(), name=bundle.card.name, watchdog=Watchdog(0))
        return LoadedModel(bundle.card, bundle.space(), engine, batcher, 100)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def open_cache(shelf: Shelf, *, limit_bytes: int = 200, check_s: float = 0.0) -> ModelCache:
    return ModelCache(shelf, shelf.load, limit_bytes=limit_bytes, check_s=check_s)


def _ignore(_: object) -> None:
    pass


def use(cache: ModelCache, name: str) -> LoadedModel:
    with cache.use(name) as model:
        return model


def is_closed(model: LoadedModel) -> bool:
    assert isinstance(model.engine, CountedEngine)
    return model.engine.closed


def test_a_model_is_loaded_once_for_all_who_ask_at_once(shelf: Shelf):
    shelf.before_load = lambda: time.sleep(0.05)
    cache = open_cache(shelf)
    with ThreadPoolExecutor(8) as threads:
        models = list(threads.map(lambda _: use(cache, "a"), range(16)))
    assert shelf.loads == ["a 1"]
    assert len({id(model) for model in models}) == 1


def test_other_models_are_served_while_one_loads(shelf: Shelf):
    cache = open_cache(shelf)
    use(cache, "a")
    gate = threading.Event()
    shelf.before_load = lambda: _ignore(gate.wait(60))
    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(use, cache, "b")
        assert use(cache, "a").card.name == "a"
        gate.set()
        assert loading.result(60).card.name == "b"


def test_the_least_recently_used_model_goes_first(shelf: Shelf):
    cache = open_cache(shelf)
    a, b = use(cache, "a"), use(cache, "b")
    use(cache, "a")
    use(cache, "c")
    assert cache.names() == ("a", "c")
    assert is_closed(b)
    assert not is_closed(a)


def test_a_model_in_use_is_not_closed_before_its_user_is_done(shelf: Shelf):
    cache = open_cache(shelf, limit_bytes=100)
    with cache.use("a") as model:
        use(cache, "b")
        assert not is_closed(model)
        cache.close()
        assert not is_closed(model)
        assert (model.batcher.infer(np.ones((3, 2, 2), np.float32)).logits == 1).all()
    assert is_closed(model)


def test_a_changed_bundle_replaces_the_loaded_one(shelf: Shelf):
    cache = open_cache(shelf)
    with cache.use("a") as old:
        shelf.versions["a"] = "2"
        assert use(cache, "a").card.version == "2"
        assert not is_closed(old)
    assert is_closed(old)
    assert shelf.loads == ["a 1", "a 2"]


def test_the_bundle_is_looked_at_only_now_and_then(shelf: Shelf):
    cache = open_cache(shelf, check_s=60)
    use(cache, "a")
    shelf.versions["a"] = "2"
    assert use(cache, "a").card.version == "1"


def test_a_bundle_that_is_gone_is_not_found(shelf: Shelf):
    cache = open_cache(shelf)
    use(cache, "a")
    del shelf.versions["a"]
    with pytest.raises(ModelNotFound):
        use(cache, "a")


def test_a_failure_to_load_reaches_all_who_wait_and_is_not_remembered(shelf: Shelf):
    cache = open_cache(shelf)

    def fail() -> None:
        wait_for(lambda: cache._entries["a"].users == 2, what="a second one who waits")
        raise ModelFailed("broken")

    shelf.before_load = fail
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(use, cache, "a") for _ in range(2))
        for each in (first, second):
            with pytest.raises(ModelFailed):
                each.result(60)
    shelf.before_load = lambda: None
    assert use(cache, "a").card.name == "a"


def test_closing_closes_every_model(shelf: Shelf):
    cache = open_cache(shelf)
    models = [use(cache, name) for name in ("a", "b")]
    cache.close()
    assert [is_closed(model) for model in models] == [True, True]
    assert cache.names() == ()
