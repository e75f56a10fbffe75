"""The parts of a training: batches, one epoch, averaged weights, checkpoints. The story is in train.py.

Everything random is drawn from (seed, epoch, index), and a checkpoint is written after each epoch; so a run that was
killed goes on and ends with the same weights as one that was not (on a CPU).
"""

import hashlib
import math
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from training.datasets.augmentation import View, normalise, with_small_things
from training.datasets.pairs import NO_CHANNEL, LabelledPictures
from training.fit.optimisation import Best, Patience, Plateau, learning_rate_share
from training.recipe.recipe import Recipe

Batch = tuple[Tensor, Tensor]  # images (B,3,h,w) float32 channels-last, truth (B,h,w) int64 channels or NO_CHANNEL

_OF_TENSORS = ("model", "optimiser", "average", "scaler")  # of a checkpoint
LARGEST_GRADIENT = 5.0  # norm over all parameters


class TrainingDiverged(Exception):
    """The loss is no number any more; the last checkpoint is from before."""

    code = "training_diverged"


class DamagedCheckpoint(Exception):
    """A file is no checkpoint, or not all of one; the message names it."""

    code = "damaged_checkpoint"


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
        varied = partial(self._augmentation, view=self._view, ignore_id=NO_CHANNEL, rng=rng)
        picture, mask = varied(picture, mask)
        if self._augmentation.paste and rng.random() < self._augmentation.paste:
            donor = varied(*self._pictures[int(rng.integers(len(self._pictures)))])
            picture, mask = with_small_things(picture, mask, donor, ignore_id=NO_CHANNEL)
        return torch.from_numpy(normalise(picture)).permute(2, 0, 1), torch.from_numpy(mask).long()


def batches(
    pictures: LabelledPictures, recipe: Recipe, epoch: int, *, workers: int = 0, part: tuple[int, int] = (0, 1)
) -> DataLoader[Batch]:
    """The epoch's batches, shuffled; an incomplete last batch is left out. Of fewer pictures than one batch there is
    one all the same, of as many as the processes can share evenly. workers: processes beside this one.

    part: (0, 1, …, count): which share of each batch this process takes, of how many.
    """
    size = recipe.stage_of(epoch).batch_size
    size = min(size, len(pictures) // part[1] * part[1])  # shares are equal: gradients are averaged, not weighted
    order = np.random.default_rng((recipe.seed, epoch)).permutation(len(pictures)).tolist()
    steps = _batch_count(len(pictures), size)
    chunks = [order[i * size : (i + 1) * size][part[0] :: part[1]] for i in range(steps)]
    return DataLoader(_VariedPictures(pictures, recipe, epoch), batch_sampler=chunks, num_workers=workers)


def steps_before(epoch: int, recipe: Recipe, picture_counts: Sequence[int]) -> int:
    """Optimiser steps before `epoch` begins. picture_counts: of each stage's data."""
    steps, first = 0, 0
    for stage, count in zip(recipe.stages, picture_counts, strict=True):
        steps_of_epoch = math.ceil(_batch_count(count, stage.batch_size) / recipe.accumulate)
        steps += steps_of_epoch * min(max(epoch - first, 0), stage.epochs)
        first += stage.epochs
    return steps


def train_step(
    objective: nn.Module,
    optimiser: torch.optim.Optimizer,
    group: Sequence[Batch],
    scaler: torch.amp.GradScaler | None = None,
) -> float:
    """One optimisation step on the mean loss of a group of batches; returns that loss before the step.

    objective: images, truth → loss (an Objective, or one that several processes share). scaler: of fp16, whose small
    gradients would be zero; a step whose gradients are too large for it is left out.
    """
    scaler = scaler or torch.amp.GradScaler(enabled=False)
    optimiser.zero_grad(set_to_none=True)
    total = 0.0
    for number, (images, truth) in enumerate(group, 1):
        with _kept_to_itself(objective, last=number == len(group)):
            loss = objective(images, truth) / len(group)
            scaler.scale(loss).backward()
        total += float(loss.detach())
    scaler.unscale_(optimiser)
    nn.utils.clip_grad_norm_(objective.parameters(), max_norm=LARGEST_GRADIENT)
    scaler.step(optimiser)
    scaler.update()
    return total


def _kept_to_itself(objective: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Several processes add up their gradients once per step, after the last batch of a group."""
    if isinstance(objective, DistributedDataParallel) and not last:
        return objective.no_sync()
    return nullcontext()


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

    def load(self, values: Mapping[str, Tensor]) -> None:
        for name, tensor in values.items():
            self.values[name].copy_(tensor)


@dataclass
class TrainingState:
    """What changes while a model learns, and all that a checkpoint holds. epoch, step: how many are done.

    numbers: of the last epoch, which is logged once its checkpoint is there.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedWeights
    plateau: Plateau
    stopping: Patience
    best: Best
    scaler: torch.amp.GradScaler = field(default_factory=lambda: torch.amp.GradScaler(enabled=False))
    epoch: int = 0
    step: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Written beside and moved into place once it is on the disk: a kill or a power cut leaves the old checkpoint
        or the new one. Raises OSError; then the old one stays."""
        content = {
            "epoch": self.epoch,
            "step": self.step,
            "numbers": {name: float(value) for name, value in self.numbers.items()},
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
            "plateau": self.plateau.state(),
            "stopping": self.stopping.state(),
            "best": self.best.state(),
            "scaler": self.scaler.state_dict(),
        }
        _write(content, path)

    def save_average(self, path: Path) -> None:
        """The averaged weights alone, and which measurement they gave: a quarter of a checkpoint. As `save`."""
        _write({"epoch": self.epoch, "average": self.average.values, "best": self.best.state()}, path)

    def load(self, path: Path) -> None:
        content = read_checkpoint(path)
        self.model.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.average.load(content["average"])
        self.epoch, self.step = content["epoch"], content["step"]
        if content.get("scaler"):  # of fp16 alone
            self.scaler.load_state_dict(content["scaler"])
        if "plateau" in content:  # older checkpoints have none
            self.plateau.load(content["plateau"])
            self.stopping.load(content["stopping"])
            self.best.load(content.get("best") or _best_of(content["stopping"]))


def _best_of(stopping: Mapping[str, Any]) -> dict[str, Any]:
    """What an older checkpoint knows of the best: its weights were not kept."""
    return {"metric": stopping["metric"], "value": stopping["best"], "epoch": 0}


def _write(content: Mapping[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)  # what is left of it takes the room that is lacking
        raise _of_the_disk(error, part) from error
    part.replace(path)


def train_epoch(
    state: TrainingState,
    objective: nn.Module,
    loader: Iterable[Batch],
    recipe: Recipe,
    *,
    total_steps: int,
    on_step: Callable[[float], None] = lambda loss: None,
) -> dict[str, float]:
    """One pass over the epoch's batches: `train_loss` (mean over steps), `lr` (of the last step).

    objective: holds state.model, which is in training mode as far as the stage wants it. The state is changed, its
    epoch counted. on_step: told the loss of each. Raises TrainingDiverged.
    """
    factor = recipe.stage_of(state.epoch).learning_rate_factor * recipe.optimiser.learning_rate
    device = next(state.model.parameters()).device
    losses, rate = [], 0.0
    for group in _groups(loader, recipe.accumulate):
        rate = factor * learning_rate_share(
            state.step, total_steps, recipe.schedule, epoch=state.epoch, plateau_share=state.plateau.share
        )
        for each in state.optimiser.param_groups:
            each["lr"] = rate * each.get("factor", 1.0)  # older checkpoints have none
        placed = [_placed(batch, device) for batch in group]
        losses.append(train_step(objective, state.optimiser, placed, state.scaler))
        state.step += 1
        state.average.update(state.model, state.step)
        on_step(losses[-1])
    loss = float(np.mean(losses))
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the loss is {loss} in epoch {state.epoch + 1}: lower optimiser.learning_rate")
    if not _is_finite(state.model):  # after the last step, of which no loss tells
        raise TrainingDiverged(f"weights overflow in epoch {state.epoch + 1}: lower optimiser.learning_rate")
    state.epoch += 1
    return {"train_loss": loss, "lr": rate}


def _is_finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(each).all()) for each in model.state_dict().values())


def _placed(batch: Batch, device: torch.device) -> Batch:
    images, truth = batch
    return images.to(device, memory_format=torch.channels_last), truth.to(device)


def read_checkpoint(file: Path | BinaryIO, *, mapped: bool = False) -> dict[str, Any]:
    """Tensors and plain values only: a checkpoint can run no code. Raises DamagedCheckpoint, FileNotFoundError.

    mapped: tensors stay in the file, of which a path is given, and are read as they are looked at.
    """
    name = file if isinstance(file, Path) else file.name
    hint = "bring back a copy, or delete it to begin anew"
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        raise DamagedCheckpoint(f"{name} is damaged, or no checkpoint: {hint}") from error
    if not isinstance(content, dict):
        raise DamagedCheckpoint(f"{name} is no checkpoint: {hint}")
    return content


def read_numbers(path: Path) -> dict[str, Any]:
    """A checkpoint for who looks at none of its tensors, which are not read. Raises as `read_checkpoint`."""
    return {name: value for name, value in read_checkpoint(path, mapped=True).items() if name not in _OF_TENSORS}


def read_with_checksum(path: Path) -> tuple[dict[str, Any], str]:
    """A checkpoint and the SHA-256 of the same file: a training that goes on puts another one in its place."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        return read_checkpoint(file), digest


def _of_the_disk(error: Exception, path: Path) -> Exception:
    """Torch's writer ends with an error of its own where the disk took no more."""
    cause = error if isinstance(error, OSError) else error.__context__
    return OSError(cause.errno, cause.strerror, str(path)) if isinstance(cause, OSError) else error


def _batch_count(picture_count: int, batch_size: int) -> int:
    return max(1, picture_count // batch_size)


def _groups(loader: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of `size` batches; the last may be shorter."""
    group: list[Batch] = []
    for batch in loader:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
