"""Objects of jobs and uploads, from one store to another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

from jobs.comparing.pages.wording import counted
from jobs.errors import ObjectNotFound, StorageUnavailable
from jobs.ports import ObjectStore
from jobs.uploads.piece_reader import PieceReader

AT_ONCE = 16  # a store that is reached by network answers each after a while
LOT = 500
TELL_EVERY_S = 5.0

Tell = Callable[[str], None]


@dataclass
class Copied:
    """So far. size: in bytes, of what was there already, too."""

    objects: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{counted(self.objects, 'object')}, {self.size / 1e6:,.1f} MB"


def copy_objects(source: ObjectStore, target: ObjectStore, prefixes: Iterable[str], tell: Tell) -> Copied:
    """All below these prefixes. What is there already in the same size is left as it is, so that a copy that broke off
    goes on. Raises StorageUnavailable."""
    copied, told = Copied(), time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for prefix in prefixes:
            there = frozenset(target.keys(prefix))
            for lot in _lots(source.keys(prefix)):
                for size in threads.map(partial(_copy, source, target, there), lot):
                    if size is not None:
                        copied.objects, copied.size = copied.objects + 1, copied.size + size
                if time.monotonic() - told >= TELL_EVERY_S:
                    told = time.monotonic()
                    tell(f"{copied} so far")
    return copied


def _copy(source: ObjectStore, target: ObjectStore, there: frozenset[str], key: str) -> int | None:
    """Its size; None where it has gone meanwhile."""
    try:
        found = source.info(key)
        if key in there and target.info(key).size == found.size:
            return found.size
        size = target.put(key, PieceReader(source.stream(key)), media_type=found.media_type)
    except ObjectNotFound:
        return None
    if size != found.size:
        raise StorageUnavailable(f"{key} changed while it was copied")
    return size


def _lots(keys: Iterator[str]) -> Iterator[list[str]]:
    while lot := list(islice(keys, LOT)):
        yield lot
