"""The shapes of corrections."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.job import GroundTruth, SkippedView, metrics_view
from jobs.corrections.correcting import Corrected
from jobs.corrections.correction import Correction
from jobs.exports.importing import PassedOver, Taken

_EXAMPLE: dict[str, Any] = {
    "job": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "index": 0,
    "version": 2,
    "size": 4321,
    "sha256": "3f786850e387550fdab836ed7e6dc881de23001b6a7d4f1f4b7c1a2d3e4f5a6b",
    "made_at": "2026-11-21T09:00:00Z",
    "made_by": "key_01JD3T1M4Z",
    "link": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/0/correction?version=2",
}
_SCORES: dict[str, Any] = {"pixel_accuracy": 0.93, "miou": 0.64, "mean_dice": 0.75, "iou": {"flat": 0.95}}


class CorrectionView(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    job: str
    index: int = Field(description="of the image in its job")
    version: int = Field(ge=1, description="the newest is the image's ground truth; all are kept")
    size: int = Field(description="bytes of the PNG")
    sha256: str
    made_at: datetime
    made_by: str | None = Field(description="the key with which it came; null where the service asks for none")
    link: str = Field(description="the PNG of this version")


class CorrectedView(CorrectionView):
    model_config = ConfigDict(
        json_schema_extra={"example": {**_EXAMPLE, "ground_truth": {"source": "correction", **_SCORES}}}
    )

    ground_truth: GroundTruth | None = Field(
        description="how the prediction scores against it; null when no stored artifact keeps the class ids"
    )


class CorrectionPage(BaseModel):
    items: list[CorrectionView]
    next_cursor: int | None = Field(description="null on the last page", examples=[49])


class TakenView(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "format": "coco",
                "corrected": 20,
                "unchanged": 0,
                "unknown": {"count": 1, "examples": ["b"]},
                "unannotated": {"count": 0, "examples": []},
            }
        }
    )

    format: str = Field(description="how the archive was read")
    corrected: int = Field(description="images with a new version")
    unchanged: int = Field(description="images that are as they were: as predicted, or as corrected last")
    unknown: SkippedView = Field(description="names in it that are no image's of the job, or not clearly")
    unannotated: SkippedView = Field(
        description="images that COCO or YOLO lists without any annotation: they stay as they were"
    )


class CorrectionVersions(BaseModel):
    items: list[CorrectionView]


def correction_view(correction: Correction) -> CorrectionView:
    return CorrectionView(**_values(correction))


def corrected_view(corrected: Corrected) -> CorrectedView:
    truth = None if corrected.metrics is None else metrics_view(corrected.metrics).ground_truth
    return CorrectedView(**_values(corrected.correction), ground_truth=truth)


def taken_view(taken: Taken) -> TakenView:
    return TakenView(
        format=taken.form,
        corrected=taken.corrected,
        unchanged=taken.unchanged,
        unknown=_skipped_view(taken.unknown),
        unannotated=_skipped_view(taken.unannotated),
    )


def _skipped_view(names: PassedOver) -> SkippedView:
    return SkippedView(count=names.count, examples=list(names.examples))


def _values(correction: Correction) -> dict[str, object]:
    here = f"/jobs/{correction.job_id}/images/{correction.index}/correction"
    return {
        "job": correction.job_id,
        "index": correction.index,
        "version": correction.version,
        "size": correction.file.size,
        "sha256": correction.file.sha256,
        "made_at": correction.made_at,
        "made_by": correction.made_by,
        "link": f"{here}?version={correction.version}",
    }
