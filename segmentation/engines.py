"""The engines there are: which files of a bundle each reads, on which devices, and in what order they are preferred.

To add one: write `worker/engines/<name>.py`, list it here. Cards, settings, workers and `GET /models` follow from it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

AUTO = "auto"  # the fastest one that can
FOR_USERS = ("onnx_ids",)  # files of bundles that no engine here reads


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """files: precision → the key in a card's `files` that is read for it. ranks: kind of device → place in the order
    of preference there, the smallest first. distributions: that bring its library, any one of them.

    runtime: `module:class` in `worker/`, imported when a model is opened. spare_on: kinds of device on which it is only
    taken by itself when no other can: never the fastest there.
    """

    files: Mapping[str, str]
    ranks: Mapping[str, int]
    distributions: tuple[str, ...]
    runtime: str
    spare_on: tuple[str, ...] = ()


ENGINES: dict[str, EngineKind] = {
    "openvino": EngineKind(
        files={"fp32": "onnx", "bf16": "onnx", "int8": "onnx_int8"},
        ranks={"cpu": 1},  # runs a quantised file in half the time that ONNX Runtime takes
        distributions=("openvino",),
        runtime="worker.engines.openvino:OpenVino",
    ),
    "onnxruntime": EngineKind(
        files={"fp32": "onnx", "int8": "onnx_int8"},
        ranks={"cpu": 2, "cuda": 2},
        distributions=("onnxruntime", "onnxruntime-gpu"),
        runtime="worker.engines.onnxruntime:OnnxRuntime",
    ),
    "torch": EngineKind(
        files={"fp32": "torchscript", "bf16": "torchscript"},
        ranks={"cpu": 3, "cuda": 1},
        distributions=("torch",),
        runtime="worker.engines.torch:Torch",
        spare_on=("cpu",),
    ),
}


def engines_for(device: str) -> Sequence[str]:
    """Those that run on a device (`cpu`, `cuda:0`), the preferred one first."""
    kind = device.partition(":")[0]
    able = [name for name, engine in ENGINES.items() if kind in engine.ranks]
    return sorted(able, key=lambda name: ENGINES[name].ranks[kind])


def engines_that_read(files: Collection[str]) -> Sequence[str]:
    """Those that read one of these files of a card."""
    return [name for name, engine in ENGINES.items() if not set(files).isdisjoint(engine.files.values())]


def precisions() -> Sequence[str]:
    """Every precision that an engine computes in."""
    return list(dict.fromkeys(precision for engine in ENGINES.values() for precision in engine.files))


def file_keys() -> Sequence[str]:
    """Every key that a card's `files` may have."""
    read = (key for engine in ENGINES.values() for key in engine.files.values())
    return list(dict.fromkeys((*read, *FOR_USERS)))
