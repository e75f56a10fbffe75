"""Optimisers, and how the learning rate changes over a run."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import nn

from training.recipe.recipe import OptimiserChoice, ScheduleChoice

LOWEST_SHARE = 1e-3  # of the learning rate: the last steps are small, never none


def build_optimiser(model: nn.Module, choice: OptimiserChoice) -> torch.optim.Optimizer:
    """Weights decay; biases and the scales of norms (one-dimensional) do not.

    Build it before anything is frozen: the groups of a checkpoint are those of all parameters, and an optimiser passes
    over a parameter without a gradient.
    """
    groups = parameter_groups(model, choice)
    rate = choice.learning_rate
    match choice.name:
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, amsgrad=choice.amsgrad)
        case "adam":
            return torch.optim.Adam(groups, lr=rate, amsgrad=choice.amsgrad)
        case "sgd":
            nesterov = choice.nesterov and choice.momentum > 0
            return torch.optim.SGD(groups, lr=rate, momentum=choice.momentum, nesterov=nesterov)


def parameter_groups(model: nn.Module, choice: OptimiserChoice) -> list[dict[str, Any]]:
    """What decays and what does not; each twice, with `factor` of the rate, where the encoder learns at another one."""
    encoder = {id(p) for p in cast(nn.Module, model.encoder).parameters()} if choice.encoder_factor != 1 else set()
    groups: list[dict[str, Any]] = []
    for inside, factor in ((False, 1.0), (True, choice.encoder_factor)):
        parameters = [p for p in model.parameters() if p.requires_grad and (id(p) in encoder) == inside]
        if parameters or not inside:
            decayed = [p for p in parameters if p.ndim > 1]
            plain = [p for p in parameters if p.ndim <= 1]
            groups.append({"params": decayed, "weight_decay": choice.weight_decay, "factor": factor})
            groups.append({"params": plain, "weight_decay": 0.0, "factor": factor})
    return groups


def learning_rate_share(
    step: int, total: int, schedule: ScheduleChoice, *, epoch: int = 0, plateau_share: float = 1.0
) -> float:
    """Share of the highest learning rate at `step` (0, 1, …) of `total`, in (0, 1].

    epoch: 0, 1, …, of exponential. plateau_share: what plateaus have left of the rate so far, of plateau.
    """
    warm = min(1.0, (step + 1) / (total * schedule.warm_up)) if schedule.warm_up > 0 else 1.0
    match schedule.name:
        case "exponential":
            share = schedule.gamma**epoch
        case "plateau":
            share = plateau_share
        case _:
            share = _share_without_warm_up(step / total, schedule)
    return min(warm, max(share, LOWEST_SHARE))


def _share_without_warm_up(progress: float, schedule: ScheduleChoice) -> float:
    match schedule.name:
        case "trapezoid":
            return (1 - progress) / schedule.cool_down if schedule.cool_down > 0 else 1.0
        case "one_cycle":
            done = max(0.0, progress - schedule.warm_up) / max(1 - schedule.warm_up, 1e-9)
            return 0.5 * (1 + math.cos(math.pi * done))
        case "polynomial":
            return float((1 - progress) ** schedule.power)
        case _:
            return 1.0


@dataclass(slots=True, kw_only=True)
class Patience:
    """Waits for a metric to improve. Its fields belong in the checkpoint."""

    metric: str
    patience: int
    least: float = 0.0  # what counts as an improvement
    best: float | None = None
    waited: int = 0  # measurements since the best

    def ran_out(self, numbers: Mapping[str, float]) -> bool:
        """Told the numbers of an epoch: whether more than `patience` measurements have passed in vain.

        An epoch in which the metric was not measured, or was NaN, changes nothing.
        """
        value = numbers.get(self.metric, math.nan)
        if math.isnan(value):
            return False
        if _gained(self.metric, value, self.best) > self.least:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.is_over

    @property
    def is_over(self) -> bool:
        return self.waited > self.patience

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def load(self, state: Mapping[str, Any]) -> None:
        """What was waited for is taken over; how long to wait is the recipe's."""
        if state["metric"] == self.metric:
            self.best, self.waited = state["best"], state["waited"]


@dataclass(slots=True, kw_only=True)
class Best:
    """The best measurement of a metric so far, and after which epoch (1, 2, …) it was taken. value: None before the
    first. Its fields belong in the checkpoint."""

    metric: str
    value: float | None = None
    epoch: int = 0

    def improved(self, epoch: int, numbers: Mapping[str, float]) -> bool:
        """Told the numbers after an epoch: whether it is the best now. One without the metric, or with NaN, is not."""
        value = numbers.get(self.metric, math.nan)
        if math.isnan(value) or _gained(self.metric, value, self.value) <= 0:
            return False
        self.value, self.epoch = value, epoch
        return True

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def load(self, state: Mapping[str, Any]) -> None:
        if state["metric"] == self.metric:
            self.value, self.epoch = state["value"], state["epoch"]


def _gained(metric: str, value: float, best: float | None) -> float:
    """Losses improve downwards, scores upwards."""
    return math.inf if best is None else (value - best) * (-1 if metric.endswith("loss") else 1)


class Plateau:
    """Lowers the learning rate when a metric stands still, as torch's ReduceLROnPlateau does in its absolute mode."""

    def __init__(self, schedule: ScheduleChoice) -> None:
        self.share = 1.0
        self._factor = schedule.factor
        self._patience = Patience(metric=schedule.metric, patience=schedule.patience)

    def after_epoch(self, numbers: Mapping[str, float]) -> None:
        if self._patience.ran_out(numbers):
            self.share *= self._factor
            self._patience.waited = 0

    def state(self) -> dict[str, Any]:
        return {"share": self.share, "patience": self._patience.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.share = state["share"]
        self._patience.load(state["patience"])
