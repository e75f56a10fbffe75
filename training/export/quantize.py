"""Static int8: weights and activations as 8-bit codes, with steps found on real pictures. For convolutional networks.

The file keeps its input and output; between them QuantizeLinear and DequantizeLinear pairs (QDQ) tell an engine what it
may compute in integers. Engines that cannot compute the same in floats.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Tensor = NDArray[np.float32]  # (3, h, w), as preprocessing gives it

# Sums, products and enlargements next to a float layer stay in float: a change of type costs more than it saves.
QUANTISED = ("Conv", "MatMul", "Gemm", "Add", "Relu", "Clip")  # Clip: ReLU6

ChooseNodes = Callable[[onnx.GraphProto], list[str]]


class QuantizationFailed(Exception):
    """The graph holds something that cannot be quantised; the message is that of the library."""

    code = "quantization_failed"


@dataclass(frozen=True, slots=True)
class Plan:
    """left_in_float: names of the nodes that are not quantised."""

    name: str
    left_in_float: ChooseNodes


def quantise(model: Path, pictures: Sequence[Tensor], path: Path, plan: Plan) -> None:
    """The file has short names inside: those of a deep network are a tenth of a small file of 8-bit weights.

    model: an ONNX file with float32 weights. pictures: at least one. Writes `path`; raises QuantizationFailed."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        simple = Path(folder) / "simple.onnx"
        try:
            quant_pre_process(model, simple, skip_symbolic_shape=True)
            quantize_static(
                simple,
                path,
                _Reader(pictures),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=plan.left_in_float(onnx.load(simple).graph),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
        except (ValueError, RuntimeError, KeyError) as error:
            raise QuantizationFailed(f"the graph cannot be quantised: {error}") from error
    quantised = onnx.load(path)
    _shorten_names(quantised.graph)
    onnx.save(quantised, path)


def _shorten_names(graph: onnx.GraphProto) -> None:
    """Of nodes and of the values between them; the inputs and outputs of the graph keep theirs."""
    kept = {each.name for each in (*graph.input, *graph.output)} | {""}
    short: dict[str, str] = {name: name for name in kept}
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = short.setdefault(name, f"v{len(short)}")
        node.ClearField("name")
    for each in graph.initializer:
        each.name = short.get(each.name, each.name)
    graph.ClearField("value_info")


def first_and_last(graph: onnx.GraphProto) -> list[str]:
    """The convolutions that read the picture and that give the classes: few of the work, most of the damage."""
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    inputs = {each.name for each in graph.input}
    first = [node.name for node in convolutions if inputs & set(node.input)]
    classes = {each.name: each.dims[0] for each in graph.initializer if len(each.dims) == 4}
    fewest = min((classes.get(node.input[1], 0) for node in convolutions), default=0)
    return first + [node.name for node in convolutions[-2:] if classes.get(node.input[1]) == fewest]


def gates_too(graph: onnx.GraphProto) -> list[str]:
    """Beside those of `first_and_last`, squeeze-and-excitation: it multiplies whole channels, and errors with them."""
    return first_and_last(graph) + [node.name for node in graph.node if "/se/" in node.name]


# From the fastest to the most careful; the first that keeps the accuracy is taken.
PLANS = (
    Plan("everything", lambda graph: []),
    Plan("all but the first and the last convolution", first_and_last),
    Plan("all but the first and the last convolution, and gates", gates_too),
)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pictures: Sequence[Tensor]) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, Tensor] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {"image": picture[None]}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library writes notices to the root logger and to stdout, for people who call it by hand."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        logger.setLevel(before)
