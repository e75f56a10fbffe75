"""Several processes that train one model together, started by `torchrun` or `accelerate launch`; usually there is one.

Each takes its share of every batch and the gradients are averaged, so a recipe means the same however many there are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from training.recipe.recipe import Recipe, RecipeError

T = TypeVar("T")

_PATIENCE = timedelta(hours=2)  # the others wait while the first one validates


@dataclass(frozen=True, slots=True)
class Processes:
    """rank: which this one is, of count. local_rank: on its machine, which is the number of its GPU."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator["Processes"]:
        """Those that the launcher's variables tell of, connected; alone without them."""
        processes = cls.announced()
        if processes.count == 1:
            yield processes
            return
        if torch.cuda.is_available():
            torch.cuda.set_device(processes.local_rank)
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
        try:
            yield processes
        finally:
            dist.destroy_process_group()

    @classmethod
    def announced(cls) -> "Processes":
        """What the launcher says, before anything is connected."""
        rank, count, local = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        return cls(int(rank or 0), int(count or 1), int(local or 0))

    @property
    def is_first(self) -> bool:
        """It alone writes, tells and validates."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError for a batch that cannot be divided evenly."""
        for number, stage in enumerate(recipe.stages):
            if stage.batch_size % self.count or stage.batch_size < 2 * self.count:
                where = f"stages[{number}].batch_size"
                allowed = f"multiples of {self.count} processes, 2 or more in each"
                raise RecipeError(f"{where}: got {stage.batch_size}; allowed: {allowed}", where=where)

    def normalising_together(self, model: nn.Module) -> nn.Module:
        """Batch-norm statistics over all processes. On GPUs only: on CPUs each normalises its own share."""
        if self.count == 1 or not torch.cuda.is_available():
            return model
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-any-return,no-untyped-call]

    def sharing(self, objective: nn.Module) -> nn.Module:
        """The same objective, its gradients averaged over all processes. Wrap it anew after freezing or thawing.

        Batch-norm statistics are those of the first process at each wrapping, and each one's own from there.
        """
        if self.count == 1:
            return objective
        gpus = [self.local_rank] if torch.cuda.is_available() else None
        return DistributedDataParallel(objective, device_ids=gpus, forward_sync_buffers=False)

    def agreed(self, value: T) -> T:
        """What the first process has; the others' value is dropped. A meeting point too."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        agreed: T = box[0]
        return agreed

    def averaged(self, value: float) -> float:
        """Over all processes; each must ask."""
        if self.count == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total) / self.count

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """What the first process prepares (rendered scenes) the others find done."""
        if not self.is_first:
            dist.barrier()
        yield
        if self.is_first and self.count > 1:
            dist.barrier()
