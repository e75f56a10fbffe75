"""Who takes part: each architecture of MODELS with the options it is compared with. One line per row of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """name: of its row and of its run's folder. note: what is not as published, for the reader of the table.

    own_loss: it cannot be trained with the others' loss. learning_rate: where the others' is far beyond its own.
    """

    name: str
    title: str
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    own_loss: bool = False
    learning_rate: float | None = None


CONTENDERS = (
    Contender(name="unet-resnet34", title="U-Net ResNet-34", architecture="unet", options={"encoder": "resnet34"}),
    Contender(
        name="unet-mobilenetv2", title="U-Net MobileNetV2", architecture="unet", options={"encoder": "mobilenet_v2"}
    ),
    Contender(name="fpn-mobilenetv2", title="FPN MobileNetV2", architecture="fpn", options={"encoder": "mobilenet_v2"}),
    Contender(
        name="pspnet-mobilenetv2",
        title="PSPNet MobileNetV2",
        architecture="pspnet",
        options={"encoder": "mobilenet_v2"},
    ),
    Contender(
        name="deeplabv3-mobilenetv2",
        title="DeepLabV3 MobileNetV2",
        architecture="deeplabv3",
        options={"encoder": "mobilenet_v2"},
    ),
    Contender(
        name="deeplabv3plus-mobilenetv2",
        title="DeepLabV3+ MobileNetV2",
        architecture="deeplabv3plus",
        options={"encoder": "mobilenet_v2"},
    ),
    Contender(
        name="deeplabv3plus-resnet50",
        title="DeepLabV3+ ResNet-50",
        architecture="deeplabv3plus",
        options={"encoder": "resnet50"},
    ),
    Contender(name="segformer-b0", title="SegFormer B0", architecture="segformer", options={"size": "b0"}),
    Contender(
        name="linknet-mobilenetv2",
        title="LinkNet MobileNetV2",
        architecture="linknet",
        options={"encoder": "mobilenet_v2"},
    ),
    Contender(
        name="manet-mobilenetv2", title="MA-Net MobileNetV2", architecture="manet", options={"encoder": "mobilenet_v2"}
    ),
    Contender(
        name="unetplusplus-mobilenetv2",
        title="U-Net++ MobileNetV2",
        architecture="unetplusplus",
        options={"encoder": "mobilenet_v2"},
    ),
    Contender(
        name="upernet-mobilenetv2",
        title="UPerNet MobileNetV2",
        architecture="upernet",
        options={"encoder": "mobilenet_v2"},
    ),
    Contender(name="fcn-resnet50", title="FCN ResNet-50", architecture="fcn_resnet50"),
    Contender(
        name="dilatednet",
        title="DilatedNet VGG-16",
        architecture="dilatednet",
        options={"encoder": "vgg16_bn", "front_channels": 512},
        note="batch norm in the VGG, and 512 channels instead of 4096 in its front end: it starts from scratch here",
    ),
    Contender(
        name="mask2former-swin-t",
        title="Mask2Former Swin-T",
        architecture="mask2former",
        options={"size": "swin_tiny", "points": 1024},
        note="trained with its own set loss on 1,024 points of a mask and a quarter of the others' learning rate",
        own_loss=True,
        learning_rate=5e-4,
    ),
)


def chosen_contenders(names: list[str]) -> tuple[Contender, ...]:
    """All of them when none is named. Raises KeyError, naming who takes part."""
    known = {each.name: each for each in CONTENDERS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f"nobody is called {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else CONTENDERS
