"""What is minimised: a model with its loss as one module."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.fit.losses import LossFunction
from training.models.parts.protocols import HasOwnLoss

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # by the precision of a recipe

Teaching = Callable[[Tensor, Tensor, Tensor], Tensor]  # images, logits, loss → the loss with a teacher's part


class Objective(nn.Module):
    """(images, truth) → loss. What is differentiated, and what several processes share the gradient of."""

    def __init__(
        self,
        model: nn.Module,
        loss_of: LossFunction | None,
        *,
        teaching: Teaching | None = None,
        half: torch.dtype | None = None,
    ) -> None:
        """loss_of: of logits and truth; None takes the model's own, which no teacher changes.

        half: what the forward pass computes in, but for the teacher's.
        """
        super().__init__()
        self.model = model
        self._loss_of = loss_of
        self._teaching = teaching
        self._half = half

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype=self._half, enabled=self._half is not None):
            if self._loss_of is None:
                assert isinstance(self.model, HasOwnLoss)
                return self.model.own_loss(images, truth)
            logits = self.model(images)
            loss = self._loss_of(logits, truth)
        return loss if self._teaching is None else self._teaching(images, logits, loss)
