"""The pyramid computes in another order than smp's, and must give what smp's gives on our grid."""

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import pytest
import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.decoders.fpn import decoder as smp_decoder
from torch.nn import functional

from training.models.fpn import fpn


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    ours = fpn(5, encoder="tu-mobilenetv4_conv_small", pyramid_channels=32, decoder_channels=32)
    theirs = smp.FPN(
        "tu-mobilenetv4_conv_small",
        encoder_weights=None,
        classes=5,
        decoder_pyramid_channels=32,
        decoder_segmentation_channels=32,
        upsampling=1,
    )
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


class _OurGrid:
    """What smp's decoder uses of torch.nn.functional, with centres of cells aligned where it aligns corners."""

    @staticmethod
    def interpolate(features, *, scale_factor, mode, align_corners=None):
        aligned = {} if align_corners is None else {"align_corners": False}
        return functional.interpolate(features, scale_factor=scale_factor, mode=mode, **aligned)


@pytest.mark.parametrize("training", [False, True])
def test_logits_and_gradients_are_those_of_smps_order(networks, training, monkeypatch):
    monkeypatch.setattr(smp_decoder, "F", _OurGrid)
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    results = []
    for network in networks:
        network.train(training)
        network.zero_grad()
        torch.manual_seed(2)  # the same channels drop out
        logits = network(image)
        logits.square().sum().backward()
        results.append((logits.detach(), network.encoder.get_submodule("model.conv_stem").weight.grad))
    (logits, gradient), (expected_logits, expected_gradient) = results
    assert torch.allclose(logits, expected_logits, atol=1e-5 * float(expected_logits.abs().max()))
    assert torch.allclose(gradient, expected_gradient, atol=1e-4 * float(expected_gradient.abs().max()))
