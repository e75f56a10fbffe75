"""A machine with a GPU, as our engines see one: what its driver shows, what torch and ONNX Runtime say of it.

ONNX files that are opened on it run on the processor; TorchScript files cannot be opened there.
"""

from __future__ import annotations

import functools
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

import worker.engines
import worker.engines.onnxruntime as engine

PROVIDERS = [engine.CUDA, "CPUExecutionProvider"]


def simulate_gpu(
    patch: pytest.MonkeyPatch,
    folder: Path,
    *,
    package: bool = True,
    usable: bool = True,
    capability: tuple[int, int] = (8, 0),
) -> threading.Event:
    """Until the patch is undone. Returns what makes it fail once it is set, as one that fell off its bus.

    package: onnxruntime-gpu is installed; torch for CUDA always is. usable: with the driver and CUDA's libraries as
    they are both find the GPU. capability: of its processors, as NVIDIA counts them.
    """
    real, lost = onnxruntime.InferenceSession, threading.Event()

    def session(path: str | Path, options: Any = None, *, providers: list[Any]) -> Any:
        """As 1.31.1 gives one: where it cannot use the GPU it is one on the processor, and nothing is raised."""
        opened = real(path, options, providers=["CPUExecutionProvider"])
        if package and usable and providers[0] != "CPUExecutionProvider" and not lost.is_set():
            opened.get_providers = lambda: PROVIDERS
            opened.run = functools.partial(run, opened)
        return opened

    def run(opened: Any, *call: Any) -> Any:
        if lost.is_set():
            raise RuntimeError("CUDA failure 719: unspecified launch failure")
        return real.run(opened, *call)

    def version(distribution: str) -> str:
        """One of the two packages is installed, whichever it is on this machine."""
        if (distribution == "onnxruntime-gpu") is package:
            return "1.31.1"
        raise PackageNotFoundError(distribution)

    devices = folder / "dev"
    devices.mkdir()
    (devices / "nvidia0").touch()
    patch.setattr(worker.engines, "DEVICES", devices)
    patch.setattr(torch.cuda, "is_available", lambda: usable)
    patch.setattr(torch.cuda, "device_count", lambda: 1)
    patch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    patch.setattr(engine, "_kept_from", functools.cache(engine._kept_from.__wrapped__))
    patch.setattr(engine, "version", version)
    patch.setattr(onnxruntime, "get_available_providers", lambda: PROVIDERS if package else PROVIDERS[1:])
    patch.setattr(onnxruntime, "InferenceSession", session)
    return lost
