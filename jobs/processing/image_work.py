"""What one attempt does with its image, from its bytes to its artifacts: a picture is decoded once, for all models."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from jobs.errors import DownloadFailed, InputNotFound, ObjectNotFound
from jobs.job import Artifact, Comparison, ImageResult, ImageWarning
from jobs.keys import DISAGREEMENT, artifact_key, disagreement_key
from jobs.ports import ObjectStore, Outcome
from jobs.processing.attempt import Attempt, AttemptLost
from jobs.processing.cautions import of_classes, of_tiles
from jobs.processing.leftovers import Leftovers
from jobs.processing.measuring import measure
from jobs.processing.picture_ports import Decoder, Segmenter, Sources
from jobs.processing.retry import RetryPolicy
from jobs.processing.room import PixelRoom
from jobs.processing.truth import Truth, read_truth, unusable
from segmentation.formats import FORMATS, FormatOptions
from segmentation.formats.format import Encoded, Format
from segmentation.formats.png_file import write_png
from segmentation.label_map import LabelMap
from segmentation.measures.agreement import Agreement, SideBySide
from segmentation.palette import COLOUR_BLIND
from segmentation.picture_files.pictures import Picture


@dataclass(frozen=True, slots=True)
class _Made:
    """A result that lacks its artifacts, and what they will be, by format. label_map: of several models alone."""

    result: ImageResult
    encoded: Mapping[str, Encoded]
    label_map: LabelMap | None = None


@dataclass(frozen=True, slots=True)
class _Compared:
    agreement: Agreement
    disagreement: Encoded


class _All(NamedTuple):
    """What came of one picture, before anything is stored."""

    made: Sequence[_Made]
    compared: _Compared | None
    warnings: tuple[ImageWarning, ...]


@dataclass(frozen=True, slots=True)
class ImageWork:
    """Safe for many threads; each attempt is done by one of them."""

    objects: ObjectStore
    sources: Sources
    decoder: Decoder
    segmenter: Segmenter
    room: PixelRoom
    leftovers: Leftovers
    policy: RetryPolicy
    formats: Mapping[str, Format] = field(default_factory=lambda: FORMATS)

    def run(self, attempt: Attempt) -> Outcome:
        """Raises AttemptCanceled, AttemptLost, and whatever keeps the image from being done; then nothing is stored."""
        image = attempt.image
        with attempt.step("fetch"):
            data = self.sources.read(image.source, tenant=attempt.job.tenant)
            sha256 = image.input_sha256 or hashlib.sha256(data).hexdigest()
        with attempt.step("decode"):
            width, height = self.decoder.size(data)
            self.segmenter.check_budget(width, height, models=attempt.job.models, tile=attempt.job.options.tile)
        with self.room.take(width * height, check=attempt.check) as leave:
            attempt.holds_room(leave)
            found = self._through_the_models(attempt, data)
        results, comparison = self._stored(attempt, found)
        return Outcome(
            index=image.index,
            attempt=image.attempt,
            results=results,
            comparison=comparison,
            warnings=found.warnings,
            input_sha256=sha256,
        )

    def _through_the_models(self, attempt: Attempt, data: bytes) -> _All:
        """Pixels are held here and nowhere else: when this returns, their memory is free."""
        job = attempt.job
        with attempt.step("decode"):
            decoded = self.decoder.decode(data, bit_depth=job.options.bit_depth)
        truth = self._truth(attempt, decoded.pixels)
        shared = attempt.take_timings()
        made = [self._through(attempt, model, decoded.pixels, truth.label_map) for model in range(len(job.models))]
        compared = self._compared(attempt, [each.label_map for each in made if each.label_map], truth.label_map)
        shared = {**shared, **attempt.take_timings()}
        notices = tuple(ImageWarning(each.code, each.detail) for each in decoded.notices)
        height, width = decoded.pixels.shape[:2]
        cautions = of_tiles(job.options.tile, width=width, height=height) + of_classes(job, truth.label_map)
        warnings = notices + truth.warnings + cautions
        return _All([_with_shared(each, shared) for each in made], compared, warnings)

    def _compared(self, attempt: Attempt, maps: Sequence[LabelMap], truth: LabelMap | None) -> _Compared | None:
        if not maps:
            return None
        with attempt.step("compare"):
            side_by_side = SideBySide(maps)
            encoded = Encoded(write_png(side_by_side.disagreement()), "image/png")
            return _Compared(side_by_side.agreement(truth), encoded)

    def _truth(self, attempt: Attempt, picture: Picture) -> Truth:
        job, image = attempt.job, attempt.image
        if image.mask is None:
            return Truth()
        with attempt.step("truth"):
            try:
                data = self.sources.read(image.mask, tenant=job.tenant)
            except (DownloadFailed, InputNotFound, ObjectNotFound) as error:
                if self.policy.retry_after_s(error, attempt=image.attempts) is not None:
                    raise
                return unusable(f"the mask could not be read: {error}")
            return read_truth(data, mask_space=job.mask_space, space=job.space, shape=picture.shape[:2])

    def _through(self, attempt: Attempt, model: int, picture: Picture, truth: LabelMap | None) -> _Made:
        """model: its position in the job."""
        job = attempt.job
        began = time.perf_counter()
        with attempt.step("segment"):
            prediction = self.segmenter.segment(
                picture, model=job.models[model], tile=job.options.tile, check=attempt.check
            )
        attempt.take_timings()  # the segmenter's own say more
        with attempt.step("metrics"):
            label_map = prediction.label_map.remapped(job.space)
            impossible = frozenset(each.id for each in job.impossible_classes(model))
            metrics = measure(label_map, mean_entropy=prediction.mean_entropy, truth=truth, impossible=impossible)
        with attempt.step("encode"):
            encoded = self._encoded(attempt, label_map, picture)
        result = ImageResult(
            width=label_map.width,
            height=label_map.height,
            artifacts=(),
            metrics=metrics,
            timings_ms={**prediction.timings_ms, **attempt.take_timings(), "total": _ms_since(began)},
            identity=prediction.identity,
        )
        return _Made(result, encoded, label_map if len(job.models) > 1 else None)

    def _encoded(self, attempt: Attempt, label_map: LabelMap, picture: Picture) -> Mapping[str, Encoded]:
        overlay = attempt.job.options.overlay
        options = FormatOptions(
            opacity=overlay.opacity,
            overlay_format=overlay.format,
            colour_blind_safe=overlay.palette == COLOUR_BLIND,
            file_name=attempt.image.name,
        )
        return {name: self.formats[name].encode(label_map, picture, options) for name in attempt.job.options.artifacts}

    def _stored(self, attempt: Attempt, found: _All) -> tuple[tuple[ImageResult, ...], Comparison | None]:
        """Everything, or nothing: what was stored of an attempt that comes to nothing is removed again."""
        keys: list[str] = []
        try:
            results = tuple(self._store(attempt, model, each, keys) for model, each in enumerate(found.made))
            comparison = None if found.compared is None else self._store_comparison(attempt, found.compared, keys)
            if not attempt.end():
                raise AttemptLost
        except BaseException:
            self.leftovers.remove(keys)
            raise
        return results, comparison

    def _store(self, attempt: Attempt, model: int, made: _Made, keys: list[str]) -> ImageResult:
        """keys: takes up those that may exist from now on, also when this raises."""
        job, image, artifacts = attempt.job, attempt.image, []
        with attempt.step("store"):
            for name, each in made.encoded.items():
                key = artifact_key(job, name, image.index, attempt=image.attempt, model=model)
                artifacts.append(self._put(name, key, each, keys))
        store_ms = attempt.take_timings()["store"]
        timings = made.result.timings_ms
        after = {**timings, "store": store_ms, "total": round(timings["total"] + store_ms, 2)}
        return replace(made.result, artifacts=tuple(artifacts), timings_ms=after)

    def _store_comparison(self, attempt: Attempt, compared: _Compared, keys: list[str]) -> Comparison:
        with attempt.step("store"):
            key = disagreement_key(attempt.job, attempt.image.index, attempt=attempt.image.attempt)
            artifact = self._put(DISAGREEMENT, key, compared.disagreement, keys)
        return Comparison(agreement=compared.agreement, artifacts=(artifact,))

    def _put(self, name: str, key: str, encoded: Encoded, keys: list[str]) -> Artifact:
        keys.append(key)
        size = self.objects.put(key, encoded.data, media_type=encoded.media_type)
        checksum = zlib.crc32(encoded.data)
        return Artifact(name=name, key=key, media_type=encoded.media_type, size=size, crc32=checksum)


def _with_shared(made: _Made, shared: Mapping[str, float]) -> _Made:
    timings = made.result.timings_ms
    total = round(timings["total"] + sum(shared.values()), 2)
    return replace(made, result=replace(made.result, timings_ms={**shared, **timings, "total": total}))


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1e3, 2)
