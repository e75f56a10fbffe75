"""What a training asks of a model beyond being an `nn.Module`."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class HasOwnLoss(Protocol):
    """A model that is trained with a loss of its own instead of the recipe's."""

    def own_loss(self, images: Tensor, truth: Tensor) -> Tensor:
        """The loss of one batch, a scalar with a gradient.

        images: (B,3,H,W) float32; truth: (B,H,W) int64 channels, or NO_CHANNEL for pixels that do not count.
        """
