"""Adaptive average pooling as two matrix products: the same numbers as `nn.AdaptiveAvgPool2d`, at any size in ONNX.

The exporter can only write adaptive pooling when the size is fixed and divisible by the number of cells.
"""

import torch
from torch import Tensor, nn


class AnySizeAveragePool(nn.Module):
    """(B,C,H,W) → (B,C,cells,cells): cell i averages rows floor(i·H/cells) to ceil((i+1)·H/cells), columns likewise."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, features: Tensor) -> Tensor:
        rows, columns = (self._shares(features, torch.as_tensor(side)) for side in features.shape[2:])
        return rows @ features @ columns.transpose(0, 1)

    def _shares(self, features: Tensor, length: Tensor) -> Tensor:
        """(cells, length): what each pixel along one side adds to each cell; a row sums to 1."""
        length = length.to(features.device)
        cell = torch.arange(self.cells, device=features.device).unsqueeze(1)
        first = cell * length // self.cells
        end = ((cell + 1) * length + self.cells - 1) // self.cells  # the exporter's division rounds towards 0
        pixel = torch.arange(length, device=features.device).unsqueeze(0)  # type: ignore[call-overload]
        inside = ((pixel >= first) & (pixel < end)).to(features)
        shares: Tensor = inside / (end - first).to(features)
        return shares
