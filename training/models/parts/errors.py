"""What can be wrong with the choice of a model or with the weights that it should begin with.

ModelError
├── InvalidModelOption   an option of an architecture that is not one of the allowed values
├── EncoderNotFound      an encoder that neither segmentation-models-pytorch nor timm has
├── RevisionNotPinned    a hub name without the full commit that its weights come from
├── UnsafeWeights        a folder or repository whose weights are not in safetensors files
├── WeightsUnavailable   the hub cannot be reached, or has no such repository, commit or file
├── WeightsDamaged       a file that is not the one that its checksum names
└── WeightsDoNotFit      weights of another architecture
"""

from typing import ClassVar


class ModelError(Exception):
    """`code` is stable, for programs."""

    code: ClassVar[str] = "model_error"


class InvalidModelOption(ModelError):
    code = "invalid_model_option"

    def __init__(self, option: str, *, got: object, allowed: str) -> None:
        super().__init__(f"option {option}: got {got!r}; allowed: {allowed}")


class EncoderNotFound(ModelError):
    code = "encoder_not_found"


class RevisionNotPinned(ModelError):
    code = "revision_not_pinned"


class UnsafeWeights(ModelError):
    code = "unsafe_weights"


class WeightsUnavailable(ModelError):
    code = "weights_unavailable"


class WeightsDamaged(ModelError):
    code = "weights_damaged"


class WeightsDoNotFit(ModelError):
    code = "weights_do_not_fit"
