"""Objects that no row names."""

from __future__ import annotations

from jobs.errors import StorageUnavailable
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
