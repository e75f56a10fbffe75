"""Who takes part: each architecture of MODELS with the options it is compared with. One entry per training.

CONTENDERS share the short budget; LONGER, fewer of them on the encoders that are shipped, share the long one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """name: of its row and of its run's folder. note: what is not as published, for the reader of the table.

    own_loss: it cannot be trained with the others' loss. learning_rate: where the others' is far beyond its own.
    seed: where it is not the budget's; those that differ in nothing else are one row of the table.
    """

    name: str
    title: str
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    own_loss: bool = False
    learning_rate: float | None = None
    seed: int | None = None

    @property
    def pretrained(self) -> bool:
        """Whether its encoder begins with weights that know ImageNet."""
        return "encoder_weights" in self.options

    def as_pretrained(self) -> Contender:
        return replace(self, name=f"{self.name}-imagenet", options={**self.options, "encoder_weights": "imagenet"})

    def with_seed(self, seed: int) -> Contender:
        return replace(self, name=f"{self.name}-seed{seed}", seed=seed)


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

_LITE0 = "tu-tf_efficientnet_lite0"
_FPN_LITE0 = Contender(
    name="fpn-lite0",
    title="FPN EfficientNet-Lite0",
    architecture="fpn",
    options={"encoder": _LITE0, "fixed_padding": True, "last_stage": False, "pyramid_channels": 64},
    note="the network of `street-fast`: without the encoder's last stage, a pyramid of 64 channels",
)
_FPN_LITE2 = Contender(
    name="fpn-lite2",
    title="FPN EfficientNet-Lite2",
    architecture="fpn",
    options={"encoder": "tu-tf_efficientnet_lite2", "fixed_padding": True, "pyramid_channels": 96},
    note="the network of `street-accurate`: a pyramid of 96 channels",
)
_DEEPLAB_LITE0 = Contender(
    name="deeplabv3plus-lite0",
    title="DeepLabV3+ EfficientNet-Lite0",
    architecture="deeplabv3plus",
    options={"encoder": _LITE0},
)
_UNET_LITE0 = Contender(
    name="unet-lite0", title="U-Net EfficientNet-Lite0", architecture="unet", options={"encoder": _LITE0}
)
_SEGFORMER = Contender(
    name="segformer-b0",
    title="SegFormer B0",
    architecture="segformer",
    options={"size": "b0"},
    note="from nothing alone: no package holds weights for it",
)

# In the order in which they are trained: what decides most comes first.
LONGER = (
    _FPN_LITE0.as_pretrained(),
    _FPN_LITE0,
    _FPN_LITE0.as_pretrained().with_seed(2),
    _FPN_LITE0.as_pretrained().with_seed(3),
    _FPN_LITE2.as_pretrained(),
    _DEEPLAB_LITE0.as_pretrained(),
    _DEEPLAB_LITE0,
    _UNET_LITE0.as_pretrained(),
    _UNET_LITE0,
    _FPN_LITE2.as_pretrained().with_seed(2),
    _FPN_LITE2.as_pretrained().with_seed(3),
    _SEGFORMER,
)


def chosen_contenders(names: list[str], among: tuple[Contender, ...]) -> tuple[Contender, ...]:
    """All of them when none is named. Raises KeyError, naming who takes part."""
    known = {each.name: each for each in among}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f"nobody is called {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else among
