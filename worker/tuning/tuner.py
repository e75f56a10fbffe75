"""Opens a model the way it runs fastest here: as its settings say, as was found out before, or as a race tells now."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from jobs.errors import ImageFailure, ModelFailed
from segmentation.engines import AUTO
from storage.catalog import Bundle
from storage.registry.tunings import Tuning, Tunings, Way, bundle_digest
from worker.engines import Engine, EngineRules, load_in, variants_here
from worker.tuning.choice import fastest, stream_choices
from worker.tuning.heats import LEAST_OPENED, Heats
from worker.tuning.machine import describe, software
from worker.tuning.race import blank_picture

logger = logging.getLogger(__name__)

USUAL_PICTURE = (512, 1024)  # height, width
SECONDS = 4.0  # for all of it; a library that takes long to compile a model may make it longer
OPEN_BYTES = 2**30  # for all that take part in a race, estimated
TURN_LIMIT_S = 30.0

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What somebody insists on; `auto` and None leave it to us."""

    engine: str = AUTO
    precision: str = AUTO
    streams: int | None = None

    @property
    def settled(self) -> bool:
        """Whoever names engine and precision waits for no race; what `maskmill tune` found out is used all the same."""
        return AUTO not in (self.engine, self.precision)


@dataclass(frozen=True, slots=True)
class Opened:
    """streams: calls side by side that it is meant for."""

    engine: Engine
    streams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuner:
    """rules: of the process; its streams are the usual ones. clock: seconds. spare: for what cannot be run on their
    device, with rules and wishes of its own.
    """

    tunings: Tunings
    rules: EngineRules
    wishes: Wishes = field(default_factory=Wishes)
    seconds: float = SECONDS
    clock: Callable[[], float] = time.perf_counter
    load: Callable[[str, Bundle, EngineRules], Engine] = load_in
    variants: Callable[..., Sequence[tuple[str, str]]] = variants_here
    spare: Tuner | None = None

    def open(self, bundle: Bundle) -> Opened:
        """Raises ModelFailed, with every reason when nothing can run it."""
        return self._or_spare(bundle, Tuner._open)

    def tune(self, bundle: Bundle) -> Tuning:
        """Measure anew, whatever was kept. Raises ModelFailed."""
        return self._or_spare(bundle, Tuner._tune)

    def _or_spare(self, bundle: Bundle, done: Callable[[Tuner, Bundle], Found]) -> Found:
        try:
            return done(self, bundle)
        except ModelFailed as error:
            if self.spare is None:
                raise
            found = done(self.spare, bundle)
            extra = {"action": "device_passed_over", "model": bundle.card.name}
            logger.warning("%s runs on %s: %s", bundle.card.name, self.spare.rules.device, error, extra=extra)
            return found

    def _open(self, bundle: Bundle) -> Opened:
        ways = self.ways(bundle)
        tuning = self.tunings.find(bundle, self.circumstances(bundle))
        if tuning is None and not self.wishes.settled and len(ways) * len(self._streams()) > 1:
            tuning, winner = self._found_out(bundle, ways)
            if tuning is not None and winner is not None:
                return Opened(winner, tuning.way.streams)
        if tuning is None or tuning.way == ways[0]:
            return self._opened(bundle, ways[0])
        try:
            return self._opened(bundle, tuning.way)
        except ImageFailure as error:
            said = "%s cannot be run in %s, which was the fastest: %s"
            logger.error(said, bundle.card.name, tuning.way, error, extra={"action": "tuned_way_failed"})
            return self._opened(bundle, ways[0])

    def _tune(self, bundle: Bundle) -> Tuning:
        ways = self.ways(bundle)
        with self.tunings.turn(limit_s=TURN_LIMIT_S), self._heats(bundle) as heats:
            return self._measured(bundle, ways, heats)

    def ways(self, bundle: Bundle) -> list[Way]:
        """With the usual number of streams, the preferred way first. Raises ModelFailed when there is none."""
        wishes = self.wishes
        found = self.variants(bundle, self.rules.device, engine=wishes.engine, precision=wishes.precision)
        return [self._way(engine, precision, self.rules.streams) for engine, precision in found]

    def circumstances(self, bundle: Bundle) -> Mapping[str, str]:
        """All that a result holds for; anything else needs another one."""
        wished = (self.wishes.engine, self.wishes.precision, self.wishes.streams or AUTO)
        return {
            "bundle": bundle_digest(bundle),
            **describe(self.rules.device, cpus=self.rules.cpus),
            "software": ", ".join(f"{name} {version}" for name, version in software().items()),
            "wish": " ".join(map(str, wished)),
            "batch": str(self.rules.max_batch),
        }

    def _found_out(self, bundle: Bundle, ways: Sequence[Way]) -> tuple[Tuning | None, Engine | None]:
        """By us, with the engine that won, or by another process while we waited for our turn. None: somebody takes
        too long at it."""
        with self.tunings.turn(limit_s=TURN_LIMIT_S) as ours:
            tuning = self.tunings.find(bundle, self.circumstances(bundle))
            if tuning is not None or not ours:
                return tuning, None
            with self._heats(bundle) as heats:
                tuning = self._measured(bundle, ways, heats)
                return tuning, heats.take(tuning.way)

    def _measured(self, bundle: Bundle, ways: Sequence[Way], heats: Heats) -> Tuning:
        """First the variants with the usual streams, then the best of them with others."""
        began = self.clock()
        heats.run(ways, ends=began + self.seconds / 2)
        best = fastest(ways, heats.took)
        others = [self._way(best.engine, best.precision, streams) for streams in self._streams()]
        if self.clock() < began + self.seconds:
            heats.run(others, ends=began + self.seconds)
            best = fastest(others, heats.took)
        else:
            heats.left_out += others[1:]
        tuning = Tuning(
            way=best,
            of=self.circumstances(bundle),
            timed=heats.timed(),
            left_out=tuple(map(str, heats.left_out)),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._keep(bundle, tuning)
        return tuning

    def _heats(self, bundle: Bundle) -> Heats:
        batch = min(self.rules.max_batch, bundle.card.max_batch or self.rules.max_batch)
        return Heats(
            lambda way: self._opened(bundle, way).engine,
            blank_picture(*bundle.card.preprocessing.input_size(*USUAL_PICTURE), batch=batch),
            most=max(LEAST_OPENED, OPEN_BYTES // (8 * bundle.card.parameters)),
            clock=self.clock,
        )

    def _keep(self, bundle: Bundle, tuning: Tuning) -> None:
        where = self.tunings.keep(bundle, tuning) or "remembered until this process ends: no folder can be written"
        told = {"action": "model_tuned", "model": bundle.card.name, "way": str(tuning.way)}
        logger.info("%s runs fastest here in %s (%s)", bundle.card.name, tuning.way, where, extra=told)

    def _opened(self, bundle: Bundle, way: Way) -> Opened:
        rules = replace(self.rules, precision=way.precision, streams=way.streams)
        return Opened(self.load(way.engine, bundle, rules), way.streams)

    def _way(self, engine: str, precision: str, streams: int) -> Way:
        return Way(engine=engine, precision=precision, streams=streams, threads=max(1, self.rules.cpus // streams))

    def _streams(self) -> Sequence[int]:
        if self.wishes.streams is not None:
            return [self.rules.streams]
        return stream_choices(self.rules.streams, cpus=self.rules.cpus)
