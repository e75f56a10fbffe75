"""Networks of segmentation-models-pytorch (smp) on any of its encoders, and where an encoder's first weights come from.

Encoders: smp's own, with the weights that smp pins to a commit; and `tu-NAME` for those of timm.
"""

from collections.abc import Callable
from typing import Any, cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
import timm
from safetensors.torch import load_file
from torch import nn

from training.models.parts.errors import EncoderNotFound, InvalidModelOption
from training.models.parts.imagenet import IMAGENET, PACKAGED, load_from_file, load_packaged, names_file
from training.models.parts.weights import WEIGHTS, fetch_file

_TIMM = "tu-"


def encoder_decoder(
    architecture: Callable[..., Any], encoder: str, encoder_weights: str | None, **settings: object
) -> Any:
    """An smp network. Nothing is fetched unless `encoder_weights` names weights.

    encoder_weights: a local file, as `load_from_file` takes it; a name that smp has for this encoder, such as
    "imagenet"; for a `tu-` encoder "imagenet" where a package holds them, else the full commit of its repository.
    Raises EncoderNotFound, InvalidModelOption, and what `fetch_file`, `load_packaged` and `load_from_file` raise.
    """
    _require_encoder(encoder)
    name = encoder.removeprefix(_TIMM)
    of_timm = name != encoder
    from_file = encoder_weights is not None and names_file(encoder_weights)
    packaged = of_timm and encoder_weights == IMAGENET and name in PACKAGED
    if of_timm and not (from_file or packaged):
        return _built(architecture, encoder, **settings, **_timm_weights(encoder, encoder_weights))
    network = _built(architecture, encoder, encoder_weights=None, **settings)
    inner = network.encoder.model if of_timm else network.encoder
    if encoder_weights is None:
        return network
    if from_file:
        load_from_file(inner, encoder_weights)
    elif packaged:
        load_packaged(inner, name)
    else:
        load_encoder_weights(inner, encoder, encoder_weights)
    return network


def stochastic_depth(encoder: str, rate: float) -> dict[str, object]:
    """Settings of `encoder_decoder` that let whole blocks of a `tu-` encoder drop out while it learns.

    rate: of the last block, 0 to below 1; earlier blocks drop out less often, in proportion to their depth.
    Source: Huang et al. 2016, "Deep Networks with Stochastic Depth". Raises InvalidModelOption.
    """
    if not 0 <= rate < 1 or (rate and not encoder.startswith(_TIMM)):
        raise InvalidModelOption("drop_path", got=rate, allowed=f"0, or below 1 with a {_TIMM} encoder")
    return {"drop_path_rate": rate} if rate else {}


def plain_padding(encoder: str, wanted: bool) -> dict[str, object]:
    """Settings of `encoder_decoder` that pad a `tu-tf_` encoder alike on both sides instead of by the picture's size.

    TensorFlow pads a convolution of stride 2 on the right and below; padded alike, each feature stands for a place one
    pixel further, which a decoder that learns does not notice, and the exported graph has no padding of its own.
    Raises InvalidModelOption.
    """
    if wanted and not encoder.startswith(f"{_TIMM}tf_"):
        raise InvalidModelOption("fixed_padding", got=wanted, allowed=f"false, or a {_TIMM}tf_ encoder")
    return {"pad_type": ""} if wanted else {}


def without_last_stage(encoder: Any) -> int:
    """Takes an EfficientNet's last stage away, which widens its features for the ImageNet classifier.

    Returns the channels of what is the deepest feature now. Raises InvalidModelOption for an encoder of other stages.
    """
    blocks: Any = getattr(getattr(encoder, "model", None), "blocks", None)
    if not isinstance(blocks, nn.Sequential) or not hasattr(cast(Any, blocks)[-1][0], "conv_dw"):
        raise InvalidModelOption("last_stage", got=False, allowed="true, or an EfficientNet of timm")
    blocks[-1] = nn.Identity()
    return int(cast(Any, blocks)[-2][-1].conv_pwl.out_channels)


def plain_encoder(encoder: str, encoder_weights: str | None, **settings: object) -> Any:
    """An smp encoder without a decoder: images → features at strides 1, 2, 4, … Raises as `encoder_decoder`."""

    def build(name: str, *, encoder_weights: object = None, **given: object) -> Any:
        holder = nn.Module()
        holder.encoder = smp.encoders.get_encoder(name, weights=encoder_weights, **given)
        return holder

    return encoder_decoder(build, encoder, encoder_weights, **settings).encoder


def load_encoder_weights(module: nn.Module, encoder: str, name: str) -> None:
    """Into an encoder of smp's own. Raises InvalidModelOption for weights that smp does not have for it."""
    published = smp.encoders.encoders[encoder]["pretrained_settings"]
    if name not in published:
        raise InvalidModelOption("encoder_weights", got=name, allowed=", ".join(published) or f"none for {encoder}")
    source = published[name]
    module.load_state_dict(load_file(fetch_file(source["repo_id"], WEIGHTS, revision=source["revision"])))


def without_classifier_channels(network: Any, encoder: str) -> list[int]:
    """The channels of each feature of the encoder, of which a MobileNetV2 loses its last 1x1 convolution.

    It widens 320 channels to 1280 for the ImageNet classifier alone, and would make the pyramid that reads them four
    times as wide: the paper's mobile variant reads the 320 channels too (Sandler et al. 2018, section 6.3).
    """
    channels = list(network.encoder.out_channels)
    if encoder == "mobilenet_v2":
        network.encoder.features[18] = nn.Identity()
        channels[-1] = 320
    return channels


def _require_encoder(encoder: str) -> None:
    if encoder.startswith(_TIMM):
        known = timm.is_model(encoder.removeprefix(_TIMM).partition(".")[0])
    else:
        known = encoder in smp.encoders.encoders
    if not known:
        names = ", ".join(sorted(smp.encoders.encoders))
        raise EncoderNotFound(f"encoder {encoder!r}: unknown; allowed: {names}, or {_TIMM} and a model name of timm")


def _timm_weights(encoder: str, revision: str | None) -> dict[str, object]:
    """timm reads the file that was fetched here, instead of whatever its repository holds today."""
    if revision is None:
        return {"encoder_weights": None}
    name = encoder.removeprefix(_TIMM)
    if revision == IMAGENET:
        packages = ", ".join(_TIMM + each for each in PACKAGED)
        allowed = f"a full commit of its repository, or a file; packages have weights of {packages}"
        raise InvalidModelOption("encoder_weights", got=revision, allowed=allowed)
    hub = cast(Any, timm.get_pretrained_cfg(name)).hf_hub_id
    if not hub:
        raise InvalidModelOption("encoder_weights", got=revision, allowed=f"none: timm has no repository for {name}")
    overlay = {"file": str(fetch_file(hub, WEIGHTS, revision=revision))}
    return {"encoder_weights": True, "pretrained_cfg_overlay": overlay}


def _built(architecture: Callable[..., Any], encoder: str, **settings: object) -> Any:
    """An encoder that cannot be dilated, or has too few stages, says so in a ValueError or a NotImplementedError."""
    try:
        return architecture(encoder, **settings)
    except (ValueError, NotImplementedError, AttributeError) as error:
        raise InvalidModelOption(
            "encoder", got=encoder, allowed=f"one that fits with the other options; smp says: {error}"
        ) from error
