"""overlay: the classes' colours laid over the picture, for people to look at."""

import io
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import InvalidFormatOptions
from segmentation.formats.format import OVERLAY_FORMATS, Encoded, FormatOptions, check_sizes
from segmentation.label_map import LabelMap
from segmentation.palette import palette


class Overlay:
    """JPEG (quality 90), PNG or WebP, in the size of the picture; also raises InvalidFormatOptions for one too long."""

    name = "overlay"
    files: ClassVar = {f"image/{kind}": file.suffix for kind, file in OVERLAY_FORMATS.items()}
    shown = True
    accept = "image/jpeg"

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        kind = options.overlay_format
        stored = OVERLAY_FORMATS[kind]
        if max(label_map.ids.shape) > stored.longest:
            raise InvalidFormatOptions(
                f"{kind} holds at most {stored.longest} pixels a side, the picture has more; use png"
            )
        blended = Image.blend(Image.fromarray(rgb), _coloured(label_map, options), options.opacity)
        file = io.BytesIO()
        blended.save(file, format=kind, **stored.saving)
        return Encoded(file.getvalue(), f"image/{kind}")


def _coloured(label_map: LabelMap, options: FormatOptions) -> Image.Image:
    colours = palette(label_map.space, colour_blind_safe=options.colour_blind_safe)
    indexed = Image.fromarray(label_map.ids)
    indexed.putpalette(colours.tobytes())
    return indexed.convert("RGB")
