"""The parts of a training: batches, schedule, one epoch, averaged weights, checkpoints. The story is in train.py.

Everything random is drawn from (seed, epoch, index), and a checkpoint is written after each epoch; so a run that was
killed goes on and ends with the same weights as one that was not (on a CPU).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.augmentation import View, normalise
from training.datasets.pairs import NO_CHANNEL, LabelledPictures
from training.recipe import OptimiserChoice, Recipe, ScheduleChoice

Batch = tuple[Tensor, Tensor]  # images (B,3,h,w) float32 channels-last, truth (B,h,w) int64 channels or NO_CHANNEL
LossFunction = Callable[[Tensor, Tensor], Tensor]

LARGEST_GRADIENT = 5.0  # norm over all parameters
LOWEST_SHARE = 1e-3  # of the learning rate: the last steps are small, never none


class _VariedPictures(Dataset[Batch]):
    """One epoch's augmented pictures; the same (seed, epoch, index) gives the same picture in any process."""

    def __init__(self, pictures: LabelledPictures, recipe: Recipe, epoch: int) -> None:
        stage = recipe.stage_of(epoch)
        self._pictures = pictures
        self._augmentation = recipe.augmentation
        self._view = View(crop=stage.crop, scale=stage.scale)
        self._seed = (recipe.seed, epoch)

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng((*self._seed, index))
        picture, mask = self._pictures[index]
        picture, mask = self._augmentation(picture, mask, view=self._view, ignore_id=NO_CHANNEL, rng=rng)
        return torch.from_numpy(normalise(picture)).permute(2, 0, 1), torch.from_numpy(mask).long()


def batches(pictures: LabelledPictures, recipe: Recipe, epoch: int, *, workers: int = 0) -> DataLoader[Batch]:
    """The epoch's batches, shuffled; an incomplete last batch is left out. workers: processes beside this one."""
    size = recipe.stage_of(epoch).batch_size
    order = np.random.default_rng((recipe.seed, epoch)).permutation(len(pictures)).tolist()
    steps = _steps(len(pictures), size)
    chunks = [order[i * size : (i + 1) * size] for i in range(steps)]
    return DataLoader(_VariedPictures(pictures, recipe, epoch), batch_sampler=chunks, num_workers=workers)


def steps_before(epoch: int, recipe: Recipe, picture_counts: Sequence[int]) -> int:
    """Optimiser steps before `epoch` begins. picture_counts: of each stage's data."""
    steps, first = 0, 0
    for stage, count in zip(recipe.stages, picture_counts, strict=True):
        steps += _steps(count, stage.batch_size) * min(max(epoch - first, 0), stage.epochs)
        first += stage.epochs
    return steps


def build_optimiser(model: nn.Module, choice: OptimiserChoice) -> torch.optim.Optimizer:
    """Weights decay; biases and the scales of norms (one-dimensional) do not."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": choice.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    match choice.name:
        case "adamw":
            return torch.optim.AdamW(groups, lr=choice.learning_rate)
        case "adam":
            return torch.optim.Adam(groups, lr=choice.learning_rate)
        case "sgd":
            return torch.optim.SGD(groups, lr=choice.learning_rate, momentum=choice.momentum, nesterov=True)


def learning_rate_share(step: int, total: int, schedule: ScheduleChoice) -> float:
    """Share of the highest learning rate at `step` (0, 1, …) of `total`, in (0, 1]."""
    warm = min(1.0, (step + 1) / (total * schedule.warm_up)) if schedule.warm_up > 0 else 1.0
    return min(warm, max(_share_without_warm_up(step / total, schedule), LOWEST_SHARE))


def train_step(model: nn.Module, loss_of: LossFunction, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
    """One optimisation step; returns the loss before it."""
    images, truth = batch
    loss = loss_of(model(images), truth)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=LARGEST_GRADIENT)
    optimiser.step()
    return float(loss.detach())


class AveragedWeights:
    """An exponential moving average of weights and of batch-norm statistics. It is what is evaluated and exported."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # the first weights are noise: forget them fast
        for name, tensor in model.state_dict().items():
            average = self.values[name]
            if average.dtype.is_floating_point:
                average.lerp_(tensor.detach(), 1 - decay)
            else:
                average.copy_(tensor)


@dataclass
class TrainingState:
    """What changes while a model learns, and all that a checkpoint holds. epoch, step: how many are done."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedWeights
    epoch: int = 0
    step: int = 0

    def save(self, path: Path) -> None:
        """Written beside and moved into place: a kill leaves the old checkpoint or the new one."""
        content = {
            "epoch": self.epoch,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(content, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        content = read_checkpoint(path)
        self.model.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.average.values = content["average"]
        self.epoch, self.step = content["epoch"], content["step"]


def train_epoch(
    state: TrainingState, loader: DataLoader[Batch], loss_of: LossFunction, recipe: Recipe, *, total_steps: int
) -> float:
    """One pass over the epoch's batches; returns the mean loss. The state is changed, its epoch counted."""
    device = next(state.model.parameters()).device
    torch.manual_seed(recipe.seed * 1_000_003 + state.epoch)  # dropout
    state.model.train()
    losses = []
    for images, truth in loader:
        share = learning_rate_share(state.step, total_steps, recipe.schedule)
        for group in state.optimiser.param_groups:
            group["lr"] = share * recipe.optimiser.learning_rate
        batch = images.to(device, memory_format=torch.channels_last), truth.to(device)
        losses.append(train_step(state.model, loss_of, state.optimiser, batch))
        state.step += 1
        state.average.update(state.model, state.step)
    state.epoch += 1
    return float(np.mean(losses))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain values only: a checkpoint can run no code."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def _share_without_warm_up(progress: float, schedule: ScheduleChoice) -> float:
    match schedule.name:
        case "trapezoid":
            return (1 - progress) / schedule.cool_down if schedule.cool_down > 0 else 1.0
        case "one_cycle":
            done = max(0.0, progress - schedule.warm_up) / max(1 - schedule.warm_up, 1e-9)
            return 0.5 * (1 + math.cos(math.pi * done))
        case "polynomial":
            return float((1 - progress) ** schedule.power)
        case "constant":
            return 1.0


def _steps(picture_count: int, batch_size: int) -> int:
    return max(1, picture_count // batch_size)
