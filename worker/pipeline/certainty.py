"""How sure a network is: the winner's probability and the entropy, measured at the logits' own size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Measured:
    """confidence: (h, w) float32, the softmax of the winning class. mean_entropy: in [0, 1], relative to log C.
    low_confidence: share of the pixels below 0.5."""

    confidence: NDArray[np.float32]
    mean_entropy: float
    low_confidence: float


def measure(logits: NDArray[np.float32]) -> Measured:
    """logits: (C, h, w). Entropy of softmax p with shifted logits z: log Σ exp z - Σ p z."""
    shifted = logits - np.maximum.reduce(logits, axis=0)  # the methods of arrays do the same by way of Python
    weights = np.exp(shifted)
    total = np.add.reduce(weights, axis=0)
    if len(logits) == 1:
        return Measured(np.ones_like(total), 0.0, 0.0)
    shifted *= weights
    entropy = np.log(total) - np.add.reduce(shifted, axis=0) / total
    mean = np.float32(float(np.add.reduce(entropy, axis=None)) / entropy.size)
    relative = float(mean) / math.log(len(logits))
    low = np.count_nonzero(total > 2) / total.size
    return Measured(1 / total, min(1.0, max(0.0, relative)), low)


def stretched(confidence: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """(height, width) uint8, 255 = certain."""
    codes = np.rint(confidence * 255).astype(np.uint8)
    return np.asarray(cv2.resize(codes, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
