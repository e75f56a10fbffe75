"""The shape of a comparison of several models of one job."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.job import Metrics, ModelVersionView
from jobs.job import JobStatus

_RIGHT = {"pixels": 153_600, "both_right": 0.86, "first_right": 0.05, "second_right": 0.03, "neither_right": 0.06}

COMPARISON_EXAMPLE: dict[str, Any] = {
    "job": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "status": "succeeded",
    "label_space": "camvid-11",
    "images": {"total": 300, "compared": 299, "with_truth": 299},
    "models": [
        {
            "model": name,
            "metrics": {
                "class_fractions": {"road": 0.31, "building": 0.28},
                "mean_confidence": 0.9,
                "ground_truth": {
                    "images": 299,
                    "pixel_accuracy": accuracy,
                    "miou": miou,
                    "mean_dice": 0.75,
                    "iou": {"road": 0.95},
                    "dice": {"road": 0.97},
                },
            },
            "model_versions": [{"name": name, "version": "1", "sha256": "3f786850e387550fdab836", "images": 299}],
            "miou_interval": interval,
        }
        for name, accuracy, miou, interval in (
            ("street-accurate", 0.91, 0.64, [0.61, 0.66]),
            ("street-fast", 0.89, 0.6, [0.58, 0.62]),
        )
    ],
    "disagreement": 0.07,
    "pairs": [
        {
            "models": ["street-accurate", "street-fast"],
            "agreement": 0.93,
            "miou": 0.71,
            "iou": {"road": 0.96, "building": 0.88},
            "ground_truth": {
                **_RIGHT,
                "classes": {"road": {**_RIGHT, "pixels": 46_080}},
                "miou_difference": 0.04,
                "interval": [0.021, 0.058],
                "beyond_chance": True,
                "without_classes": [],
            },
        }
    ],
    "classes": [
        {
            "id": 3,
            "name": "road",
            "colour": [128, 64, 128],
            "models": [
                {"model": "street-accurate", "fraction": 0.31, "iou": 0.95},
                {"model": "street-fast", "fraction": 0.3, "iou": 0.94},
            ],
        }
    ],
    "bootstrap": {"level": 0.95, "resamples": 2000, "images": 299, "seed": 0},
    "most_contested": [
        {
            "index": 17,
            "name": "drive/0017.png",
            "ref": None,
            "disagreement": 0.31,
            "pairs": [
                {
                    "models": ["street-accurate", "street-fast"],
                    "agreement": 0.69,
                    "miou": 0.42,
                    "ground_truth": _RIGHT,
                }
            ],
            "models": [
                {"model": "street-accurate", "pixel_accuracy": 0.8, "miou": 0.5},
                {"model": "street-fast", "pixel_accuracy": 0.6, "miou": 0.4},
            ],
            "links": {
                "self": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/17",
                "disagreement": "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/images/17/disagreement",
            },
        }
    ],
}


class ComparedImages(BaseModel):
    total: int
    compared: int = Field(description="those that have succeeded, under every model")
    with_truth: int


class ComparedModel(BaseModel):
    model: str
    metrics: Metrics
    model_versions: list[ModelVersionView]
    miou_interval: tuple[float, float] | None


class RightShares(BaseModel):
    """Of the pixels of known truth: for which both models are right, the first or the second alone, or neither."""

    pixels: int
    both_right: float | None
    first_right: float | None
    second_right: float | None
    neither_right: float | None


class JudgedPair(RightShares):
    classes: dict[str, RightShares] = Field(description="by true class, those that occur")
    miou_difference: float | None = Field(
        description="of the first less the second, over the classes that both can give and the masks can show"
    )
    interval: tuple[float, float] | None = Field(description="of the difference, by paired bootstrap over the images")
    beyond_chance: bool | None = Field(description="whether the interval leaves zero out")
    without_classes: list[str] = Field(
        description="classes that one of both has no way to give, or the masks to show: the difference is without them"
    )


class ComparedPair(BaseModel):
    models: tuple[str, str]
    agreement: float | None = Field(description="share of the pixels for which both say the same")
    miou: float | None = Field(description="mean IoU between both predictions, whatever the truth")
    without_classes: list[str] | None = Field(
        None,
        exclude_if=lambda names: names is None,
        description="classes that one of both has no way to give: `miou` is taken without them",
    )
    iou: dict[str, float] = Field(description="the same by class")
    ground_truth: JudgedPair | None = Field(description="null without ground truth")


class ClassOfModel(BaseModel):
    model: str
    fraction: float
    iou: float | None


class ComparedClass(BaseModel):
    id: int
    name: str
    colour: tuple[int, int, int]
    models: list[ClassOfModel]


class BootstrapView(BaseModel):
    level: float
    resamples: int
    images: int = Field(description="with truth, that were drawn from; of a very long job not all of them")
    seed: int


class PairOnImage(BaseModel):
    models: tuple[str, str]
    agreement: float | None
    miou: float | None
    ground_truth: RightShares | None = None


class ModelOnImage(BaseModel):
    model: str
    pixel_accuracy: float | None
    miou: float | None


class ContestedImage(BaseModel):
    index: int
    name: str
    ref: str | None
    disagreement: float | None
    pairs: list[PairOnImage]
    models: list[ModelOnImage]
    links: dict[str, str]


class ComparisonView(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": COMPARISON_EXAMPLE})

    job: str
    status: JobStatus
    label_space: str
    images: ComparedImages
    models: list[ComparedModel] = Field(description="in the order in which they were asked for")
    disagreement: float | None = Field(description="mean vote entropy over all pixels, in [0, 1]; 0: all say the same")
    pairs: list[ComparedPair] = Field(description="every two models")
    classes: list[ComparedClass] = Field(description="those that a model said or that are true somewhere")
    bootstrap: BootstrapView | None = Field(
        description="how the intervals came about; null while the job runs, and with fewer than six images some "
        "pixel of which has a known truth"
    )
    most_contested: list[ContestedImage]
