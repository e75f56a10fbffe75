"""Engines that run a model on one picture, for scoring and for timing. Serving has its own in `worker/`."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# (3, h, w) float32 as preprocessing gives it → logits (C, h', w') on the CPU
Predict = Callable[[NDArray[np.float32]], Tensor]


def torch_predictor(model: nn.Module) -> Predict:
    """On the device where the model lies. The model is put into evaluation mode and stays in it."""
    model.eval()
    device = next(model.parameters()).device

    def predict(image: NDArray[np.float32]) -> Tensor:
        batch = torch.from_numpy(image)[None].to(device, memory_format=torch.channels_last)
        with torch.inference_mode():
            logits: Tensor = model(batch)[0]
        return logits.float().cpu()

    return predict


def torchscript_predictor(path: Path) -> Predict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is frozen, not gone
        module = torch.jit.load(str(path), map_location="cpu").float().eval()  # type: ignore[no-untyped-call]

    def predict(image: NDArray[np.float32]) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = module(torch.from_numpy(image)[None])[0]
        return logits.float()

    return predict


def onnx_predictor(path: Path, *, threads: int = 0) -> Predict:
    """ONNX Runtime on the CPU: what is scored is the file that will be served. threads: 0 lets the engine choose.

    One input, one output, whatever they are called, as workers take them.
    """
    session = onnxruntime.InferenceSession(path, onnx_options(threads), providers=["CPUExecutionProvider"])
    picture = session.get_inputs()[0].name

    def predict(image: NDArray[np.float32]) -> Tensor:
        (logits,) = session.run(None, {picture: image[None]})
        return torch.from_numpy(logits[0]).float()

    return predict


def onnx_options(threads: int) -> onnxruntime.SessionOptions:
    """As a worker's: its threads do not turn when they have nothing to do: who is timed next needs them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def openvino_precisions() -> dict[str, str]:
    """`openvino` → f32 where it is installed, `openvino bf16` → bf16 where the processor has that too."""
    if find_spec("openvino") is None:
        return {}
    import openvino

    found = {"openvino": "f32"}
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        found["openvino bf16"] = "bf16"
    return found


def openvino_predictor(path: Path, *, threads: int = 0, precision: str = "f32") -> Predict:
    """OpenVINO on the CPU, compiled once for each picture size that comes. precision: f32 or bf16."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    options = {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False, "INFERENCE_PRECISION_HINT": precision}
    options |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    compiled: dict[tuple[int, ...], Any] = {}

    def predict(image: NDArray[np.float32]) -> Tensor:
        batch = image[None]
        if batch.shape not in compiled:
            fixed = model.clone()
            fixed.reshape(list(batch.shape))  # a dynamic shape is almost twice as slow
            compiled[batch.shape] = core.compile_model(fixed, "CPU", options).create_infer_request()
        request = compiled[batch.shape]
        request.infer({0: batch})
        return torch.from_numpy(np.array(request.get_output_tensor(0).data[0], dtype=np.float32))

    return predict
