"""Masks that show a class as a colour: their colours as they were drawn."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import MaskMismatch
from segmentation.picture_files.pictures import decode_picture

OPAQUE = 255


def decode_colours(data: bytes, *, max_pixels: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB. Raises what `decode_picture` does.

    Raises MaskMismatch for pixels that are seen through: a picture has white there, which may be a class's colour.
    """
    picture = decode_picture(data, max_pixels=max_pixels)
    try:
        share = _transparent_share(data)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MaskMismatch(f"nothing tells which of its pixels are transparent: {error}") from error
    if share > 0:
        raise MaskMismatch(f"{share:.1%} of its pixels are transparent, which is no class: give them a colour of one")
    return picture


def _transparent_share(data: bytes) -> float:
    """Of the pixels; as Pillow raises it where it cannot read them all."""
    with Image.open(io.BytesIO(data)) as image:
        if not image.has_transparency_data:
            return 0.0
        return float((np.asarray(image.convert("RGBA"))[..., 3] < OPAQUE).mean())
