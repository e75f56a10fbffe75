"""One attempt at a picture that is never held as a whole: read by rows, segmented by tiles, written by rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from jobs.job import ImageMetrics, ImageResult, ImageWarning, Job
from jobs.processing.attempt import Attempt
from jobs.processing.cautions import OVERLAY_REDUCED, of_tiles
from jobs.processing.picture_ports import Said, Segmenter
from jobs.reuse.recipe import format_options
from segmentation.errors import ImageTooLarge
from segmentation.formats import Format
from segmentation.formats.row_writers import ROW_WRITERS, EncodedFile, RowPlan, RowWriter, overlay_step
from segmentation.label_map import LabelMap, RowTotals, coverage
from segmentation.picture_files.picture_rows import PictureRows, RowSource
from segmentation.picture_files.pictures import Picture
from segmentation.picture_files.places import Place


@dataclass(frozen=True, slots=True)
class LargeMade:
    """A result that lacks its artifacts, and their files."""

    result: ImageResult
    files: Mapping[str, EncodedFile]
    warnings: tuple[ImageWarning, ...]


@dataclass(frozen=True, slots=True)
class LargeWork:
    """spool: where artifacts lie while they are written; None: the system's place."""

    segmenter: Segmenter
    formats: Mapping[str, Format]
    spool: Path | None = None

    def run(self, attempt: Attempt, source: RowSource, place: Place, files: ExitStack) -> LargeMade:
        """place: of the picture. files: closes those of the artifacts. Raises what `ImageWork.run` raises."""
        job, tile = attempt.job, attempt.job.options.tile
        assert tile is not None  # others are refused by their size
        began = time.perf_counter()
        taking = _Taking(attempt, source, self._writers(attempt, source, place, files))
        with attempt.step("segment"):
            rows = PictureRows(source, taking.picture)
            said = self.segmenter.segment_rows(
                rows, model=job.models[0], tile=tile, check=attempt.check, take=taking.labels
            )
            notices = source.notices()
        attempt.take_timings()  # the segmenter's own say more
        with attempt.step("encode"):
            made = {name: writer.end() for name, writer in taking.writers.items()}
        timings = {**said.timings_ms, **attempt.take_timings(), "total": _ms_since(began)}
        told = tuple(ImageWarning(each.code, each.detail) for each in notices)
        cautions = of_tiles(tile, width=source.width, height=source.height)
        return LargeMade(taking.result(said, timings), made, told + cautions + _reduced(job, source))

    def _writers(self, attempt: Attempt, source: RowSource, place: Place, files: ExitStack) -> Mapping[str, RowWriter]:
        job = attempt.job
        options = format_options(job.options, file_name=attempt.image.name, place=place)
        return {
            name: ROW_WRITERS[name](
                RowPlan(
                    height=source.height,
                    width=source.width,
                    space=job.space,
                    options=options,
                    format=self.formats[name],
                    folder=self.spool,
                ),
                files,
            )
            for name in job.options.artifacts
        }


def check_possible(job: Job, width: int, height: int) -> None:
    """Raises ImageTooLarge for what is only made of pictures that are held as a whole."""
    size = f"a picture of {width}×{height} is read and written by rows"
    if len(job.models) > 1:
        raise ImageTooLarge(f"{size}: it goes through one model; give each a job of its own")
    impossible = [name for name in job.options.artifacts if name not in ROW_WRITERS]
    if impossible:
        raise ImageTooLarge(f"{size}: {', '.join(impossible)} cannot be made of it, only {', '.join(ROW_WRITERS)}")


class _Taking:
    """What comes of one picture, row by row."""

    def __init__(self, attempt: Attempt, source: RowSource, writers: Mapping[str, RowWriter]) -> None:
        self.writers = writers
        self._attempt = attempt
        self._size = source.width, source.height
        self._totals = RowTotals(attempt.job.space)

    def picture(self, rows: Picture) -> None:
        self._attempt.check()
        for writer in self.writers.values():
            writer.picture(rows)

    def labels(self, rows: LabelMap) -> None:
        job = self._attempt.job
        rows = rows.remapped(job.space)
        if job.options.min_confidence:
            rows = rows.abstaining(job.options.min_confidence)
        self._totals.add(rows)
        for writer in self.writers.values():
            writer.labels(rows)

    def result(self, said: Said, timings_ms: Mapping[str, float]) -> ImageResult:
        width, height = self._size
        job, fractions = self._attempt.job, self._totals.class_fractions()
        metrics = ImageMetrics(
            class_fractions=fractions,
            coverage=coverage(job.space, fractions) if job.options.min_confidence else None,
            mean_confidence=self._totals.mean_confidence,
            mean_entropy=said.doubts.mean_entropy,
            low_confidence=said.doubts.low_confidence,
        )
        return ImageResult(
            width=width, height=height, artifacts=(), metrics=metrics, timings_ms=timings_ms, identity=said.identity
        )


def _reduced(job: Job, source: RowSource) -> tuple[ImageWarning, ...]:
    step = overlay_step(source.height, source.width)
    if step == 1 or "overlay" not in job.options.artifacts:
        return ()
    return (ImageWarning(OVERLAY_REDUCED, f"of so large a picture the overlay is 1/{step} as wide and high"),)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1e3, 2)
