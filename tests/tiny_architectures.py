"""Options that make every architecture of MODELS small enough to train a step and export in a second or so."""

from __future__ import annotations

from typing import Any

import torch

from training.models import MODELS

_SMALL: dict[str, object] = {"encoder": "tu-mobilenetv3_small_050"}  # 280,000 weights
_U: dict[str, object] = {**_SMALL, "decoder_channels": (16, 16, 8, 8, 8)}

TINY_OPTIONS: dict[str, dict[str, object]] = {
    "deeplabv3": {**_SMALL, "decoder_channels": 16},
    "deeplabv3plus": {**_SMALL, "decoder_channels": 16},
    "dilatednet": {"encoder": "vgg11", "front_channels": 16},
    "fcn_resnet50": {"encoder": "resnet18", "auxiliary_share": 0.4},
    "fpn": {**_SMALL, "pyramid_channels": 32, "decoder_channels": 64},
    "linknet": _SMALL,
    "manet": {**_U, "attention_channels": 8},
    "mask2former": {"size": "tiny", "points": 128},
    "pspnet": {**_SMALL, "pyramid_channels": 16},
    "segformer": {"size": "b0"},
    "unet": _U,
    "unetplusplus": _U,
    "upernet": {**_SMALL, "decoder_channels": 16},
}


def tiny_architecture(name: str, class_count: int, *, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(name, class_count, **TINY_OPTIONS[name])


def build(name: str, class_count: int, **options: Any) -> Any:
    return MODELS[name](class_count, **options)
