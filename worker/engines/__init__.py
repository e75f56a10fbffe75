"""The runtimes there are, by name, and the choice among them. Their libraries are imported when a model is opened."""

from __future__ import annotations

from pathlib import Path

from jobs.errors import ModelFailed
from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Runtime
from worker.engines.onnxruntime import OnnxRuntime
from worker.engines.openvino import OpenVino
from worker.engines.torch import Torch

# In order of preference on a CPU.
ENGINES: dict[str, Runtime] = {"openvino": OpenVino(), "onnxruntime": OnnxRuntime(), "torch": Torch()}
GPU_ORDER = ("torch", "onnxruntime")


def open_engine(bundle: Bundle, rules: EngineRules, *, engine: str = "auto") -> Engine:
    """Open the bundle in the named runtime, or in the first one that can. Raises ModelFailed with every reason."""
    reasons = []
    for name in _candidates(engine, rules.device):
        reason = _unfit(name, bundle, rules.device)
        if reason is None:
            return ENGINES[name].load(bundle, rules)
        reasons.append(f"{name}: {reason}")
    raise ModelFailed(f"{bundle.card.name} cannot be run on {rules.device} here ({'; '.join(reasons)})")


def find_device(wish: str) -> str:
    """`auto` becomes cuda:0 where a GPU and a runtime for it are, else cpu."""
    if wish != "auto":
        return "cuda:0" if wish == "cuda" else wish
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"  # spares a machine without GPU the import of torch
    return "cuda:0" if any(ENGINES[name].missing("cuda:0") is None for name in GPU_ORDER) else "cpu"


def _candidates(engine: str, device: str) -> tuple[str, ...]:
    if engine != "auto":
        return (engine,)
    return GPU_ORDER if device.startswith("cuda") else tuple(ENGINES)


def _unfit(name: str, bundle: Bundle, device: str) -> str | None:
    if ENGINES[name].file not in bundle.card.files:
        return f"the bundle has no {ENGINES[name].file} file"
    return ENGINES[name].missing(device)


__all__ = ["ENGINES", "Engine", "EngineRules", "Runtime", "find_device", "open_engine"]
