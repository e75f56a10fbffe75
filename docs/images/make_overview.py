"""Draw the README's picture: samples, what the bundled model makes of them, and the truth. Needs a running service.

Usage: python docs/images/make_overview.py [server]
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from data.sample_library import open_samples
from maskmill import Maskmill
from segmentation.formats import FORMATS, FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.picture_files.pictures import decode_mask, decode_picture

WIDTH, HEIGHT, GAP = 400, 200, 6
ROWS = 4
PIXELS = 50_000_000
LABEL_SPACE = "cityscapes-8"


def truth_overlay(picture: bytes, mask: bytes) -> bytes:
    rgb = decode_picture(picture, max_pixels=PIXELS)
    ids = decode_mask(mask, max_pixels=PIXELS)
    label_map = LabelMap(ids, get_label_space("cityscapes-34")).remapped(get_label_space(LABEL_SPACE))
    return FORMATS["overlay"].encode(label_map, rgb, FormatOptions()).data


def main(server: str) -> None:
    library = open_samples()
    ids = library.ids()
    chosen = [ids[number * len(ids) // ROWS] for number in range(ROWS)]
    sheet = Image.new("RGB", (3 * WIDTH + 2 * GAP, ROWS * HEIGHT + (ROWS - 1) * GAP), "white")
    with Maskmill(server) as service:
        options = {"label_space": LABEL_SPACE, "artifacts": ["overlay"]}
        images = service.submit([{"sample": name} for name in chosen], **options).results()
        for row, (name, image) in enumerate(zip(chosen, images, strict=True)):
            picture = library.picture(name)
            cells = (picture, image.read("overlay"), truth_overlay(picture, library.mask(name)))
            for column, cell in enumerate(cells):
                tile = Image.open(io.BytesIO(cell)).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
                sheet.paste(tile, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    sheet.save(Path(__file__).with_name("overview.jpg"), quality=85, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8008")
