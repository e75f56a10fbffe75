"""The temperature with which a model is as sure as it is right on some pictures, and what it is worth on others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from segmentation.measures.calibration import Calibration
from training.calibrate.errors import OutOfRange, TooFewLabelled
from training.export.temperature import CANDIDATES, best_temperature

LEAST_PIXELS = 500  # on the grid, to fit a number to or to measure one with

Sample = tuple[Tensor, Tensor]  # of some pixels: (P, C) logits, (P,) channels that are right


@dataclass(frozen=True, slots=True, kw_only=True)
class Sureness:
    """Means over pixels. confidence: of the best class; accuracy: how often that is right; both in [0, 1].

    calibration_error: the expected one, in [0, 1]. cross_entropy: of the right class, in nats.
    """

    confidence: float
    accuracy: float
    calibration_error: float
    cross_entropy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Each half of the pictures with the temperature of the other half.

    temperatures: fitted to the first, third, … picture, and to the others.
    """

    after: Sureness
    temperatures: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """temperature: fitted to all pixels. before: of the model as it is. check: None where too little is labelled."""

    temperature: float
    pixels: int
    before: Sureness
    check: CrossCheck | None

    @property
    def is_better(self) -> bool:
        """Whether it lowers the cross-entropy where that can be told; a temperature of 1 lowers nothing."""
        if self.temperature == 1:
            return False
        return self.check is None or self.check.after.cross_entropy < self.before.cross_entropy


def fit(samples: Sequence[Sample]) -> Fit:
    """samples: of each picture, in order. Raises TooFewLabelled, OutOfRange."""
    logits, truth = _joined(samples)
    if len(truth) < LEAST_PIXELS:
        raise TooFewLabelled(
            f"{len(truth)} labelled pixels count on the grid, of at least {LEAST_PIXELS} that a temperature is fitted "
            "to: label more of the pictures, or more pictures"
        )
    found = best_temperature(logits, truth)
    lowest, highest = (round(float(each), 3) for each in (CANDIDATES[0], CANDIDATES[-1]))
    if found in (lowest, highest):
        why = "sure of too little" if found == lowest else "sure of what is wrong"
        raise OutOfRange(
            f"the best temperature is at the end of what is tried, {lowest:g} to {highest:g}: the model is {why} "
            "beyond what one number mends, or hardly a labelled pixel is hard. Are the masks those of the pictures? "
            "Label whole pictures, with edges and small things"
        )
    before = sureness([(logits, truth, 1.0)])
    return Fit(temperature=found, pixels=len(truth), before=before, check=cross_check(samples))


def cross_check(samples: Sequence[Sample]) -> CrossCheck | None:
    """Every second picture is of the other half: each is spread as the whole is. None where one has too few pixels."""
    halves = [_joined(part) for part in (samples[::2], samples[1::2]) if part]
    if len(halves) < 2 or any(len(truth) < LEAST_PIXELS for _, truth in halves):
        return None
    first, second = (best_temperature(*half) for half in halves)
    after = sureness([(*halves[0], second), (*halves[1], first)])
    return CrossCheck(after=after, temperatures=(first, second))


def sureness(parts: Iterable[tuple[Tensor, Tensor, float]]) -> Sureness:
    """parts: logits, truth, and the temperature by which these logits are divided; at least one pixel in all."""
    counted, lost, pixels = Calibration.nothing(), 0.0, 0
    for logits, truth, temperature in parts:
        confidence, channels = (logits / temperature).softmax(1).max(1)
        counted += Calibration.of(confidence.numpy(), (channels == truth).numpy())
        lost += float(functional.cross_entropy(logits / temperature, truth, reduction="sum"))
        pixels += len(truth)
    return Sureness(
        confidence=float(counted.confidences.sum()) / pixels,
        accuracy=int(counted.hits.sum()) / pixels,
        calibration_error=counted.expected_error,
        cross_entropy=lost / pixels,
    )


def _joined(samples: Sequence[Sample]) -> Sample:
    """samples: at least one."""
    return torch.cat([logits for logits, _ in samples]), torch.cat([truth for _, truth in samples])
