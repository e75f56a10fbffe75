"""Lets torchvision be imported beside a CPU build of torch. Import this module before smp, timm or transformers.

torchvision's wheel is built for CUDA: where its native library cannot load, two operator schemas are missing and
`import torchvision` fails. Declaring them is enough; nothing calls them. Where the library loads, nothing happens.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _declare_missing_operators() -> torch.library.Library | None:
    """Returns the library holding the declarations, which live as long as it does; None when none were needed."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    try:
        torch.ops.load_library(Path(spec.origin).parent / "_C.so")  # type: ignore[no-untyped-call]
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for schema in _SCHEMAS:
            library.define(schema)  # type: ignore[no-untyped-call]
        return library
    return None


_declarations = _declare_missing_operators()
