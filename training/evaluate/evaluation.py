"""What came out of an evaluation: Evaluation holds counts that add up over pictures, Latency what one inference takes.

The formulas are those of `segmentation/`; how pictures go through a model is in scoring.py.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from segmentation.label_space import LabelSpace
from segmentation.measures.calibration import Calibration
from segmentation.measures.metrics import (
    METRICS,
    Confusion,
    as_confusion,
    as_counts,
    dice_per_class,
    iou_per_class,
    mean_dice,
    mean_iou,
)
from segmentation.measures.score_curves import Curve, ScoreHistograms

OF_PROBABILITIES = ("ece", "mean_auc", "mean_ap")  # scores that the classes alone do not tell


class NoScoresKept(Exception):
    """An evaluation without scores was asked for a curve."""

    code = "no_scores_kept"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Counts over all pixels of known truth, in the classes of `space`; those of several pictures add up with `+`.

    confusion: (C, C + 1): the last column holds pixels predicted as void, which are errors.
    calibration, score_histograms: None when the scores were not looked at. unmarked: ids of classes that the masks have
    no way to show: whoever says one errs, and an IoU of 0 for it would tell of the masks, so means are without them.
    """

    space: LabelSpace
    confusion: Confusion
    calibration: Calibration | None = None
    score_histograms: ScoreHistograms | None = None
    picture_count: int = 0
    unmarked: frozenset[int] = frozenset()

    @classmethod
    def nothing(cls, space: LabelSpace, unmarked: Collection[int] = ()) -> "Evaluation":
        """What the counts of pictures are added to."""
        confusion = np.zeros((space.class_count, space.class_count + 1), dtype=np.int64)
        scores = Calibration.nothing(), ScoreHistograms.nothing(space)
        return cls(space, confusion, *scores, unmarked=frozenset(unmarked))

    def __add__(self, other: "Evaluation") -> "Evaluation":
        """Raises ValueError when the label spaces differ."""
        if other.space.name != self.space.name:
            raise ValueError(f"counts in {self.space.name} and in {other.space.name} cannot be added")
        return Evaluation(
            self.space,
            self.confusion + other.confusion,
            _sum(self.calibration, other.calibration),
            _sum(self.score_histograms, other.score_histograms),
            self.picture_count + other.picture_count,
            self.unmarked | other.unmarked,
        )

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Ids of the classes that count, ascending."""
        return tuple(each for each in self.space.class_ids if each not in self.space.void_ids)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of `class_ids`, in the same order."""
        return tuple(self.space.name_of(each) for each in self.class_ids)

    def scores(self, *, without: Collection[int] = ()) -> dict[str, float]:
        """Every number of METRICS; `ece`, `mean_auc`, `mean_ap` where scores were kept; `iou/<class>`, `dice/<class>`.

        NaN for a class that does not occur. without: ids of classes that are left out of the means over classes, as
        `unmarked` are: those that the model has no way to give.
        """
        without = self.unmarked.union(without)
        found = {name: metric(self.confusion) for name, metric in METRICS.items()}
        for name, mean in (("miou", mean_iou), ("mean_dice", mean_dice)):
            found[name] = mean(self.confusion, without=without)
        found |= self._of_scores(without)
        for kind, formula in (("iou", iou_per_class), ("dice", dice_per_class)):
            values = formula(self.confusion)
            found |= {f"{kind}/{self.space.name_of(each)}": float(values[each]) for each in self.class_ids}
        return found

    def roc(self, class_name: str) -> Curve:
        """False against true positive rate. Raises NoScoresKept, and KeyError for an unknown class."""
        return self._kept().roc(self._id_of(class_name))

    def pr(self, class_name: str) -> Curve:
        """Recall against precision. Raises NoScoresKept, and KeyError for an unknown class."""
        return self._kept().pr(self._id_of(class_name))

    def to_json(self) -> str:
        return json.dumps(
            {
                "label_space": self.space.to_dict(),
                "picture_count": self.picture_count,
                "unmarked": sorted(self.unmarked),
                "confusion": as_counts(self.confusion),
                "calibration": None if self.calibration is None else self.calibration.to_dict(),
                "score_histograms": None if self.score_histograms is None else self.score_histograms.to_dict(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """The inverse of `to_json`."""
        value: Mapping[str, Any] = json.loads(text)
        calibration, histograms = value["calibration"], value["score_histograms"]
        return cls(
            LabelSpace.from_dict(value["label_space"]),
            as_confusion(value["confusion"]),
            None if calibration is None else Calibration.from_dict(calibration),
            None if histograms is None else ScoreHistograms.from_dict(histograms),
            value["picture_count"],
            frozenset(value.get("unmarked", ())),
        )

    def _of_scores(self, without: Collection[int]) -> dict[str, float]:
        if self.calibration is None or self.score_histograms is None:
            return {}
        kept, chosen = self.score_histograms, [each for each in self.class_ids if each not in without]
        values = (
            self.calibration.expected_error,
            _mean([kept.roc(each).area for each in chosen]),
            _mean([kept.pr(each).area for each in chosen]),
        )
        return dict(zip(OF_PROBABILITIES, values, strict=True))

    def _kept(self) -> ScoreHistograms:
        if self.score_histograms is None:
            raise NoScoresKept("this evaluation kept no scores; evaluate(…, with_scores=True) does")
        return self.score_histograms

    def _id_of(self, class_name: str) -> int:
        return dict(zip(self.class_names, self.class_ids, strict=True))[class_name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of inference alone: an input tensor in, logits out, one picture at a time, after warm-up.

    size: (height, width) of the network's input in pixels. images_per_s: over all measured runs, one after the other.
    engine: torch, onnxruntime, openvino or openvino bf16. threads: of the processor that the engine may use.
    rounds_ms: the median of each round, where several models took turns; round i of all was measured at about one time.
    """

    median_ms: float
    p90_ms: float
    images_per_s: float
    engine: str
    size: tuple[int, int]
    threads: int
    device: str = "cpu"
    rounds_ms: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Latency":
        """The inverse of `to_dict`, also after a journey through JSON."""
        height, width = value["size"]
        return replace(cls(**value), size=(height, width), rounds_ms=tuple(value.get("rounds_ms", ())))


def _sum(one: Any, other: Any) -> Any:
    """None when one of the two was not counted: half a sum is none."""
    return None if one is None or other is None else one + other


def _mean(values: list[float]) -> float:
    present = [value for value in values if not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")
