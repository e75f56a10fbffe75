"""Batch norms that an export folded: the same function as before, and in training nearly the one that it was."""

import copy

import torch
from torch import nn

from tests.tiny_architectures import tiny_architecture
from training.export.files import export_onnx
from training.start.read_back import read_back
from training.start.unfolding import unfold

FAINT = 0.2  # of the scatter of logits: other pictures than the statistics are of


def network(*, seed):
    torch.manual_seed(seed)
    return tiny_architecture("unet", 4)


def images(count, *, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, 3, 64, 64, generator=generator) * 2 + 1 for _ in range(count)]


def learnt():
    """A network whose batch norms have a scale, a bias and statistics of their own."""
    model = network(seed=1)
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
                module.bias.copy_(torch.rand(module.bias.shape, generator=generator) - 0.5)
    with torch.no_grad():
        for _ in range(2):
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
            for each in images(4, seed=3):
                model.train()(each)
    return model.eval()


def test_unfolding_changes_nothing_in_evaluation_and_brings_back_training(tmp_path):
    model = learnt()
    export_onnx(copy.deepcopy(model), tmp_path / "model.onnx", half_weights=False)
    other = network(seed=4).eval()
    found = read_back(tmp_path / "model.onnx", other)
    other.load_state_dict({**other.state_dict(), **found.state})
    seen, unseen = images(4, seed=3), images(1, seed=5)[0]
    with torch.no_grad():
        expected = model(unseen)
        folded = other(unseen)
        wrong = copy.deepcopy(other).train()(unseen)
        unfold(other, found.folded, seen)
        unfolded = other(unseen)
        training = other.train()(unseen)
        wanted = model.train()(unseen)
    scatter = float(wanted.std())
    assert torch.allclose(folded, expected, atol=1e-4)
    assert torch.allclose(unfolded, expected, atol=1e-4)
    assert float((training - wanted).abs().mean()) < FAINT * scatter
    assert float((wrong - wanted).abs().mean()) > 3 * FAINT * scatter  # so this is needed


def test_the_model_stays_in_the_mode_that_it_was_in():
    model = network(seed=1).train()
    name = next(name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
    unfold(model, [name], images(1, seed=1))
    assert model.training
    before = copy.deepcopy(model.state_dict())
    unfold(model, [], images(1, seed=2))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
