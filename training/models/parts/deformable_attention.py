"""Mask2Former's multi-scale deformable attention with level sizes that stay open in a traced graph.

transformers builds the sizes into a constant while it is traced, so that an exported file is right for the traced size
alone; and the exporter's linspace divides by zero for a level of one row. The weights and their names are the same.
"""

from typing import Any

import torch
from torch import Tensor, nn

LevelSizes = list[tuple[int, int]]  # height, width; tensors while the graph is traced


class AnySizeDeformableAttention(nn.Module):
    """Takes the place and the weights of transformers' module. Source: Zhu et al. 2021, "Deformable DETR", eq. 3."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.heads: int = original.n_heads
        self.levels: int = original.n_levels
        self.points: int = original.n_points
        self.sampling_offsets = original.sampling_offsets
        self.attention_weights = original.attention_weights
        self.value_proj = original.value_proj
        self.output_proj = original.output_proj

    def forward(
        self,
        hidden_states: Tensor,
        *,
        position_embeddings: Tensor,
        reference_points: Tensor,
        spatial_shapes_list: LevelSizes,
        **_unused: object,
    ) -> tuple[Tensor, None]:
        """hidden_states: (B,N,D), all levels in a row; reference_points: (B,N,levels,2), x and y in [0, 1]."""
        # Takes seconds to import, and most who import the models never run this one.
        from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention

        batch, length, width = hidden_states.shape
        value = self.value_proj(hidden_states).view(batch, length, self.heads, width // self.heads)
        queries = hidden_states + position_embeddings
        offsets = self.sampling_offsets(queries).view(batch, length, self.heads, self.levels, self.points, 2)
        weights = self.attention_weights(queries).view(batch, length, self.heads, self.levels * self.points)
        weights = weights.softmax(-1).view(batch, length, self.heads, self.levels, self.points)
        sizes = torch.stack(
            [torch.as_tensor(side) for height, width_ in spatial_shapes_list for side in (width_, height)]
        )
        sizes = sizes.view(self.levels, 2).to(reference_points)
        places = reference_points[:, :, None, :, None, :] + offsets / sizes[None, None, None, :, None, :]
        return self.output_proj(multi_scale_deformable_attention(value, spatial_shapes_list, places, weights)), None


def reference_points(spatial_shapes_list: LevelSizes, valid_ratios: Tensor, device: torch.device) -> Tensor:
    """(1,N,levels,2): the middle of each cell of each level, x and y in [0, 1], repeated for the levels to look at."""
    levels = []
    for height, width in spatial_shapes_list:
        rows = _middles(height, valid_ratios.dtype, device)
        columns = _middles(width, valid_ratios.dtype, device)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        levels.append(torch.stack((x.reshape(-1), y.reshape(-1)), -1))
    return torch.cat(levels)[None, :, None].expand(-1, -1, len(levels), -1)


def leave_sizes_open(pixel_decoder: Any) -> None:
    """Batches are of pictures of one size, so the valid part of each is the whole."""
    pixel_decoder.encoder.get_reference_points = reference_points
    for layer in pixel_decoder.encoder.layers:
        layer.self_attn = AnySizeDeformableAttention(layer.self_attn)


def _middles(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return (torch.arange(count, device=device) + 0.5).to(dtype) / count
