"""The artifact formats as a worker writes them: the same files, blended by compiled code or by OpenCV."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.formats import FORMATS, Format
from segmentation.formats.overlay import Overlay
from worker.kernels.blending import blend
from worker.kernels.library import library

_CUT = -0.499  # OpenCV rounds, `Overlay` cuts off; opacities have few enough digits that this is the same


class QuickOverlay(Overlay):
    def blend(
        self, ids: NDArray[np.uint8], rgb: NDArray[np.uint8], colours: NDArray[np.uint8], opacity: float
    ) -> NDArray[np.uint8]:
        if (compiled := library()) is not None:
            return blend(compiled, ids, rgb, colours, opacity)
        coloured = cv2.applyColorMap(ids, colours[:, None])
        return np.asarray(cv2.addWeighted(rgb, 1 - opacity, coloured, opacity, _CUT, dst=coloured), np.uint8)


QUICK_FORMATS: Mapping[str, Format] = {**FORMATS, "overlay": QuickOverlay()}
