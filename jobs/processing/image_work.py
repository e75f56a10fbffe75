"""What one attempt does with its image, from its bytes to its artifacts: a picture is decoded once, for all models."""

from __future__ import annotations

import logging
import math
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from jobs.errors import DownloadFailed, InputNotFound, ObjectNotFound, StorageUnavailable
from jobs.job import Artifact, Comparison, ImageResult, ImageWarning, Job, Source
from jobs.keys import DISAGREEMENT, artifact_key, disagreement_key, is_correction
from jobs.large.large_work import LargeMade, LargeWork, check_possible
from jobs.ports import ObjectStore, Outcome
from jobs.processing.attempt import Attempt, AttemptLost
from jobs.processing.cautions import of_classes, of_masks, of_tiles
from jobs.processing.leftovers import Leftovers
from jobs.processing.measuring import left_out, measure
from jobs.processing.picture_ports import Aside, Decoder, Extent, Segmenter, Sources, later
from jobs.processing.retry import RetryPolicy
from jobs.processing.room import PixelRoom
from jobs.processing.truth import Truth, read_truth, unusable
from jobs.reuse.recipe import CONFIDENCE, PLACE, format_options
from jobs.reuse.remaking import Made, notices_of, remade
from segmentation.errors import SegmentationError
from segmentation.formats import FORMATS
from segmentation.formats.format import Encoded, Format
from segmentation.formats.png_file import write_png
from segmentation.formats.row_writers import EncodedFile
from segmentation.label_map import LabelMap
from segmentation.measures.agreement import Agreement, SideBySide
from segmentation.picture_files.deep_pixels import Notice
from segmentation.picture_files.file_data import FileData, sha256_of
from segmentation.picture_files.pictures import Picture
from segmentation.picture_files.places import MISSING, NOWHERE, UNUSABLE, Place, place_of
from segmentation.picture_files.upright import is_turned_unseen

logger = logging.getLogger(__name__)

PASSES = 4  # over a JPEG's pixels that take as long as one over another picture's, its network included
RUNS = 48  # of the models, with which a picture's work is long


def _is_long(attempt: Attempt, extent: Extent) -> bool:
    tile = attempt.job.options.tile
    if tile is None:
        return False
    step = tile.size - tile.overlap
    tiles = math.ceil(extent.width / step) * math.ceil(extent.height / step)
    return tiles * len(attempt.job.models) > RUNS


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an attempt knows of its image by now. truth: of the picture's size, in the job's label space."""

    truth: LabelMap | None
    picture: Picture | None = None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class _Compared:
    agreement: Agreement
    disagreement: Encoded


class _All(NamedTuple):
    """What came of one picture, before anything is stored. shared: milliseconds by step, spent for all models."""

    made: Sequence[Made | LargeMade]
    shared: Mapping[str, float]
    compared: _Compared | None
    warnings: tuple[ImageWarning, ...]


@dataclass(frozen=True, slots=True)
class ImageWork:
    """Safe for many threads; each attempt is done by one of them, and what can be done meanwhile by another.

    spool: where artifacts of very large pictures lie while they are written; None: the system's place.
    """

    objects: ObjectStore
    sources: Sources
    decoder: Decoder
    segmenter: Segmenter
    room: PixelRoom
    leftovers: Leftovers
    policy: RetryPolicy
    formats: Mapping[str, Format] = field(default_factory=lambda: FORMATS)
    aside: Aside = later
    spool: Path | None = None

    def fetch(self, attempt: Attempt) -> None:
        """Read the input, so that it can be asked what is known of it. Raises as `run`."""
        with attempt.step("fetch"):
            attempt.data = data = self._read(attempt, attempt.image.source)
            attempt.sha256 = attempt.sha256 or sha256_of(data)

    def _read(self, attempt: Attempt, source: Source) -> FileData:
        return self.sources.read(source, tenant=attempt.job.tenant, check=attempt.check)

    def run(self, attempt: Attempt) -> Outcome:
        """Raises AttemptCanceled, AttemptLost, and whatever keeps the image from being done; then nothing is stored."""
        if any(attempt.recalled):
            try:
                return self._ended(attempt)
            except ObjectNotFound as error:  # its job was deleted just now
                attempt.recalled = ()
                extra = {"action": "reuse_missed", "job_id": attempt.job.id, "image": attempt.image.index}
                logger.info("what was known is gone: %s", error, extra=extra)
        return self._ended(attempt)

    def _ended(self, attempt: Attempt) -> Outcome:
        needs_picture = not attempt.recalled or any(each is None or each.missing for each in attempt.recalled)
        with ExitStack() as files:
            found = self._from_picture(attempt, files) if needs_picture else self._from_memory(attempt)
            results, comparison = self._stored(attempt, found)
        return Outcome(
            index=attempt.image.index,
            attempt=attempt.image.attempt,
            results=results,
            comparison=comparison,
            warnings=found.warnings,
            input_sha256=attempt.sha256,
            recipes=tuple(attempt.recipes.of(each.identity) for each in results),
        )

    def _from_memory(self, attempt: Attempt) -> _All:
        """Every model's result is known: the picture is read where a mask has to fit it, if at all."""
        recalled = [each for each in attempt.recalled if each is not None]
        width, height = recalled[0].known.result.width, recalled[0].known.result.height
        truth = self._truth(attempt, (height, width), attempt.data)
        return self._all(attempt, _Seen(truth.label_map), notices_of(recalled[0]) + truth.warnings, (width, height))

    def _from_picture(self, attempt: Attempt, files: ExitStack) -> _All:
        """files: closes those that the artifacts lie in."""
        if attempt.data is None:
            self.fetch(attempt)
        data, attempt.data = attempt.data or b"", None
        with attempt.step("decode"):
            extent = self.decoder.size(data, tiled=attempt.job.options.tile is not None)
            self.segmenter.check_budget(*extent[:2], models=attempt.job.models, tile=attempt.job.options.tile)
        by_rows = extent.pixels > self.decoder.max_pixels
        pixels = 0 if by_rows else extent.pixels * max(extent.weight, extent.passes // PASSES)
        with self.room.take(pixels, check=attempt.check, is_long=by_rows or _is_long(attempt, extent)) as leave:
            attempt.holds_room(leave)
            if by_rows:
                return self._by_rows(attempt, data, extent[:2], files)
            return self._through_the_models(attempt, data)

    def _by_rows(self, attempt: Attempt, data: FileData, size: tuple[int, int], files: ExitStack) -> _All:
        """size: width and height. What is known of the picture is set aside: it would have to be held to be used."""
        check_possible(attempt.job, *size)
        attempt.recalled = ()
        attempt.stretch_limit(math.ceil(size[0] * size[1] / self.decoder.max_pixels))
        with attempt.step("decode"):
            source = self.decoder.open_rows(data, bit_depth=attempt.job.options.bit_depth)
        truth = self._truth(attempt, (size[1], size[0]), data)
        place, told = self._place(attempt, data)
        shared = attempt.take_timings()
        made = LargeWork(self.segmenter, self.formats, self.spool).run(attempt, source, place, files)
        return _All([made], shared, None, made.warnings + told + truth.warnings)

    def _through_the_models(self, attempt: Attempt, data: FileData) -> _All:
        """Pixels are held here and nowhere else: when this returns, their memory is free."""
        with attempt.step("decode"):
            decoded = self.decoder.decode(data, bit_depth=attempt.job.options.bit_depth)
        height, width = decoded.pixels.shape[:2]
        truth = self._truth(attempt, (height, width), data)
        place, told = self._place(attempt, data)
        notices = tuple(ImageWarning(each.code, each.detail) for each in decoded.notices) + told
        seen = _Seen(truth.label_map, decoded.pixels, place)
        return self._all(attempt, seen, notices + truth.warnings, (width, height))

    def _place(self, attempt: Attempt, data: FileData) -> tuple[Place, tuple[ImageWarning, ...]]:
        """What the job's artifacts need of it."""
        names = attempt.job.options.artifacts
        if not any(PLACE in self.formats[name].uses for name in names):
            return NOWHERE, ()
        place, notices = place_of(data)
        if "geotiff" in names and place.georeference is None and not notices:
            notices = (Notice(MISSING, "the picture has no georeference, and so has its geotiff"),)
        told = [each for each in notices if each.code != UNUSABLE or "polygons" in names]
        return place, tuple(ImageWarning(each.code, each.detail) for each in told)

    def _all(self, attempt: Attempt, seen: _Seen, warnings: tuple[ImageWarning, ...], size: tuple[int, int]) -> _All:
        """size: width and height of the picture."""
        job, (width, height) = attempt.job, size
        shared = attempt.take_timings()
        made = [self._through(attempt, model, seen) for model in range(len(job.models))]
        compared = self._compared(attempt, [each.label_map for each in made if each.label_map], seen.truth)
        shared = {**shared, **attempt.take_timings()}
        cautions = of_tiles(job.options.tile, width=width, height=height) + of_classes(job, seen.truth)
        cautions += of_masks(job, seen.truth, [each.result for each in made])
        return _All(made, shared, compared, warnings + cautions)

    def _compared(self, attempt: Attempt, maps: Sequence[LabelMap], truth: LabelMap | None) -> _Compared | None:
        if not maps:
            return None
        with attempt.step("compare"):
            side_by_side = SideBySide(maps)
            encoded = Encoded(write_png(side_by_side.disagreement()), "image/png")
            return _Compared(side_by_side.agreement(truth), encoded)

    def _truth(self, attempt: Attempt, shape: tuple[int, int], picture: FileData | None) -> Truth:
        """shape: of the picture. picture: None where it is known without having been read."""
        job, image = attempt.job, attempt.image
        if image.mask is None:
            return Truth()
        if shape[0] * shape[1] > self.decoder.max_pixels:
            return unusable("of a picture that is read by rows no mask is read")
        with attempt.step("truth"):
            try:
                data = self._read(attempt, image.mask)
            except (DownloadFailed, InputNotFound, ObjectNotFound) as error:
                if self.policy.retry_after_s(error, attempt=image.attempts) is not None:
                    raise
                return unusable(f"the mask could not be read: {error}")
            read = partial(read_truth, data, mask_space=job.mask_space, space=job.space, shape=shape)
            if is_correction(image.mask):
                return read(may_be_open=True)
            return read(turned_unseen=self._is_turned_unseen(attempt, picture))

    def _is_turned_unseen(self, attempt: Attempt, picture: FileData | None) -> bool:
        try:
            return is_turned_unseen(self._read(attempt, attempt.image.source) if picture is None else picture)
        except (DownloadFailed, InputNotFound, ObjectNotFound, SegmentationError):  # what is known of it stands without
            return False

    def _through(self, attempt: Attempt, model: int, seen: _Seen) -> Made:
        """By the model at this position of the job, or by what it made before."""
        recalled = attempt.recalled[model] if attempt.recalled else None
        if recalled is not None:
            with attempt.step("reuse"):
                encode = partial(self._encoded, attempt, seen)
                made = remade(self.objects, attempt.job, recalled, encode, model=model, truth=seen.truth)
            attempt.take_timings()
            return made
        return self._predicted(attempt, model, seen)

    def _predicted(self, attempt: Attempt, model: int, seen: _Seen) -> Made:
        job, picture, truth = attempt.job, seen.picture, seen.truth
        assert picture is not None  # it is read wherever a model has to run
        began = time.perf_counter()
        with attempt.step("segment"):
            prediction = self.segmenter.segment(
                picture, model=job.models[model], tile=job.options.tile, check=attempt.check
            )
        attempt.take_timings()  # the segmenter's own say more
        with attempt.step("metrics"):
            label_map = prediction.label_map.remapped(job.space)
            told = partial(measure, label_map, prediction.certainty, truth=truth)
            work = partial(told, left_out=left_out(job, model), min_confidence=job.options.min_confidence)
            waits = self._needs_confidence(job)
            measured = cache(work if waits else self.aside(work))
            shown = measured()[0] if waits else label_map
        with attempt.step("encode"):
            encoded = self._encoded(attempt, seen, shown, job.options.artifacts)
        with attempt.step("metrics"):
            certain, metrics = measured()
        result = ImageResult(
            width=label_map.width,
            height=label_map.height,
            artifacts=(),
            metrics=metrics,
            timings_ms={**prediction.timings_ms, **attempt.take_timings(), "total": _ms_since(began)},
            identity=prediction.identity,
        )
        return Made(result, encoded, {}, certain if len(job.models) > 1 else None)

    def _needs_confidence(self, job: Job) -> bool:
        """Whether any artifact does."""
        options = job.options
        return options.min_confidence > 0 or any(CONFIDENCE in self.formats[name].uses for name in options.artifacts)

    def _encoded(
        self, attempt: Attempt, seen: _Seen, label_map: LabelMap, names: Sequence[str]
    ) -> Mapping[str, Encoded]:
        """The picture was read wherever something has to be encoded."""
        if (picture := seen.picture) is None:
            return {}
        options = format_options(attempt.job.options, file_name=attempt.image.name, place=seen.place)
        return {name: self.formats[name].encode(label_map, picture, options) for name in names}

    def _stored(self, attempt: Attempt, found: _All) -> tuple[tuple[ImageResult, ...], Comparison | None]:
        """Everything, or nothing: what was stored of an attempt that comes to nothing is removed again."""
        keys: list[str] = []
        try:
            results = tuple(self._store(attempt, found, model, keys) for model in range(len(found.made)))
            comparison = None if found.compared is None else self._store_comparison(attempt, found.compared, keys)
            if not attempt.end():
                raise AttemptLost
        except StorageUnavailable:
            self.leftovers.remove_late(keys)
            raise
        except BaseException:
            self.leftovers.remove(keys)
            raise
        return results, comparison

    def _store(self, attempt: Attempt, found: _All, model: int, keys: list[str]) -> ImageResult:
        """keys: takes up those that may exist from now on, also when this raises."""
        job, image, made, artifacts = attempt.job, attempt.image, found.made[model], []
        with attempt.step("store"):
            for name in job.options.artifacts:
                key = artifact_key(job, name, image.index, attempt=image.attempt, model=model)
                keys.append(key)
                if isinstance(made, LargeMade):
                    artifacts.append(self._put_file(name, key, made.files[name]))
                elif name in made.copies:
                    self.objects.copy(made.copies[name].key, key, size=made.copies[name].size)
                    artifacts.append(replace(made.copies[name], key=key))
                else:
                    artifacts.append(self._put(name, key, made.encoded[name]))
        store_ms = attempt.take_timings()["store"]
        own = made.result.timings_ms
        before = round(own["total"] + sum(found.shared.values()), 2)
        after = {**found.shared, **own, "store": store_ms, "total": round(before + store_ms, 2)}
        return replace(made.result, artifacts=tuple(artifacts), timings_ms=after)

    def _store_comparison(self, attempt: Attempt, compared: _Compared, keys: list[str]) -> Comparison:
        with attempt.step("store"):
            key = disagreement_key(attempt.job, attempt.image.index, attempt=attempt.image.attempt)
            keys.append(key)
            artifact = self._put(DISAGREEMENT, key, compared.disagreement)
        return Comparison(agreement=compared.agreement, artifacts=(artifact,))

    def _put(self, name: str, key: str, encoded: Encoded) -> Artifact:
        size = self.objects.put(key, encoded.data, media_type=encoded.media_type)
        checksum = zlib.crc32(encoded.data)
        return Artifact(name=name, key=key, media_type=encoded.media_type, size=size, crc32=checksum)

    def _put_file(self, name: str, key: str, encoded: EncodedFile) -> Artifact:
        size = self.objects.put(key, encoded.file, media_type=encoded.media_type)
        return Artifact(name=name, key=key, media_type=encoded.media_type, size=size, crc32=encoded.crc32)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1e3, 2)
