"""The weights of a bundle's ONNX file, as the state of the module that it was exported from: to train on from there.

The exporter folds what it can, gives tensors new names and turns some of them round. So an empty module of the same
architecture is exported the same way, with values of which none occurs twice: each tensor of its file is then known
again, and the bundle's file has the wanted one at the same place of the same node.
"""

import copy
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from training.export.files import HALF, trace

Values = NDArray[np.float32]

_FOLDED_TOLERANCE = 1e-4  # relative: the exporter folds in another order of operations


class AnotherNetwork(Exception):
    """The file was not exported from this architecture with these options."""

    code = "another_network"


@dataclass(frozen=True, slots=True)
class ReadBack:
    """state: by the module's own names. folded: batch norms whose scale and statistics lie in the convolution before
    them. As they are here they compute what the file computes; how large their input is they do not know."""

    state: Mapping[str, Tensor]
    folded: frozenset[str]


def read_back(path: Path, model: nn.Module) -> ReadBack:
    """path: an ONNX file with float32 or float16 weights. The model stays as it is.

    Its number of classes may be another one: tensors then have the file's shape. Raises AnotherNetwork.
    """
    twin = _unmistakable(model)
    with tempfile.TemporaryDirectory() as folder:
        trace(twin, Path(folder) / "twin.onnx")
        places = _places(onnx.load(Path(folder) / "twin.onnx"), onnx.load(path))
    known, own = _Known(twin), twin.state_dict()
    state: dict[str, Tensor] = {}
    folded = set()
    for ours, theirs in places:
        name = known.direct.get(_key(ours))
        if name is not None:
            state[name] = _shaped(theirs, ours, own[name])
            continue
        pair, part = known.folded(ours)
        parts = pair.with_part(part, torch.from_numpy(theirs))
        if any(key in state and not torch.equal(state[key], each) for key, each in parts.items()):
            raise AnotherNetwork(f"{pair.convolution} has several batch norms behind it")
        state |= parts
        folded.add(pair.norm)
    return ReadBack(state, frozenset(folded))


def _unmistakable(model: nn.Module) -> nn.Module:
    """A copy on the CPU, in which no value occurs twice."""
    twin = copy.deepcopy(model).eval()
    twin.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            if tensor.dtype.is_floating_point:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return twin


def _places(ours: onnx.ModelProto, theirs: onnx.ModelProto) -> list[tuple[Values, Values]]:
    """Tensors at the same places of two graphs; what the second one has behind the first one's end is left out."""
    found: dict[str, tuple[Values, Values]] = {}
    one, other = _Graph(ours), _Graph(theirs)
    for node, twin in zip_longest(one.nodes, other.nodes):
        if node is None:
            break
        if twin is None or _computation(node) != _computation(twin):
            raise AnotherNetwork("the file was exported from another architecture, or from other options of it")
        for name, place in zip(node.input, twin.input, strict=True):
            values, wanted = one.values(name), other.values(place)
            if (values is None) != (wanted is None):
                raise AnotherNetwork("the file has its weights elsewhere")
            if values is not None and wanted is not None:
                found[name] = (values, wanted)
    return list(found.values())


def _computation(node: onnx.NodeProto) -> tuple[str, int, list[bytes]]:
    """What a node does with its inputs, its dilations and strides too; values of constants depend on the classes."""
    attributes = [] if node.op_type == "Constant" else [each.SerializeToString() for each in node.attribute]
    return node.op_type, len(node.input), sorted(attributes)


class _Graph:
    """Nodes without those that pass on what they get."""

    def __init__(self, file: onnx.ModelProto) -> None:
        self._values = {each.name: each for each in file.graph.initializer if each.dims}
        self._same = {each.output[0]: each.input[0] for each in file.graph.node if _passes_on(each)}
        self.nodes = [each for each in file.graph.node if each.output[0] not in self._same]

    def values(self, name: str) -> Values | None:
        while name in self._same:
            name = self._same[name]
        return numpy_helper.to_array(self._values[name]).astype(np.float32) if name in self._values else None


def _passes_on(node: onnx.NodeProto) -> bool:
    is_half: bool = node.op_type == "Cast" and node.input[0].endswith(HALF)
    return is_half or node.op_type == "Identity"


class _Known:
    """By what a tensor of the twin's file is known again."""

    def __init__(self, twin: nn.Module) -> None:
        self.direct: dict[bytes, str] = {}
        for name, tensor in twin.state_dict().items():
            if tensor.dtype.is_floating_point and tensor.numel():
                values = tensor.numpy()
                for each in (values, values.T):
                    self.direct.setdefault(_key(each), name)
        self._pairs = list(_pairs(twin))

    def folded(self, values: Values) -> tuple["_Pair", str]:
        """Raises AnotherNetwork for values that are neither a weight nor a folded one."""
        for pair in self._pairs:
            for part in ("weight", "bias"):
                own = getattr(pair, part)
                if own.shape == values.shape and np.allclose(own, values, rtol=_FOLDED_TOLERANCE, atol=1e-5):
                    return pair, part
        raise AnotherNetwork(f"a tensor of shape {list(values.shape)} was computed from several")


@dataclass(frozen=True, slots=True)
class _Pair:
    """A convolution with the batch norm behind it, folded. weight, bias: as the exporter computes them."""

    convolution: str
    norm: str
    has_bias: bool
    epsilon: float
    weight: Values
    bias: Values

    def with_part(self, part: str, values: Tensor) -> dict[str, Tensor]:
        """What is folded stays in the convolution's weight and the norm's bias; else the norm changes nothing."""
        if part == "weight":
            return {f"{self.convolution}.weight": values}
        one = torch.ones_like(values)
        norm = {"weight": one, "bias": values, "running_mean": 0 * one, "running_var": one - self.epsilon}
        state = {f"{self.norm}.{name}": tensor for name, tensor in norm.items()}
        return state | ({f"{self.convolution}.bias": 0 * one} if self.has_bias else {})


def _pairs(model: nn.Module) -> Iterator[_Pair]:
    """Of convolutions whose output goes into a batch norm, in the order in which they run."""
    names = {module: name for name, module in model.named_modules()}
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # with the tensor, so that its id stays its own
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def convolved(module: nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        made[id(output)] = (module, output)

    def normalised(module: nn.Module, inputs: tuple[Tensor, ...], _output: object) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if module.affine and id(inputs[0]) in made:
            found.append((made[id(inputs[0])][0], module))

    hooks = [each.register_forward_hook(convolved) for each in _all(model, nn.Conv2d)]
    hooks += [each.register_forward_hook(normalised) for each in _all(model, nn.BatchNorm2d)]
    with torch.inference_mode():
        model(torch.zeros(1, 3, 96, 128))
    for hook in hooks:
        hook.remove()
    for convolution, norm in found:
        yield _folded(names[convolution], convolution, names[norm], norm)


def _all(model: nn.Module, kind: type[nn.Module]) -> Iterable[nn.Module]:
    return (each for each in model.modules() if isinstance(each, kind))


def _folded(convolution: str, conv: nn.Conv2d, name: str, norm: nn.BatchNorm2d) -> _Pair:
    """Source: Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    before = torch.zeros_like(scale) if conv.bias is None else conv.bias.detach()
    weight = (conv.weight.detach() * scale[:, None, None, None]).numpy()
    bias = ((before - norm.running_mean) * scale + norm.bias.detach()).numpy()
    return _Pair(convolution, name, conv.bias is not None, norm.eps, weight, bias)


def _key(values: Values) -> bytes:
    return np.ascontiguousarray(values, np.float32).tobytes()


def _shaped(theirs: Values, ours: Values, own: Tensor) -> Tensor:
    """Turned as in the module. ours: the twin's values at the same place; own: the same in the module."""
    values = own.numpy()
    turned = _key(values) != _key(ours)
    shape = values.T.shape if turned else values.shape
    if theirs.shape == ours.shape:
        theirs = theirs.reshape(shape)
    return torch.from_numpy(np.ascontiguousarray(theirs.T if turned else theirs))
