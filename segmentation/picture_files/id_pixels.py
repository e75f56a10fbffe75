"""Class ids from the pixels of a mask, as they were stored; what may have changed them on the way is refused."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import MaskMismatch
from segmentation.picture_files.deep_pixels import is_deep_grey

_LOSSY_KINDS = {  # by media type; some can do without loss, which the file does not tell
    "image/jpeg": "JPEG",
    "image/jp2": "JPEG 2000",
    "image/avif": "AVIF",
    "image/heic": "HEIC",
}
_LOSSY_PACKING = frozenset({"jpeg", "tiff_jpeg", "webp"})  # of a TIFF, as Pillow calls them
_STEPS = {"2": 85, "4": 17}  # by the bits of a grey sample: what Pillow spreads it over 0..255 with


def check_keeps_ids(media_type: str) -> None:
    """Raises MaskMismatch for a kind of picture whose pixels are not those that were stored."""
    if (kind := _LOSSY_KINDS.get(media_type)) is not None:
        raise _lossy(kind)


def spread_by(raw: str) -> int:
    """What Pillow multiplies grey samples with. raw: its name for how they are stored."""
    mode, _, packing = raw.partition(";")
    return _STEPS.get(packing[:1], 1) if mode == "L" else 1


def ids_of(mask: Image.Image, raw: str) -> NDArray[np.uint8]:
    """(H, W) uint8, perhaps read-only. raw: Pillow's name for how the samples are stored.

    Raises MaskMismatch when the pixels cannot be ids: colours, lossy packing, grey stored as its negative, values above
    255.
    """
    if mask.info.get("compression") in _LOSSY_PACKING:
        raise _lossy("a TIFF packed as JPEG or WebP")
    values = np.asarray(mask)
    if mask.mode in ("L", "1") and raw.partition(";")[2].rstrip("R").endswith("I"):
        raise MaskMismatch("in this TIFF white is 0: whether its ids are the samples or their negative it does not say")
    if mask.mode in ("P", "L", "1"):
        return values.astype(np.uint8, copy=False) // np.uint8(spread_by(raw))
    if is_deep_grey(mask.mode):
        if values.min() < 0 or values.max() > 255:
            raise MaskMismatch(f"class ids must be 0..255, the mask has {values.min()}..{values.max()}")
        return values.astype(np.uint8)
    raise MaskMismatch(f"a mask must hold one class id per pixel (grey or palette), this one is {mask.mode}")


def _lossy(kind: str) -> MaskMismatch:
    return MaskMismatch(f"{kind} does not keep class ids; masks must be lossless, for example PNG")
