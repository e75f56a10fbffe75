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
from segmentation.picture_files.turbo_jpeg import encode_rgb


class Overlay:
    """JPEG (quality 90), PNG or WebP, in the size of the picture; also raises InvalidFormatOptions for one too long."""

    name = "overlay"
    files: ClassVar = {f"image/{kind}": file.suffix for kind, file in OVERLAY_FORMATS.items()}
    shown = True
    accept = "image/jpeg"
    uses: ClassVar = ("opacity", "overlay_format", "colour_blind_safe", "shows_void", "classes")

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        kind = options.overlay_format
        stored = OVERLAY_FORMATS[kind]
        if max(label_map.ids.shape) > stored.longest:
            raise InvalidFormatOptions(
                f"{kind} holds at most {stored.longest} pixels a side, the picture has more; use png"
            )
        colours = palette(label_map.space, colour_blind_safe=options.colour_blind_safe)
        blended = self.blend(label_map.ids, rgb, colours, options.opacity)
        if options.classes or not options.shows_void:
            drawn = options.drawn(label_map.space)
            blended = np.where(drawn[label_map.ids][..., None], blended, rgb)
        return Encoded(_written(blended, kind), f"image/{kind}")

    def blend(
        self, ids: NDArray[np.uint8], rgb: NDArray[np.uint8], colours: NDArray[np.uint8], opacity: float
    ) -> NDArray[np.uint8]:
        """ids: (H, W). colours: (256, 3), one for each id. Returns (H, W, 3) uint8, fractions cut off."""
        indexed = Image.fromarray(ids)
        indexed.putpalette(colours.tobytes())
        return np.asarray(Image.blend(Image.fromarray(rgb), indexed.convert("RGB"), opacity))


def _written(pixels: NDArray[np.uint8], kind: str) -> bytes:
    saving = OVERLAY_FORMATS[kind].saving
    quick = encode_rgb(pixels, saving["quality"]) if kind == "jpeg" else None
    if quick is not None:
        return quick
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **saving)
    return file.getvalue()
