"""Files of nearly the same network: what is another one is not taken for it."""

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_architectures import TINY_OPTIONS, build
from training.export.balance import Balanced
from training.export.files import trace
from training.export.temperature import Tempered
from training.start.read_back import AnotherNetwork, read_back

CLASSES = 5


def network(name, *, seed, **options):
    torch.manual_seed(seed)
    return build(name, CLASSES, **{**TINY_OPTIONS[name], **options}).eval()


def test_a_kernel_of_another_shape_is_never_taken_for_one_of_the_same_size(tmp_path):
    trace(network("fpn", seed=1, pyramid_channels=64, decoder_channels=32), tmp_path / "model.onnx")
    other = network("fpn", seed=2, pyramid_channels=32, decoder_channels=64)
    state, own = read_back(tmp_path / "model.onnx", other).state, other.state_dict()
    name = "decoder.seg_blocks.0.block.0.block.0.weight"
    assert (tuple(state[name].shape), tuple(own[name].shape)) == ((32, 64, 3, 3), (64, 32, 3, 3))


def test_a_file_with_other_dilations_is_of_another_network(tmp_path):
    """All of its weights would fit, and compute something else."""
    trace(network("deeplabv3plus", seed=1, atrous_rates=(1, 2, 3)), tmp_path / "model.onnx")
    same = network("deeplabv3plus", seed=2, atrous_rates=(1, 2, 3))
    assert read_back(tmp_path / "model.onnx", same).state
    with pytest.raises(AnotherNetwork, match="or from other options of it"):
        read_back(tmp_path / "model.onnx", network("deeplabv3plus", seed=2))


def test_what_an_export_fitted_behind_the_network_stays_behind(tmp_path):
    model, other = network("fpn", seed=1), network("fpn", seed=2)
    trace(Tempered(Balanced(model, [0.5] * CLASSES), 2.0).eval(), tmp_path / "model.onnx")
    other.load_state_dict({**other.state_dict(), **read_back(tmp_path / "model.onnx", other).state})
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(other(images), model(images), atol=1e-4)


class OneKernel(nn.Module):
    """One convolution that runs once for each batch norm."""

    def __init__(self, *norms: nn.BatchNorm2d) -> None:
        super().__init__()
        self.kernel, self.norms = nn.Conv2d(3, 4, 1), nn.ModuleList(norms)
        for each in norms:
            assert each.running_var is not None
            nn.init.uniform_(each.running_var, 0.5, 2)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([norm(self.kernel(images + number)) for number, norm in enumerate(self.norms)])


def test_a_convolution_of_which_the_export_made_two_is_not_read_back(tmp_path):
    model = OneKernel(nn.BatchNorm2d(4), nn.BatchNorm2d(4)).eval()
    trace(model, tmp_path / "model.onnx")
    with pytest.raises(AnotherNetwork, match="kernel has several batch norms behind it"):
        read_back(tmp_path / "model.onnx", model)


def test_a_folded_batch_norm_without_a_scale_of_its_own_is_not_read_back(tmp_path):
    model = OneKernel(nn.BatchNorm2d(4, affine=False)).eval()
    trace(model, tmp_path / "model.onnx")
    with pytest.raises(AnotherNetwork, match="was computed from several"):
        read_back(tmp_path / "model.onnx", model)
