"""What is minimised: a model with its loss as one module."""

import torch
from torch import Tensor, nn

from training.fit.losses import LossFunction
from training.models.parts.protocols import HasOwnLoss


class Objective(nn.Module):
    """(images, truth) → loss. What is differentiated, and what several processes share the gradient of."""

    def __init__(self, model: nn.Module, loss_of: LossFunction | None, *, bf16: bool = False) -> None:
        """loss_of: of logits and truth; None takes the model's own. bf16: the forward pass computes in bfloat16."""
        super().__init__()
        self.model = model
        self._loss_of = loss_of
        self._bf16 = bf16

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            if self._loss_of is not None:
                return self._loss_of(self.model(images), truth)
            assert isinstance(self.model, HasOwnLoss)
            return self.model.own_loss(images, truth)
