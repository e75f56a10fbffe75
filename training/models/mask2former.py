"""Mask2Former (Cheng et al. 2022) on a Swin transformer, of transformers; trained with its own set loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import torch
import transformers
from torch import Tensor, nn

from training.datasets.pairs import NO_CHANNEL
from training.models.parts.deformable_attention import leave_sizes_open
from training.models.parts.errors import InvalidModelOption
from training.models.parts.pretrained import ENCODER, Source, config_from, load_encoder, network_from, require_kind

LOWEST_SUM = 1e-4  # of a class's evidence before the logarithm: 1e-6 of what 100 queries could give

_SWIN: dict[str, dict[str, object]] = {
    "tiny": {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "drop_path_rate": 0.0},
    "swin_tiny": {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "drop_path_rate": 0.3},
    "swin_small": {"embed_dim": 96, "depths": [2, 2, 18, 2], "num_heads": [3, 6, 12, 24], "drop_path_rate": 0.3},
}
_TINY_DECODER = {
    "num_queries": 8,
    "feature_size": 64,
    "mask_feature_size": 64,
    "hidden_dim": 64,
    "num_attention_heads": 4,
    "encoder_layers": 2,
    "encoder_feedforward_dim": 128,
    "decoder_layers": 4,
    "dim_feedforward": 128,
}
SIZES = tuple(_SWIN)
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_NETWORK = transformers.Mask2FormerForUniversalSegmentation

# In some checkpoints and not in others: a norm that is not used, what is computed from the window's size, the loss's
# weight of "none", which the configuration gives.
_UNREAD = (".swin.layernorm.", "relative_position_index", "criterion.empty_weight")


@dataclass(frozen=True, slots=True)
class Queries:
    """What each of Q queries says of a picture: which class, the last one being none; and where.

    classes: (B,Q,C+1) logits; masks: (B,Q,H/4,W/4) logits.
    """

    classes: Tensor
    masks: Tensor

    def evidence(self) -> Tensor:
        """(B,C,H/4,W/4), 0 to Q: Σ over queries of probability of the class x sigmoid of the mask.

        Source: Cheng et al. 2021, "Per-Pixel Classification is Not All You Need", section 3.4 (semantic inference).
        """
        return torch.einsum("bqc,bqhw->bchw", self.classes.softmax(-1)[..., :-1], self.masks.sigmoid())


class Mask2Former(nn.Module):
    """images (B,3,H,W) → logits (B,C,H/4,W/4): the logarithm of each class's evidence.

    So the highest logit is the class that the paper's semantic inference chooses at this size, and a softmax over the
    logits is each class's share of all evidence.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        network.loss_type = "ForSegmentation"  # unused, but transformers warns while a tracer reads all attributes
        leave_sizes_open(network.model.pixel_level_module.decoder)
        self.encoder.swin.layernorm = nn.Identity()  # each stage has a norm of its own; nobody reads this one

    @property
    def encoder(self) -> Any:
        return _encoder(self.network)

    def forward(self, images: Tensor) -> Tensor:
        return self.queries(images).evidence().clamp(min=LOWEST_SUM).log()

    def queries(self, images: Tensor) -> Queries:
        found = self.network(pixel_values=images)
        return Queries(found.class_queries_logits, found.masks_queries_logits)

    def own_loss(self, images: Tensor, truth: Tensor) -> Tensor:
        """The set loss: each class of a picture is matched with one query, of every decoder layer.

        As published, a pixel that does not count is in no mask. Sampled points come from torch's own generator.
        """
        found = self.network(pixel_values=images, output_auxiliary_logits=True)
        layers = [(each["class_queries_logits"], each["masks_queries_logits"]) for each in found.auxiliary_logits]
        layers.append((found.class_queries_logits, found.masks_queries_logits))
        masks, classes = zip(*(_present(each) for each in truth), strict=True)
        with torch.autocast(images.device.type, enabled=False):  # the matching needs numbers that numpy knows
            losses = [self._layer_loss(each, masks, classes) for each in layers]
        return torch.stack(losses).sum()

    def _layer_loss(self, found: tuple[Tensor, Tensor], masks: Sequence[Tensor], classes: Sequence[Tensor]) -> Tensor:
        class_logits, mask_logits = (each.float() for each in found)
        parts = self.network.get_loss_dict(
            masks_queries_logits=mask_logits,
            class_queries_logits=class_logits,
            mask_labels=masks,
            class_labels=classes,
            auxiliary_predictions=None,
        )
        return cast(Tensor, sum(parts.values()))


def mask2former(
    class_count: int,
    *,
    size: str = "swin_tiny",
    points: int = 12544,
    folder: str | Path | None = None,
    hub: str | None = None,
    pretrained: bool | str = True,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/4,W/4); H and W are multiples of 32.

    size: with random weights. folder, or hub (owner/name@commit): the size and the weights that are there; the
    classifier begins at random where they have another number of classes. pretrained="encoder": the encoder's weights
    alone, also of a Swin that is an ImageNet classifier (microsoft/swin-tiny-patch4-window7-224); the decoder is then
    that of `size`. pretrained=False: the size alone. points: of each mask that the loss looks at.
    """
    source = Source(folder=folder, hub=hub, pretrained=pretrained)
    if not source.is_given:
        return Mask2Former(_NETWORK(configuration(size, class_count, points=points)))
    place = source.fetch()
    if pretrained is True:
        require_kind(place, "mask2former", hint=f"; with pretrained = {ENCODER!r} also 'swin'")
    if require_kind(place, "mask2former", "swin") == "swin":
        swin = config_from(place, transformers.SwinConfig, out_features=_STAGES)
        network = _NETWORK(configuration(size, class_count, points=points, backbone=swin))
        if source.weights:
            load_encoder(_encoder(network), place, fresh=("hidden_states_norms.",))
        return Mask2Former(network)
    network = network_from(source, _NETWORK, class_count, heads=("class_predictor.",), unread=_UNREAD)
    return Mask2Former(_with_encoder_of(network) if source.encoder_only else network)


def configuration(size: str, class_count: int, *, points: int, backbone: Any = None) -> Any:
    """backbone: the encoder's; None: that of the size."""
    if size not in SIZES:
        raise InvalidModelOption("size", got=size, allowed=", ".join(SIZES))
    backbone = backbone or transformers.SwinConfig(**_SWIN[size], window_size=7, out_features=_STAGES)
    decoder = _TINY_DECODER if size == "tiny" else {}
    return transformers.Mask2FormerConfig(
        backbone_config=backbone, num_labels=class_count, train_num_points=points, **decoder
    )


def _encoder(network: Any) -> Any:
    return network.model.pixel_level_module.encoder


def _with_encoder_of(network: Any) -> Any:
    """The same network with nothing else of what it has learnt."""
    fresh = _NETWORK(network.config)
    _encoder(fresh).load_state_dict(_encoder(network).state_dict())
    return fresh


def _present(truth: Tensor) -> tuple[Tensor, Tensor]:
    """(H,W) channels → (n,H,W) masks as 0 and 1, and (n,) channels, of those that occur."""
    channels: Tensor = truth.unique()  # type: ignore[no-untyped-call]
    channels = channels[channels != NO_CHANNEL]
    return (truth.unsqueeze(0) == channels[:, None, None]).float(), channels
