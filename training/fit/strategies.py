"""What a training leaves as it is: an encoder that is held still."""

from torch import nn


def encoder_names(model: nn.Module) -> set[str]:
    """Names, in the model's state, of what belongs to its encoder."""
    inside = {id(tensor) for tensor in _encoder(model).state_dict(keep_vars=True).values()}
    return {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in inside}


def set_training(model: nn.Module, *, freeze_encoder: bool) -> None:
    """Training mode; a frozen encoder stays in evaluation mode, so that its batch-norm statistics stand still too."""
    model.train()
    encoder = _encoder(model)
    encoder.requires_grad_(not freeze_encoder)
    if freeze_encoder:
        encoder.eval()


def _encoder(model: nn.Module) -> nn.Module:
    encoder = model.encoder
    assert isinstance(encoder, nn.Module)  # every module of MODELS has one
    return encoder
