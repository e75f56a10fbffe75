"""What is minimised: a model with its loss as one module."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.fit.losses import LossFunction
from training.models.parts.protocols import HasOwnLoss

Teaching = Callable[[Tensor, Tensor, Tensor], Tensor]  # images, logits, loss → the loss with a teacher's part


class Objective(nn.Module):
    """(images, truth) → loss. What is differentiated, and what several processes share the gradient of."""

    def __init__(
        self, model: nn.Module, loss_of: LossFunction | None, *, teaching: Teaching | None = None, bf16: bool = False
    ) -> None:
        """loss_of: of logits and truth; None takes the model's own, which no teacher changes.

        bf16: the forward pass computes in bfloat16, but for the teacher's.
        """
        super().__init__()
        self.model = model
        self._loss_of = loss_of
        self._teaching = teaching
        self._bf16 = bf16

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            if self._loss_of is None:
                assert isinstance(self.model, HasOwnLoss)
                return self.model.own_loss(images, truth)
            logits = self.model(images)
            loss = self._loss_of(logits, truth)
        return loss if self._teaching is None else self._teaching(images, logits, loss)
