"""What a network's last layer may make of its logits, and the way back: pipelines compare and blend logits alone."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float32]

_SMALLEST = np.float32(1e-7)


def _from_softmax(outputs: Tensor) -> Tensor:
    """The softmax of logarithms of probabilities is these probabilities again."""
    return np.log(np.maximum(outputs, _SMALLEST))


def _from_sigmoid(outputs: Tensor) -> Tensor:
    """Log-odds. Of classes that are told one by one, and of which one alone is true, the softmax of these is the
    probability: P(i | exactly one) is proportional to the odds of i."""
    sure = np.clip(outputs, _SMALLEST, 1 - _SMALLEST)
    return np.log(sure) - np.log1p(-sure)


# By what a card's `activation` may say.
TO_LOGITS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda outputs: outputs,
    "softmax": _from_softmax,
    "sigmoid": _from_sigmoid,
}


def as_logits(outputs: Tensor, activation: str) -> Tensor:
    """outputs: (C, h, w) float32 of a network that applies `activation` itself. Returns logits of the same shape whose
    largest is at the same class, and whose softmax is how sure the network is."""
    return TO_LOGITS[activation](outputs)
