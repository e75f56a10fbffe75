"""mask: a palette PNG whose pixels are class ids, for programs; its palette makes it presentable too.

It keeps where the picture was taken: the camera's position in EXIF, CRS and transform in a text `georeference`.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import SegmentationError, UnreadableArtifact
from segmentation.formats.format import MAX_PIXELS, Encoded, FormatOptions, check_sizes
from segmentation.formats.png_file import write_png
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.palette import palette
from segmentation.picture_files.pictures import decode_mask
from segmentation.picture_files.places import png_chunks_of


class Mask:
    name = "mask"
    files: ClassVar = {"image/png": ".png"}
    shown = True
    accept = "image/png"
    uses: ClassVar = ("colour_blind_safe", "place")

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        # All 256 entries: with a shorter palette some readers take the pixels for fewer bits, and 255 becomes 1.
        colours = palette(label_map.space, colour_blind_safe=options.colour_blind_safe)
        return Encoded(write_png(label_map.ids, colours, png_chunks_of(options.place)), "image/png")

    def decode(self, data: bytes, space: LabelSpace) -> LabelMap:
        try:
            return LabelMap(decode_mask(data, max_pixels=MAX_PIXELS), space)
        except SegmentationError as error:
            raise UnreadableArtifact(f"no mask: {error}") from error
