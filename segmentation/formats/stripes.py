"""Marked pixels as dark and light stripes on nothing, to lie over a picture: seen on any ground, and without colour."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIPE = 6  # width of one stripe of a marked region, in pixels
_COLOURS = bytes((0, 0, 0, 176, 0, 92, 255, 214, 235))  # nothing, dark, light


def stripes(marked: NDArray[np.bool_], *, width: int = STRIPE) -> bytes:
    """A PNG, transparent where nothing is marked. marked: (H, W). width: of a stripe, in pixels."""
    rows, columns = marked.shape
    dark = ((np.arange(rows)[:, None] + np.arange(columns)) // width) % 2 == 0
    values = np.where(marked, np.where(dark, 1, 2), 0).astype(np.uint8)
    picture = Image.frombytes("P", (columns, rows), values.tobytes())
    picture.putpalette(_COLOURS)
    memory = io.BytesIO()
    picture.save(memory, format="PNG", optimize=True, transparency=0)
    return memory.getvalue()
