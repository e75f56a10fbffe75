"""Where an ONNX file has its logits, and a division put there."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.calibrate.errors import NoLogits

IDS = "onnx_ids"  # the key of the file that gives class ids and a confidence
CONFIDENCE = "confidence"  # that output
_OPERATOR = {"softmax": "Softmax", "sigmoid": "Sigmoid"}  # by a card's activation
_PASSED = ("Identity", "Transpose", "ReduceMax", "Squeeze")  # what may lie behind it


def find_logits(model: onnx.ModelProto, key: str, activation: str) -> str:
    """The value that holds the logits. key: of the file in the card; activation: of the card. Raises NoLogits."""
    if key == IDS:
        return _before(model, CONFIDENCE, "Softmax")
    output = str(model.graph.output[0].name)
    return _before(model, output, _OPERATOR[activation]) if activation else output


def divide(model: onnx.ModelProto, value: str, temperature: float) -> None:
    """Whoever reads `value`, the graph's output too, reads what it was divided by `temperature`. Raises NoLogits."""
    producer = _producers(model).get(value)
    if producer is None:
        raise NoLogits(f"nothing in the graph computes {value}")
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    undivided, share = _free(f"{value}_undivided", taken), _free(f"{value}_share", taken)
    producer.output[list(producer.output).index(value)] = undivided
    kind = helper.tensor_dtype_to_np_dtype(model.graph.output[-1].type.tensor_type.elem_type)
    one_part = numpy_helper.from_array(np.array(1 / temperature, dtype=kind))
    place = list(model.graph.node).index(producer) + 1
    model.graph.node.insert(place, helper.make_node("Constant", [], [share], value=one_part))
    model.graph.node.insert(place + 1, helper.make_node("Mul", [undivided, share], [value]))
    onnx.checker.check_model(model)


def expose(model: onnx.ModelProto, value: str) -> None:
    """The graph gives this value alone."""
    kind = model.graph.output[-1].type.tensor_type.elem_type
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(value, kind, None))


def _before(model: onnx.ModelProto, output: str, operator: str) -> str:
    """What the last operator of that kind on the way to an output reads."""
    producers, name = _producers(model), output
    while (node := producers.get(name)) is not None:
        if node.op_type == operator:
            return str(node.input[0])
        if node.op_type not in _PASSED:
            break
        name = node.input[0]
    raise NoLogits(
        f"no {operator} was found right before the output {output}, whose logits could be divided: export the model "
        "with logits as its output"
    )


def _producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
