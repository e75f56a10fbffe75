"""The architectures that can be trained: (number of classes, own options) → module. One line per architecture.

Every module: images (B,3,H,W), H and W multiples of 32 → logits (B,classes,H/s,W/s), with s = `output_stride(module)`;
and `.encoder`, the part that a frozen-encoder strategy holds still. One with a loss of its own is a `HasOwnLoss`.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn


class Architectures(Mapping[str, Callable[..., nn.Module]]):
    """Builders by name, each a function in the module of that name, which is imported when somebody asks for it:
    the libraries behind all of them take seconds.
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Callable[..., nn.Module]:
        if name not in self._names:
            raise KeyError(name)
        builder: Callable[..., nn.Module] = getattr(importlib.import_module(f"{__name__}.{name}"), name)
        return builder

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


MODELS = Architectures(
    "deeplabv3",
    "deeplabv3plus",
    "dilatednet",
    "fcn_resnet50",
    "fpn",
    "linknet",
    "manet",
    "mask2former",
    "pspnet",
    "segformer",
    "unet",
    "unetplusplus",
    "upernet",
)

_MEASURED_SIDE = 64  # pixels


@torch.inference_mode()
def output_stride(model: nn.Module) -> int:
    """Pixels of the picture per logit along one side, measured by one forward of zeros. The model is left as it was."""
    device = next(model.parameters()).device
    was_training = {module: module.training for module in model.modules()}
    model.eval()  # batch norm keeps its statistics
    logits = model(torch.zeros(1, 3, _MEASURED_SIDE, _MEASURED_SIDE, device=device))
    for module, training in was_training.items():
        module.training = training
    return _MEASURED_SIDE // int(logits.shape[-1])
