"""Loaded models of this process: loaded once for all who ask, bounded in memory, replaced when their bundle changes."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from segmentation.label_space import LabelSpace
from segmentation.model_card import ModelCard
from storage.catalog import Bundle
from telemetry.version import version
from worker.engines import Engine
from worker.pipeline.batcher import Batcher

logger = logging.getLogger(__name__)

SIZES_KEPT = 4


@dataclass(frozen=True, slots=True)
class LoadedModel:
    card: ModelCard
    space: LabelSpace
    engine: Engine
    batcher: Batcher
    memory_bytes: int  # estimated
    sizes: list[tuple[int, int]] = field(default_factory=list)  # of the latest pictures: height, width
    bundle: str = field(init=False)  # digest of what decides its answers beside the weights and how they are run

    def __post_init__(self) -> None:
        object.__setattr__(self, "bundle", _digest(self.card, self.space))

    @property
    def sha256(self) -> str:
        """Of the weights that run."""
        return self.card.sha256[self.card.files[self.engine.file]]

    @property
    def variant(self) -> str:
        """What runs: engine and precision, as `openvino int8`."""
        engine, *_, precision = self.engine.device.split()
        return f"{engine} {precision}"

    @property
    def streams(self) -> int:
        """Calls side by side."""
        return self.batcher.streams

    def saw(self, height: int, width: int) -> None:
        """A few are remembered, so that a model that takes over has met them."""
        if (height, width) not in self.sizes:
            self.sizes.append((height, width))
            del self.sizes[:-SIZES_KEPT]

    def close(self) -> None:
        self.batcher.close()
        self.engine.close()


TryOut = Callable[[LoadedModel, Sequence[tuple[int, int]]], None]


class Bundles(Protocol):
    def get(self, name: str) -> Bundle:
        """Raises ModelNotFound."""


class _Entry:
    """fixed: put here by `replace`, and left alone until the next one."""

    def __init__(self, card: ModelCard, *, fixed: bool = False) -> None:
        self.card = card
        self.fixed = fixed
        self.loading: Future[LoadedModel] = Future()
        self.users = 0
        self.used_at = self.checked_at = time.monotonic()
        self.retired = False


class ModelCache:
    """Least recently used models go first; one in use is closed when its last user is done with it.

    place: what a name is kept under, one place for all names that mean the same.
    """

    def __init__(
        self,
        bundles: Bundles,
        load: Callable[[Bundle], LoadedModel],
        *,
        limit_bytes: int,
        check_s: float = 1.0,
        place: Callable[[str], str] = str,
    ) -> None:
        self._bundles = bundles
        self._load = load
        self._limit_bytes = limit_bytes
        self._check_s = check_s
        self._place = place
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    @contextmanager
    def use(self, name: str) -> Iterator[LoadedModel]:
        """The model, loaded, for the length of the block. Raises ModelNotFound, and what loading raises."""
        name = self._place(name)
        entry, bundle = self._enter(name)
        try:
            if bundle is not None:
                self._fill(name, entry, bundle)
            yield entry.loading.result()
        finally:
            self._leave(entry)

    def replace(self, name: str, bundle: Bundle, try_out: TryOut) -> None:
        """Load another bundle beside the one that runs, try it at the sizes of its pictures, then let it take over.

        Who uses the old one goes on with it. Raises what loading and trying raise; then nothing has changed.
        """
        name, entry = self._place(name), _Entry(bundle.card, fixed=True)
        model = self._load(bundle)
        try:
            try_out(model, self._sizes(name))
        except BaseException:
            model.close()
            raise
        entry.loading.set_result(model)
        with self._lock:
            retired = [self._retire(name)] if name in self._entries else []
            self._entries[name] = entry
            retired += self._make_room(keep=name)
        _close(retired)

    def names(self) -> tuple[str, ...]:
        """Names of the loaded models, in alphabetical order."""
        return tuple(sorted(model.card.name for model in self.loaded()))

    def loaded(self) -> Sequence[LoadedModel]:
        """Those that are in memory now and may be used next."""
        with self._lock:
            return [model for entry in self._entries.values() if (model := _loaded(entry)) is not None]

    def close(self) -> None:
        with self._lock:
            retired = [self._retire(name) for name in list(self._entries)]
        _close(retired)

    def _sizes(self, name: str) -> Sequence[tuple[int, int]]:
        with self._lock:
            entry = self._entries.get(name)
            model = None if entry is None else _loaded(entry)
            return () if model is None else tuple(model.sizes)

    def _enter(self, name: str) -> tuple[_Entry, Bundle | None]:
        """The entry with one more user, and the bundle when it is the caller's turn to load it."""
        bundle = self._bundle_to_check(name)
        retired = None
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and bundle is not None:
                entry.checked_at = time.monotonic()
                if entry.card != bundle.card and not entry.fixed:
                    retired, entry = self._retire(name), None
            mine = entry is None
            if entry is None:
                if bundle is None:  # evicted since the check
                    bundle = self._bundles.get(name)
                entry = self._entries[name] = _Entry(bundle.card)
            entry.users += 1
            entry.used_at = time.monotonic()
        _close([retired])
        return entry, bundle if mine else None

    def _bundle_to_check(self, name: str) -> Bundle | None:
        """The bundle as it is now; None when it was looked at a moment ago."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and (entry.fixed or time.monotonic() - entry.checked_at < self._check_s):
                return None
        return self._bundles.get(name)

    def _fill(self, name: str, entry: _Entry, bundle: Bundle) -> None:
        began = time.monotonic()
        try:
            model = self._load(bundle)
        except BaseException as error:
            with self._lock:
                if self._entries.get(name) is entry:
                    del self._entries[name]
            entry.loading.set_exception(error)
            raise
        with self._lock:
            entry.loading.set_result(model)
            retired = self._make_room(keep=name)
        _close(retired)
        logger.info(
            "model %s loaded on %s in %.1f s",
            *(name, model.engine.device, time.monotonic() - began),
            extra={"action": "model_loaded", "model": name, "version": model.card.version},
        )

    def _leave(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            entry.used_at = time.monotonic()
            model = _loaded(entry) if entry.retired and not entry.users else None
        _close([model])

    def _make_room(self, *, keep: str) -> list[LoadedModel | None]:
        """Retire idle models, the least recently used first, until the rest fits."""
        sizes = {name: model.memory_bytes for name, entry in self._entries.items() if (model := _loaded(entry))}
        idle = sorted(
            (name for name in sizes if name != keep and not self._entries[name].users),
            key=lambda name: self._entries[name].used_at,
        )
        retired = []
        for name in idle:
            if sum(sizes.values()) <= self._limit_bytes:
                break
            del sizes[name]
            retired.append(self._retire(name))
        return retired

    def _retire(self, name: str) -> LoadedModel | None:
        """Take it off the list. Returns the model when nobody uses it, for the caller to close without the lock."""
        entry = self._entries.pop(name)
        entry.retired = True
        return None if entry.users else _loaded(entry)


def _digest(card: ModelCard, space: LabelSpace) -> str:
    """Also of this software, which may prepare pictures and read logits otherwise one day. Hex."""
    told = [version(), card.preprocessing.to_dict(), card.activation, card.output_stride, space.to_dict()]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _loaded(entry: _Entry) -> LoadedModel | None:
    if not entry.loading.done() or entry.loading.exception() is not None:
        return None
    return entry.loading.result()


def _close(models: list[LoadedModel | None]) -> None:
    for model in models:
        if model is not None:
            model.close()
            logger.info("model %s unloaded", model.card.name, extra={"action": "model_unloaded"})
