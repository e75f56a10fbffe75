"""Batch norms that an export folded into the convolutions before them: they learn anew how large their input is."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class _Sums:
    """Of a norm's input, in each channel."""

    count: int
    total: Tensor
    squares: Tensor

    def add(self, values: Tensor) -> None:
        self.count += values.numel() // values.shape[1]
        self.total += values.sum((0, 2, 3), dtype=torch.float64)
        self.squares += (values.double() ** 2).sum((0, 2, 3))


def unfold(model: nn.Module, names: Iterable[str], images: Iterable[Tensor]) -> None:
    """Give the norms of these names the statistics of their input on the images, and the scale and bias with which they
    compute what they did before.

    In evaluation mode the model is the same function as before; in training mode, where a norm takes its batch's own
    statistics, it is nearly the same, where without this it would be another one. images: each (B,3,h,w).
    """
    norms = {name: model.get_submodule(name) for name in names}
    if not norms:
        return
    sums: dict[str, _Sums] = {}
    hooks = []
    for name, norm in norms.items():
        assert isinstance(norm, nn.BatchNorm2d)
        empty = torch.zeros(norm.num_features, dtype=torch.float64, device=norm.weight.device)
        sums[name] = _Sums(0, empty, empty.clone())
        hooks.append(norm.register_forward_pre_hook(lambda _, inputs, own=sums[name]: own.add(inputs[0])))
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for each in images:
            model(each)
    for hook in hooks:
        hook.remove()
    model.train(was_training)
    for name, norm in norms.items():
        assert isinstance(norm, nn.BatchNorm2d)
        _measured(norm, sums[name])


@torch.no_grad()
def _measured(norm: nn.BatchNorm2d, sums: _Sums) -> None:
    """From w·(x - m)/√(v + ε) + b with one pair (m, v) to the same with another."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = sums.total / sums.count
    variance = (sums.squares / sums.count - mean**2).clamp(min=0)
    slope = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    norm.bias.copy_(norm.bias + slope * (mean - norm.running_mean))
    norm.weight.copy_(slope * torch.sqrt(variance + norm.eps))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
