"""Picture → label map: preprocess, run in a batch with others, upsample. Implements `Segmenter`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jobs.errors import ModelFailed
from jobs.job import ModelIdentity
from jobs.options import TileOptions
from jobs.processing.picture_ports import Certainty, Doubts, Prediction, Said
from segmentation.activations import as_logits
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.picture_files.picture_rows import PictureRows
from segmentation.picture_files.pictures import Picture
from segmentation.preprocessing import Preprocessing
from worker.kernels.counting import count_ids
from worker.kernels.library import library
from worker.pipeline.batcher import Batcher, Inferred
from worker.pipeline.budget import Budget
from worker.pipeline.certainty import measure, stretched
from worker.pipeline.model_cache import LoadedModel, ModelCache
from worker.pipeline.network_input import SharedInputs, network_input
from worker.pipeline.tiles import Span, TileResult, TileRow, blend, blended_bands, spans
from worker.pipeline.upsample import best_class

_Rows = Callable[[int, int], Picture]  # those of a picture from the one to before the other
_SHARED = SharedInputs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Safe to call from many threads; each takes a whole picture and holds no more than that."""

    models: ModelCache
    budget: Budget = field(default_factory=Budget)

    def check_budget(self, width: int, height: int, *, models: Sequence[str], tile: TileOptions | None) -> None:
        """Raises ImageTooLarge, and what loading a model raises."""
        if tile is None:
            return
        self.budget.check_tiles(width, height, tile, models=len(models))
        for model in models:
            with self.models.use(model) as loaded:
                classes = len(loaded.space.class_ids)
                self.budget.check_memory(width, height, tile, loaded.card, classes=classes)

    def identity(self, model: str) -> ModelIdentity:
        """Raises ModelNotFound, and what loading a model raises."""
        with self.models.use(model) as loaded:
            return _identity(loaded)

    def segment(
        self, picture: Picture, *, model: str, tile: TileOptions | None, check: Callable[[], None]
    ) -> Prediction:
        """Raises ModelNotFound, ModelFailed, OutOfMemory, TimedOut, and what `check` raises."""
        watch = _Laps()
        with self.models.use(model) as loaded:
            watch.lap("load")
            loaded.saw(*picture.shape[:2])
            run = _Run(loaded, watch, check)
            label_map, certainty = run.whole(picture) if tile is None else run.by_tiles(picture, tile)
            return Prediction(
                label_map=label_map,
                certainty=certainty,
                timings_ms=watch.milliseconds(),
                identity=_identity(loaded),
            )

    def segment_rows(
        self,
        picture: PictureRows,
        *,
        model: str,
        tile: TileOptions,
        check: Callable[[], None],
        take: Callable[[LabelMap], None],
    ) -> Said:
        """Raises as `segment`, and what reading the rows and `take` raise."""
        watch = _Laps()
        with self.models.use(model) as loaded:
            watch.lap("load")
            run = _Run(loaded, watch, check)
            doubts = run.by_rows(picture.rows, (picture.height, picture.width), tile, take)
            return Said(doubts=doubts, timings_ms=watch.milliseconds(), identity=_identity(loaded))


def _identity(loaded: LoadedModel) -> ModelIdentity:
    engine, _, precision = loaded.variant.partition(" ")
    return ModelIdentity(
        loaded.card.name,
        loaded.card.version,
        loaded.sha256,
        precision,
        engine,
        device=loaded.engine.device,
        bundle=loaded.bundle,
    )


class _Run:
    """One picture through one model."""

    def __init__(self, loaded: LoadedModel, watch: _Laps, check: Callable[[], None]) -> None:
        self._name = loaded.card.name
        self._batcher: Batcher = loaded.batcher
        self._preprocessing: Preprocessing = loaded.card.preprocessing
        self._space: LabelSpace = loaded.space
        self._activation = loaded.card.activation
        self._watch = watch
        self._check = check

    def whole(self, picture: Picture) -> tuple[LabelMap, Certainty]:
        tensor = _SHARED.of(self._preprocessing, picture)
        self._watch.lap("preprocess")
        logits = self._checked(self._batcher.infer(tensor))
        height, width = picture.shape[:2]
        ids = best_class(logits, height, width)
        self._watch.lap("upsample")
        return self._label_map(ids), partial(_certainty, logits, height, width)

    def by_tiles(self, picture: Picture, tile: TileOptions) -> tuple[LabelMap, Certainty]:
        height, width = picture.shape[:2]
        doubts: list[Doubts] = []
        tile_rows = self._tile_rows(lambda top, bottom: picture[top:bottom], (height, width), tile, doubts)
        ids, confidence = blend(tile_rows, height, width)
        self._watch.lap("upsample")
        return self._label_map(ids), lambda: (confidence, _mean(doubts))

    def by_rows(
        self, rows: _Rows, shape: tuple[int, int], tile: TileOptions, take: Callable[[LabelMap], None]
    ) -> Doubts:
        """shape: (height, width). take: is given the label map from top to bottom."""
        doubts: list[Doubts] = []
        for band in blended_bands(self._tile_rows(rows, shape, tile, doubts), *shape):
            self._check()
            self._watch.lap("upsample")
            take(self._label_map(*band))
            self._watch.lap("write")
        return _mean(doubts)

    def _tile_rows(
        self, rows: _Rows, shape: tuple[int, int], tile: TileOptions, doubts: list[Doubts]
    ) -> Iterator[TileRow]:
        columns = spans(shape[1], size=tile.size, overlap=tile.overlap)
        for span in spans(shape[0], size=tile.size, overlap=tile.overlap):
            self._watch.lap("upsample")
            part = rows(span.start, span.end)
            self._watch.lap("read")
            answers = [self._submitted(part[:, each.start : each.end]) for each in columns]
            self._watch.lap("preprocess")
            tiles = [
                self._tile(each, self._batcher.result(answer), doubts)
                for each, answer in zip(columns, answers, strict=True)
            ]
            yield TileRow(span, tiles)

    def _submitted(self, part: Picture) -> Future[Inferred]:
        self._check()
        return self._batcher.submit(network_input(self._preprocessing, part))

    def _tile(self, columns: Span, inferred: Inferred, doubts: list[Doubts]) -> TileResult:
        self._check()
        logits = self._checked(inferred)
        certainty = measure(logits)
        doubts.append(Doubts(certainty.mean_entropy, certainty.low_confidence))
        self._watch.lap("confidence")
        return TileResult(columns, np.concatenate([logits, certainty.confidence[None]]))

    def _checked(self, inferred: Inferred) -> NDArray[np.float32]:
        self._watch.add("queue", inferred.queued_ms)
        self._watch.add("infer", inferred.ran_ms)
        self._watch.skip()
        if not np.isfinite(inferred.logits).all():
            raise ModelFailed(f"{self._name} gave values that are no numbers")
        classes = len(self._space.class_ids)
        if len(inferred.logits) != classes:
            raise ModelFailed(f"{self._name} gave {len(inferred.logits)} classes, {self._space.name} has {classes}")
        return as_logits(inferred.logits, self._activation)

    def _label_map(self, channels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None) -> LabelMap:
        ids = self._space.class_ids
        if ids != tuple(range(len(ids))):
            channels = np.asarray(ids, np.uint8)[channels]
        label_map = LabelMap(channels, self._space, confidence)
        if (compiled := library()) is not None:
            LabelMap.pixel_counts.note(label_map, count_ids(compiled, channels))
        return label_map


def _certainty(logits: NDArray[np.float32], height: int, width: int) -> tuple[NDArray[np.uint8], Doubts]:
    """logits: (C, h, w). height, width: of the picture."""
    certainty = measure(logits)
    doubts = Doubts(certainty.mean_entropy, certainty.low_confidence)
    return stretched(certainty.confidence, height, width), doubts


def _mean(doubts: Sequence[Doubts]) -> Doubts:
    entropy, low = np.mean(np.asarray(doubts, np.float64), axis=0)
    return Doubts(float(entropy), float(low))


class _Laps:
    """Milliseconds per step; a step that comes again adds up."""

    def __init__(self) -> None:
        self._lap = time.perf_counter()
        self._spent: dict[str, float] = {}

    def lap(self, step: str) -> None:
        before, self._lap = self._lap, time.perf_counter()
        self.add(step, (self._lap - before) * 1e3)

    def add(self, step: str, milliseconds: float) -> None:
        self._spent[step] = self._spent.get(step, 0.0) + milliseconds

    def skip(self) -> None:
        self._lap = time.perf_counter()

    def milliseconds(self) -> Mapping[str, float]:
        return {step: round(spent, 2) for step, spent in self._spent.items()}
