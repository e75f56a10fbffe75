"""Keeps followed models at the version that the registry names: a new one takes over when it has proved itself.

Whatever goes wrong, the version that runs goes on: registry away, alias gone, download damaged, model broken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from jobs.errors import JobsError, ModelNotFound
from jobs.job import Failure
from jobs.watching.workers import FollowedModel
from segmentation.errors import SegmentationError
from storage.catalog import Bundle, Catalog
from storage.model_reference import CHAMPION, ModelReference, canonical
from storage.registry.mlflow_registry import NotInRegistry, RegistryUnavailable
from storage.registry.versions import Versions, registered_digest
from worker.pipeline.model_cache import ModelCache
from worker.pipeline.trial import try_out

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0  # a version that failed is tried again after so long

_FAILURES = (RegistryUnavailable, NotInRegistry, JobsError, SegmentationError, OSError)


class Registry(Protocol):
    def version_of(self, reference: ModelReference) -> str:
        """Raises NotInRegistry, RegistryUnavailable."""

    def card_digest(self, name: str, version: str) -> str | None:
        """SHA-256 of the card that was registered. Raises NotInRegistry, RegistryUnavailable."""

    def fetch(self, name: str, version: str, folder: Path) -> None:
        """Raises NotInRegistry, RegistryUnavailable, ModelFailed."""


def followed(texts: Sequence[str]) -> tuple[ModelReference, ...]:
    """What the settings name; a name alone means its champion. Raises InvalidReference."""
    found = (ModelReference.parse(text) for text in texts)
    return tuple(each if each.alias or each.version else replace(each, alias=CHAMPION) for each in found)


def place_among(references: Sequence[ModelReference]) -> Callable[[str], str]:
    """What a job calls a model → what it is kept under: a name alone is its champion where that is followed."""
    champions = {each.name: str(each) for each in references if each.alias == CHAMPION}

    def place(name: str) -> str:
        text = canonical(name)
        return champions.get(text, text)

    return place


@dataclass(slots=True)
class _State:
    """digest: of the card of this version as it was registered; None: any counts.

    failed, again_at: the version that could not take over, and when it is tried again.
    """

    version: str | None = None
    digest: str | None = None
    problem: Failure | None = None
    failed: str | None = None
    again_at: float = 0.0


@dataclass(slots=True)
class Follower:
    """Looks every `every_s` seconds, in a thread of its own. Several workers may share the folder of versions."""

    references: Sequence[ModelReference]
    registry: Registry
    catalog: Catalog
    versions: Versions
    models: ModelCache
    every_s: float = 5.0
    patience_s: float = PATIENCE_S
    _states: dict[ModelReference, _State] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        """The first look, before a slice is taken; without a registry, what was served last is served again."""
        for each in self.references:
            self._look_at(each)
            if self._state(each).version is None:
                self._take_the_last(each)

    def start(self) -> None:
        if self.references:
            self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
            self._thread.start()

    def look(self) -> None:
        for each in self.references:
            self._look_at(each)

    def close(self) -> None:
        """Waits for nothing: a registry that hangs does not hold up the end of the process."""
        self._stopped.set()

    def states(self) -> tuple[FollowedModel, ...]:
        found = ((each, self._state(each)) for each in self.references)
        return tuple(FollowedModel(name=str(each), version=at.version, problem=at.problem) for each, at in found)

    def _run(self) -> None:
        while not self._stopped.wait(self.every_s):
            try:
                self.look()
            except Exception as error:  # the thread's last line of defence: what runs goes on, and so do we
                logger.error("the registry was not looked at", exc_info=error, extra={"action": "follow_failed"})

    def _state(self, reference: ModelReference) -> _State:
        return self._states.setdefault(reference, _State())

    def _look_at(self, reference: ModelReference) -> None:
        state, is_another = self._state(reference), False
        wanted = state.version
        try:
            wanted = self.registry.version_of(reference)
            is_another = not self._serves(reference, wanted)
            if not is_another:
                self._well(reference, state)
            elif wanted != state.failed or time.monotonic() >= state.again_at:
                self._switch(reference, wanted)
        except _FAILURES as error:
            if is_another:
                state.failed, state.again_at = wanted, time.monotonic() + self.patience_s
            self._note(reference, state, error)

    def _serves(self, reference: ModelReference, version: str) -> bool:
        """Who deletes a model in the registry and registers another one gets number 1 again: the card tells. Of a
        version that is named by its number nothing is asked once it is here."""
        state = self._state(reference)
        if version != state.version or reference.alias is None or state.digest is None:
            return version == state.version
        return self.registry.card_digest(reference.name, version) in (None, state.digest)

    def _switch(self, reference: ModelReference, version: str) -> None:
        """The link is moved last: whoever starts anew begins with a version that has run."""
        name, state = reference.name, self._state(reference)
        digest = self.registry.card_digest(name, version)
        bundle = self.versions.add(name, version, partial(self.registry.fetch, name, version), digest=digest)
        self._serve(reference, bundle)
        if reference.alias is not None:
            self.versions.point(reference, version)
        before, state.version, state.digest = state.version, version, digest
        self._well(reference, state)
        logger.info(
            "%s is version %s now, it was %s",
            *(reference, version, before or "none"),
            extra={"action": "model_switched", "model": name, "version": version, "before": before},
        )

    def _take_the_last(self, reference: ModelReference) -> None:
        try:
            bundle = self.catalog.get(str(reference))
            self._serve(reference, bundle)
        except ModelNotFound:
            return  # nothing was served yet: the problem says why
        except (JobsError, SegmentationError, OSError) as error:
            self._note(reference, self._state(reference), error)
            return
        state = self._state(reference)
        state.version, state.digest = bundle.card.version, registered_digest(bundle.folder)

    def _serve(self, reference: ModelReference, bundle: Bundle) -> None:
        self.models.replace(str(reference), bundle, try_out)

    def _well(self, reference: ModelReference, state: _State) -> None:
        if state.problem is not None:
            logger.info("%s is followed again", reference, extra={"action": "follow_again", "model": str(reference)})
        state.problem = state.failed = None

    def _note(self, reference: ModelReference, state: _State, error: Exception) -> None:
        """Once for each problem, not every few seconds."""
        code = getattr(error, "code", "storage_unavailable")
        problem = Failure(code, str(error))
        if problem != state.problem:
            logger.error(
                "%s stays at version %s: %s",
                *(reference, state.version or "none", error),
                extra={"action": "follow_failed", "model": str(reference), "code": code},
            )
        state.problem = problem
