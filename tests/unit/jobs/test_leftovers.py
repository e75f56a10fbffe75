"""Objects that no row names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs.errors import StorageUnavailable
from jobs.processing import leftovers as module
from jobs.processing.leftovers import Leftovers
from tests.fakes import MemoryObjects


class Away(MemoryObjects):
    """A store that refuses while it is `away`."""

    away = False

    def delete(self, key: str) -> None:
        if self.away:
            raise StorageUnavailable("away")
        super().delete(key)


def filled() -> Away:
    store = Away()
    for key in ("a", "b", "c"):
        store.put(key, b"x", media_type="text/plain")
    return store


def test_they_are_removed_at_once():
    store = filled()
    Leftovers(store).remove(["a", "b", "never stored"])
    assert list(store.keys("")) == ["c"]


def test_what_a_store_that_is_away_keeps_is_removed_another_time():
    store = filled()
    leftovers = Leftovers(store)
    store.away = True
    leftovers.remove(["a"])
    leftovers.remove(["b"])
    assert list(store.keys("")) == ["a", "b", "c"]
    store.away = False
    leftovers.remove([])
    assert list(store.keys("")) == ["c"]


def test_what_a_silent_store_writes_late_is_removed_too(monkeypatch: pytest.MonkeyPatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    store = filled()
    leftovers = Leftovers(store)
    leftovers.remove_late(["a"])
    assert list(store.keys("")) == ["b", "c"]
    store.put("a", b"late", media_type="text/plain")
    leftovers.remove([])
    assert list(store.keys("")) == ["a", "b", "c"]
    clock.now += module.LATE_S
    leftovers.remove([])
    assert list(store.keys("")) == ["b", "c"]
