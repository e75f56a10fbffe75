"""A model as ONNX and TorchScript files, compared with PyTorch before they are written.

Graph: `image` (B,3,H,W) float32 → `logits` (B,C,H/s,W/s), any batch and size; see segmentation.model_card.
"""

import copy
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from segmentation.label_space import LabelSpace

Logits = NDArray[np.float32]

OPSET = 17
HALF = ".half"  # how a stored half-precision weight is called, behind its name
CHECKED_SIZES = ((1, 64, 96), (2, 128, 64))  # batch, height, width: none is the size that was traced
LARGEST_DIFFERENCE = 1e-3  # of logits, relative to their largest: the export itself
LARGEST_HALF_DIFFERENCE = 2e-2  # the same, with weights rounded to half precision


@contextmanager
def drafts_folder() -> Iterator[Path]:
    """For what is made before it is published. Where its disk takes no more, and the system names no file, it is named:
    it lies on another disk than models do, as TMPDIR says."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.filename is not None or error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, folder) from error


class ExportError(Exception):
    """The exported file does not compute what the model computes; nothing was written."""

    code = "export_differs"


def export_onnx(model: nn.Module, path: Path, *, half_weights: bool = True) -> None:
    """Write `image` (B,3,H,W) → `logits`, any batch and size. Raises ExportError; then `path` is not written.

    half_weights: stored as float16 and cast on loading: half the size, and computed in float32 on every engine.
    """
    model = model.eval().cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        trace(model, draft)
        _compare(model, draft, tolerance=LARGEST_DIFFERENCE)
        if half_weights:
            onnx.save(with_half_weights(onnx.load(draft)), draft)
            _compare(model, draft, tolerance=LARGEST_HALF_DIFFERENCE)
        path.write_bytes(draft.read_bytes())


def with_half_weights(graph_file: onnx.ModelProto) -> onnx.ModelProto:
    """Every float32 initialiser as float16, followed by a Cast back to float32 under the old name."""
    graph = graph_file.graph
    casts = []
    for index, tensor in enumerate(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) == 0:
            continue
        half_name = f"{tensor.name}{HALF}"
        values = numpy_helper.to_array(tensor)
        casts.append(helper.make_node("Cast", [half_name], [tensor.name], to=TensorProto.FLOAT))
        graph.initializer[index].CopyFrom(numpy_helper.from_array(values.astype(np.float16), half_name))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(graph_file)
    return graph_file


def export_ids(model: nn.Module, space: LabelSpace, path: Path) -> None:
    """Write `image` (B,3,H,W) → `ids` (B,H,W) uint8 and `confidence` (B,H,W) float32, for who has no worker.

    Class ids of `space`, chosen after enlarging the logits to the input's size. Weights are stored as float16.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        trace(_WithIds(model.eval().cpu(), space), draft, outputs=("ids", "confidence"))
        onnx.save(with_half_weights(onnx.load(draft)), draft)
        path.write_bytes(draft.read_bytes())


class _WithIds(nn.Module):
    def __init__(self, model: nn.Module, space: LabelSpace) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.register_buffer("ids", torch.tensor(space.class_ids, dtype=torch.uint8))
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = functional.interpolate(self.model(image), image.shape[-2:], mode="bilinear", align_corners=False)
        confidence, channels = logits.softmax(1).max(1)
        return cast(Tensor, self.ids)[channels], confidence


def trace(model: nn.Module, path: Path, *, outputs: Sequence[str] = ("logits",)) -> None:
    axes = {0: "batch", 2: "height", 3: "width"}
    axes_of = {"logits": axes, "ids": {0: "batch", 1: "height", 2: "width"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is deprecated; the other one fixes the batch size
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, 96, 128),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_axes={"image": axes, **{name: axes_of.get(name, axes_of["ids"]) for name in outputs}},
        )


def _compare(model: nn.Module, path: Path, *, tolerance: float) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    _require_alike(model, lambda image: session.run(["logits"], {"image": image.numpy()})[0], "ONNX Runtime", tolerance)


def _require_alike(model: nn.Module, run: Callable[[Tensor], Logits], engine: str, tolerance: float) -> None:
    for batch, height, width in CHECKED_SIZES:
        generator = torch.Generator().manual_seed(height)
        image = torch.randn(batch, 3, height, width, generator=generator)
        with torch.inference_mode():
            expected = model(image).numpy()
        got = run(image)
        if got.shape != expected.shape:
            raise ExportError(f"logits are {got.shape} in {engine} and {expected.shape} in PyTorch")
        difference = float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-6))
        if not difference <= tolerance:  # NaN too
            size = f"{batch}×3×{height}×{width}"
            raise ExportError(
                f"logits of {size} in {engine} differ by {difference:.2g} of their largest, more than {tolerance:g}"
            )


def export_torchscript(model: nn.Module, path: Path, *, half_weights: bool = False) -> None:
    """Traced, for who serves with libtorch. Raises ExportError when its logits differ; then `path` is not written.

    half_weights: stored as float16; who loads it says `.float()` first, as our worker does.
    """
    model = model.eval().cpu()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # deprecated, like the exporter above
        draft = Path(folder) / "draft.pt"
        trace: Any = torch.jit.trace
        traced = trace(copy.deepcopy(model), torch.zeros(1, 3, 96, 128), check_trace=False)  # it is checked below
        torch.jit.save(traced.half() if half_weights else traced, str(draft))
        read: Any = torch.jit.load(str(draft)).float()  # type: ignore[no-untyped-call]
        with torch.inference_mode():
            tolerance = LARGEST_HALF_DIFFERENCE if half_weights else LARGEST_DIFFERENCE
            _require_alike(model, lambda image: cast(Logits, read(image).numpy()), "TorchScript", tolerance)
        path.write_bytes(draft.read_bytes())
