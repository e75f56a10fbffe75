"""A result as an earlier image has it, made this image's: its numbers, against this one's truth, and its artifacts."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.errors import ObjectNotFound
from jobs.job import Artifact, ImageMetrics, ImageResult, ImageWarning, Job
from jobs.ports import ObjectStore
from jobs.processing.cautions import OVERLAY_REDUCED
from jobs.processing.measuring import left_out, scores
from jobs.reuse.known import Known
from jobs.reuse.recalling import MASK, Recalled, compared_by
from jobs.reuse.recipe import CONFIDENCE
from segmentation.formats.format import Encoded
from segmentation.formats.mask import Mask
from segmentation.label_map import LabelMap
from segmentation.picture_files.pictures import NOTICES, decode_mask
from segmentation.picture_files.places import MISSING, UNUSABLE

_OF_ARTIFACTS = {OVERLAY_REDUCED: "overlay", MISSING: "geotiff", UNUSABLE: "polygons"}  # warnings about one of them
Encode = Callable[[LabelMap, Sequence[str]], Mapping[str, Encoded]]  # artifacts by their names


@dataclass(frozen=True, slots=True)
class Made:
    """A result that lacks its artifacts, and what they will be, by format. copies: artifacts of an earlier image.
    label_map: of several models alone, to be compared."""

    result: ImageResult
    encoded: Mapping[str, Encoded]
    copies: Mapping[str, Artifact]
    label_map: LabelMap | None = None


def remade(
    objects: ObjectStore, job: Job, recalled: Recalled, encode: Encode, *, model: int, truth: LabelMap | None
) -> Made:
    """Without the model. model: its position in the job. truth: of the picture's size, in the job's label space.

    Raises ObjectNotFound where the earlier one's mask is not there any more, or not as it was; StorageUnavailable.
    """
    began = time.perf_counter()
    earlier, identity = recalled.known.result, recalled.identity
    encoded: Mapping[str, Encoded] = {}
    metrics = _alone(earlier.metrics)
    label_map, compares = None, len(job.models) > 1
    if recalled.missing or truth is not None or compares:
        label_map = _label_map(objects, job, recalled.known)
        encoded = encode(label_map, recalled.missing)
        if truth is not None:
            metrics = replace(metrics, **scores(label_map, truth, left_out(job, model)))
    spent = round((time.perf_counter() - began) * 1e3, 2)
    result = replace(
        earlier,
        artifacts=(),
        metrics=metrics,
        timings_ms={"reuse": spent, "total": spent},
        identity=earlier.identity._replace(name=identity.name, version=identity.version, bundle=identity.bundle),
        reused=True,
    )
    return Made(result, encoded, recalled.copies, label_map if compares else None)


def notices_of(recalled: Recalled) -> tuple[ImageWarning, ...]:
    """What was seen when the picture was decoded, which is the same picture, and what is said of artifacts that are
    copied."""
    told = (each for each in recalled.known.image.warnings if each.code in NOTICES or each.code in _OF_ARTIFACTS)
    return tuple(each for each in told if _OF_ARTIFACTS.get(each.code) in (None, *recalled.copies))


def _alone(metrics: ImageMetrics) -> ImageMetrics:
    """Without the scores against the earlier image's truth."""
    return replace(metrics, confusion=None, pixel_accuracy=None, miou=None, mean_dice=None, iou=None, corrected=False)


def _label_map(objects: ObjectStore, job: Job, known: Known) -> LabelMap:
    """Raises ObjectNotFound."""
    label_map = Mask().decode(_read(objects, known, MASK), job.space)
    if CONFIDENCE not in compared_by(job):
        return label_map
    sure = decode_mask(_read(objects, known, CONFIDENCE), max_pixels=label_map.ids.size)
    return label_map.with_confidence(sure)


def _read(objects: ObjectStore, known: Known, name: str) -> bytes:
    """Raises ObjectNotFound, also for what was damaged."""
    artifact = next(each for each in known.result.artifacts if each.name == name)
    data = objects.get(artifact.key)
    if zlib.crc32(data) != artifact.crc32:
        raise ObjectNotFound(f"the object {artifact.key} is not what was stored")
    return data
