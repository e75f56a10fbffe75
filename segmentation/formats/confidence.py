"""confidence: how sure the model was at each pixel, as an 8-bit grey PNG; white is certain."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MissingConfidence
from segmentation.formats.format import Encoded, FormatOptions, check_sizes
from segmentation.formats.png_file import write_png
from segmentation.label_map import LabelMap


class Confidence:
    name = "confidence"
    files: ClassVar = {"image/png": ".png"}
    shown = True
    accept = ""
    uses: ClassVar = ("confidence",)

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        if label_map.confidence is None:
            raise MissingConfidence("this label map has no confidence: no model predicted it")
        return Encoded(write_png(label_map.confidence), "image/png")
