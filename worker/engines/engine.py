"""What every runtime offers: a Runtime opens a bundle as an Engine, an Engine turns input tensors into logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.errors import ImageFailure, ModelFailed, OutOfMemory
from storage.catalog import Bundle

Tensor = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """device: cpu, cuda or cuda:<n>. precision: fp32, bf16 or int8; file: the key in the card's `files` to read for it.

    max_batch: pictures in a call. streams: calls at once, on `cpus` processors.
    """

    device: str = "cpu"
    precision: str = "fp32"
    file: str = "onnx"
    max_batch: int = 1
    streams: int = 1
    cpus: int = 1


class Engine(Protocol):
    """One loaded model. Safe to call from `streams` threads at once."""

    @property
    def device(self) -> str:
        """For people: the runtime, the device and its precision."""

    @property
    def file(self) -> str:
        """The key in the card's `files` of what it runs."""

    @property
    def max_batch(self) -> int: ...

    def run(self, batch: Tensor) -> Tensor:
        """batch: (B, 3, H, W) float32, C-contiguous, B up to max_batch. Returns (B, C, h, w) float32 logits.

        Raises OutOfMemory, ModelFailed.
        """

    def close(self) -> None: ...


class Runtime(Protocol):
    """A library that runs models."""

    def missing(self, device: str, precision: str = "fp32") -> str | None:
        """Why it cannot run on this device here, in one of its precisions; None when it can. Loads no model."""

    def answers(self, device: str) -> bool:
        """Whether a device on which it has run something still runs a thing, however small. Quick."""

    def load(self, bundle: Bundle, rules: EngineRules) -> Engine:
        """The file of the rules, in their precision. Raises ModelFailed."""


def failure_of(error: Exception, model: str) -> ImageFailure:
    """What a runtime raised, in our words. Runtimes tell a lack of memory apart in their texts only."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(each in text for each in _NO_MEMORY):
        return OutOfMemory(f"not enough memory to run {model} on this image")
    return ModelFailed(f"{model} could not be run on this image")


_NO_MEMORY = ("out of memory", "bad_alloc", "bad allocation", "failed to allocate", "cannot allocate", "alloc failed")
