"""The runtimes there are, by name, and the choice among them. Their libraries are imported when a model is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jobs.errors import ModelFailed
from segmentation.variant import PRECISIONS
from storage.catalog import Bundle
from worker.engines.engine import Engine, EngineRules, Runtime
from worker.engines.onnxruntime import OnnxRuntime
from worker.engines.openvino import OpenVino
from worker.engines.processor import precisions, processor_flags
from worker.engines.torch import Torch

# In order of preference on a CPU: OpenVINO runs a quantised file in half the time that ONNX Runtime takes.
ENGINES: dict[str, Runtime] = {"openvino": OpenVino(), "onnxruntime": OnnxRuntime(), "torch": Torch()}
GPU_ORDER = ("torch", "onnxruntime")
GPU_PRECISIONS = ("bf16", "fp32")


def open_engine(bundle: Bundle, rules: EngineRules, *, engine: str = "auto", precision: str = "auto") -> Engine:
    """Open the bundle in the named runtime and precision, or in the first ones that can.

    `auto` takes the fastest precision that the processor has instructions for and the bundle a file, unless the card
    lists variants and it is not among them: then it was found to lose too much. Raises ModelFailed with every reason.
    """
    reasons = []
    for name, tried in _candidates(engine, precision, rules.device):
        if precision == "auto" and tried not in ("fp32", *_published(bundle)):
            continue
        reason = _unfit(name, bundle, rules.device, tried)
        if reason is None:
            return ENGINES[name].load(bundle, replace(rules, precision=tried))
        reasons.append(f"{name}: {reason}")
    raise ModelFailed(f"{bundle.card.name} cannot be run on {rules.device} here ({'; '.join(dict.fromkeys(reasons))})")


def find_device(wish: str) -> str:
    """`auto` becomes cuda:0 where a GPU and a runtime for it are, else cpu."""
    if wish != "auto":
        return "cuda:0" if wish == "cuda" else wish
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"  # spares a machine without GPU the import of torch
    return "cuda:0" if any(ENGINES[name].missing("cuda:0") is None for name in GPU_ORDER) else "cpu"


def _candidates(engine: str, precision: str, device: str) -> Iterator[tuple[str, str]]:
    """Runtime and precision, the fastest precision first, and in each the preferred runtime."""
    on_gpu = device.startswith("cuda")
    order = GPU_PRECISIONS if on_gpu else precisions(processor_flags())
    for tried in order if precision == "auto" else (precision,):
        for name in (GPU_ORDER if on_gpu else ENGINES) if engine == "auto" else (engine,):
            yield name, tried


def _published(bundle: Bundle) -> tuple[str, ...]:
    return tuple(each.precision for each in bundle.card.variants) or PRECISIONS


def _unfit(name: str, bundle: Bundle, device: str, precision: str) -> str | None:
    file = ENGINES[name].files.get(precision)
    if file is None:
        return f"does not compute in {precision}"
    if file not in bundle.card.files:
        return f"the bundle has no {file} file"
    return ENGINES[name].missing(device, precision)


__all__ = ["ENGINES", "Engine", "EngineRules", "Runtime", "find_device", "open_engine"]
