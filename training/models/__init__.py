"""The architectures that can be trained: (number of classes, own options) → module. One line per architecture.

Every module: images (B,3,H,W), H and W multiples of 32 → logits (B,classes,H/4,W/4).
"""

from collections.abc import Callable

from torch import nn

from training.models.deeplabv3plus import deeplabv3plus
from training.models.fpn import fpn

OUTPUT_STRIDE = 4

MODELS: dict[str, Callable[..., nn.Module]] = {
    "deeplabv3plus": deeplabv3plus,
    "fpn": fpn,
}
