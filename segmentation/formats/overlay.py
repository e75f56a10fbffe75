"""overlay: the classes' colours laid over the picture, for people to look at."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import InvalidFormatOptions
from segmentation.formats.format import Encoded, FormatOptions, check_sizes
from segmentation.label_map import LabelMap
from segmentation.palette import palette

# By overlay_format: how Pillow is to save it, and the longest side in pixels that the file format can hold.
SAVING: dict[str, tuple[dict[str, int], int]] = {
    "jpeg": ({"quality": 90}, 65_535),
    "png": ({"compress_level": 1}, 2**31 - 1),
    "webp": ({"quality": 80, "method": 0}, 16_383),
}


class Overlay:
    """JPEG (quality 90), PNG or WebP, in the size of the picture; also raises InvalidFormatOptions for one too long."""

    name = "overlay"

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        kind = options.overlay_format
        saving, longest = SAVING[kind]
        if max(label_map.ids.shape) > longest:
            raise InvalidFormatOptions(f"{kind} holds at most {longest} pixels a side, the picture has more; use png")
        blended = Image.blend(Image.fromarray(rgb), _coloured(label_map, options), options.opacity)
        file = io.BytesIO()
        blended.save(file, format=kind, **saving)
        return Encoded(file.getvalue(), f"image/{kind}", ".jpg" if kind == "jpeg" else f".{kind}")


def _coloured(label_map: LabelMap, options: FormatOptions) -> Image.Image:
    colours = palette(label_map.space, colour_blind_safe=options.colour_blind_safe)
    indexed = Image.fromarray(label_map.ids)
    indexed.putpalette(colours.tobytes())
    return indexed.convert("RGB")
