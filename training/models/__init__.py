"""The architectures that can be trained: (number of classes, own options) → module. One line per architecture.

Every module: images (B,3,H,W), H and W multiples of 32 → logits (B,classes,H/s,W/s), with s = `output_stride(module)`;
and `.encoder`, the part that a frozen-encoder strategy holds still. One with a loss of its own is a `HasOwnLoss`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from training.models.deeplabv3 import deeplabv3
from training.models.deeplabv3plus import deeplabv3plus
from training.models.dilatednet import dilatednet
from training.models.fcn_resnet50 import fcn_resnet50
from training.models.fpn import fpn
from training.models.linknet import linknet
from training.models.manet import manet
from training.models.mask2former import mask2former
from training.models.pspnet import pspnet
from training.models.segformer import segformer
from training.models.unet import unet
from training.models.unetplusplus import unetplusplus
from training.models.upernet import upernet

MODELS: dict[str, Callable[..., nn.Module]] = {
    "deeplabv3": deeplabv3,
    "deeplabv3plus": deeplabv3plus,
    "dilatednet": dilatednet,
    "fcn_resnet50": fcn_resnet50,
    "fpn": fpn,
    "linknet": linknet,
    "manet": manet,
    "mask2former": mask2former,
    "pspnet": pspnet,
    "segformer": segformer,
    "unet": unet,
    "unetplusplus": unetplusplus,
    "upernet": upernet,
}

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


def without_weights(options: Mapping[str, object]) -> dict[str, object]:
    """The same architecture from the same options, with no pretrained weights read: for who loads a checkpoint next."""
    bare = dict(options)
    if "encoder_weights" in bare:
        bare["encoder_weights"] = None
    if "hub" in bare or "folder" in bare:
        bare["pretrained"] = False
    return bare
