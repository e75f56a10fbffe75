"""A user's own ONNX file: looked into before anything runs it, and brought to the names that bundles have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

INPUT, OUTPUT = "image", "logits"
LARGEST_BYTES = 2**31 - 1  # what one protobuf message may have
KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


class OwnFileRefused(Exception):
    """The message says what is wrong with the file and how to mend it. `code` is stable, for programs.

    OwnFileRefused
    ├── UnreadableModel   not an ONNX or TorchScript file
    ├── ExternalData      parts of it lie in other files
    └── WrongGraph        inputs or outputs that are not those of a segmentation network
    """

    code: ClassVar[str] = "own_file_refused"


class UnreadableModel(OwnFileRefused):
    code = "own_file_unreadable"


class ExternalData(OwnFileRefused):
    code = "own_file_external_data"


class WrongGraph(OwnFileRefused):
    code = "own_file_wrong_graph"


def read_graph(path: Path) -> onnx.ModelProto:
    """Without following what it says of other files. Raises UnreadableModel, ExternalData, WrongGraph."""
    if path.stat().st_size > LARGEST_BYTES:
        raise UnreadableModel(f"{path.name} is larger than an ONNX file can be (2 GiB)")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise UnreadableModel(f"{path.name} is no ONNX file: {error}") from error
    if not model.graph.node:
        raise UnreadableModel(f"{path.name} is no ONNX file, or one without a graph")
    _refuse_external_data(model)
    _refuse_foreign_operators(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise UnreadableModel(f"{path.name} contradicts itself: {_first_line(error)}") from error
    return model


def fixed_batch(model: onnx.ModelProto) -> int | None:
    """For how many pictures at once the graph was exported; None: any number. Raises WrongGraph."""
    return _shape(_input(model))[0]


def adapt(model: onnx.ModelProto, *, output: str | None, any_size: bool) -> None:
    """One input `image` (B,3,H,W), one output `logits`, both float; sizes fixed at export are freed. Raises WrongGraph.

    output: its name, where there are several. any_size: height and width become free too, not the batch alone.
    """
    given, chosen = _input(model), onnx.ValueInfoProto()
    chosen.CopyFrom(_output(model, output))
    del model.graph.output[:]
    model.graph.output.append(chosen)
    (result,) = model.graph.output
    del model.graph.value_info[:]  # says sizes that are free now
    _free(given, ("batch", None, "height", "width") if any_size else ("batch", None, None, None))
    _free(result, ("batch", None, "rows", "columns"))
    names = _names(model)
    for value, wanted in ((given, INPUT), (result, OUTPUT)):
        if value.name != wanted and wanted not in names:  # runtimes take them by position: the name is for readers
            _rename(model, value.name, wanted)
            value.name = wanted


def parameter_count(model: onnx.ModelProto) -> int:
    """Numbers in floating-point tensors, integers of quantized weights included; at least 1."""
    kinds = (*FLOATS, TensorProto.DOUBLE, TensorProto.BFLOAT16, TensorProto.INT8, TensorProto.UINT8)
    return max(1, sum(_size(tensor) for tensor in _tensors(model) if tensor.data_type in kinds))


def _input(model: onnx.ModelProto) -> Any:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        named = ", ".join(value.name for value in inputs) or "none"
        raise WrongGraph(f"the graph has {len(inputs)} inputs ({named}), a model to serve has one: the picture")
    (given,) = inputs
    shape = _shape(given)
    if given.type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(given.type.tensor_type.elem_type)
        raise WrongGraph(f"input {given.name} takes {kind}; it must take FLOAT, as mean and std give it")
    if len(shape) != 4 or shape[1] not in (3, None):
        hint = "; channels come before height and width" if len(shape) == 4 and shape[3] == 3 else ""
        raise WrongGraph(f"input {given.name} has the shape {_told(shape)}; it must be (batch, 3, height, width){hint}")
    return given


def _output(model: onnx.ModelProto, wanted: str | None) -> Any:
    outputs = {value.name: value for value in model.graph.output}
    name = wanted or (OUTPUT if OUTPUT in outputs else next(iter(outputs)) if len(outputs) == 1 else "")
    if name not in outputs:
        asked = f"there is no output {wanted!r}" if wanted else "the graph has several outputs"
        raise WrongGraph(f"{asked}; name the logits with --output: {', '.join(outputs) or 'there is none'}")
    result = outputs[name]
    kind, shape = result.type.tensor_type.elem_type, _shape(result)
    if kind not in FLOATS:
        raise WrongGraph(
            f"output {name} gives {TensorProto.DataType.Name(kind)}, so probably class ids; export the logits "
            "before arg max: Maskmill enlarges them first, which gives better edges and the confidence"
        )
    if shape and len(shape) != 4:
        raise WrongGraph(f"output {name} has the shape {_told(shape)}; it must be (batch, classes, height, width)")
    return result


def _refuse_external_data(model: onnx.ModelProto) -> None:
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "another file")
            raise ExternalData(
                f"tensor {tensor.name} lies in {where!r}, outside the file; Maskmill takes one file, which nobody can "
                "lead elsewhere: load it where it was made and write it with onnx.save(model, path)"
            )


def _refuse_foreign_operators(model: onnx.ModelProto) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    for node in _nodes(model):
        if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in own:
            raise WrongGraph(f"operator {node.op_type} of {node.domain} is unknown to every runtime here")


def _nodes(model: onnx.ModelProto) -> Iterator[Any]:
    """Of the graph, its functions, and everything nested in them."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _inner(node):
            waiting.extend(graph.node)


def _inner(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: onnx.ModelProto) -> Iterator[Any]:
    """Every tensor that is stored in the file, wherever."""
    graphs = [model.graph, *(graph for node in _nodes(model) for graph in _inner(node))]
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from attribute.tensors
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
            yield attribute.t


def _names(model: onnx.ModelProto) -> set[str]:
    known = {tensor.name for tensor in _tensors(model)}
    return known.union(*(({*node.input} | {*node.output}) for node in _nodes(model)))


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in _nodes(model):
        for values in (node.input, node.output):
            for index, name in enumerate(values):
                if name == old:
                    values[index] = new


def _free(value: Any, names: tuple[str | None, ...]) -> None:
    for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        if name is not None:
            dimension.Clear()
            dimension.dim_param = name


def _shape(value: Any) -> list[int | None]:
    """None where a size is free; empty when nothing is said."""
    return [each.dim_value or None for each in value.type.tensor_type.shape.dim]


def _told(shape: list[int | None]) -> str:
    return f"({', '.join('any' if each is None else str(each) for each in shape)})"


def _size(tensor: Any) -> int:
    count = 1
    for side in tensor.dims:
        count *= side
    return count if tensor.dims else 0


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
