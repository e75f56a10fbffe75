"""An explanation drawn on its picture: a numbered region and box for each query, and a list that names them below."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segmentation.label_space import LabelSpace
from segmentation.palette import palette
from training.explain.queries import Explanation

Letters = ImageFont.FreeTypeFont | ImageFont.ImageFont

TINT = 0.45  # share of a class's colour inside its region
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SMALLEST_LETTERS, LETTERS_PER_WIDTH = 12, 60


def draw(rgb: NDArray[np.uint8], found: Sequence[Explanation], space: LabelSpace) -> Image.Image:
    """As wide as the picture, higher by the list. Numbers tell the queries apart; colour only helps."""
    colours = palette(space, colour_blind_safe=True)
    picture = rgb.astype(np.float32)
    for each in reversed(found):  # the strongest lies on top
        picture[each.region] += TINT * (colours[each.class_id] - picture[each.region])
    for each in found:
        picture[_border(each.region)] = WHITE
    tinted = Image.fromarray(picture.round().astype(np.uint8))
    letters = ImageFont.load_default(max(SMALLEST_LETTERS, tinted.width // LETTERS_PER_WIDTH))
    canvas = ImageDraw.Draw(tinted)
    for rank, each in reversed(list(enumerate(found, 1))):
        _draw_box(canvas, each, str(rank), letters)
    return _with_list(tinted, found, colours, letters)


def write_explanation(document: Any, picture: Image.Image, stem: Path) -> tuple[Path, Path]:
    """stem.json and stem.png, each written beside and moved into place. Returns their paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    text, image = (stem.with_name(stem.name + ending) for ending in (".json", ".png"))
    parts = [path.with_name(f".{path.name}.part") for path in (text, image)]
    parts[0].write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    picture.save(parts[1], format="png")
    for part, path in zip(parts, (text, image), strict=True):
        part.replace(path)
    return text, image


def _draw_box(canvas: ImageDraw.ImageDraw, each: Explanation, text: str, letters: Letters) -> None:
    left, top, width, height = each.box
    canvas.rectangle((left, top, left + width - 1, top + height - 1), outline=WHITE, width=2)
    frame = canvas.textbbox((left + 3, top + 2), text, font=letters)
    canvas.rectangle((frame[0] - 3, frame[1] - 3, frame[2] + 3, frame[3] + 3), fill=BLACK, outline=WHITE)
    canvas.text((left + 3, top + 2), text, font=letters, fill=WHITE)


def _with_list(
    picture: Image.Image, found: Sequence[Explanation], colours: NDArray[np.uint8], letters: Letters
) -> Image.Image:
    line = round(letters.getbbox("Ag")[3] * 1.5)
    lines = [_sentence(rank, each) for rank, each in enumerate(found, 1)] or ["no query has a region"]
    whole = Image.new("RGB", (picture.width, picture.height + line * len(lines) + line // 2), WHITE)
    whole.paste(picture)
    canvas = ImageDraw.Draw(whole)
    for index, text in enumerate(lines):
        top = picture.height + line // 4 + index * line
        if found:
            colour = tuple(colours[found[index].class_id].tolist())
            canvas.rectangle((4, top, line, top + line - 4), fill=colour, outline=BLACK)
        canvas.text((line + 8, top), text, font=letters, fill=BLACK)
    return whole


def _sentence(rank: int, each: Explanation) -> str:
    sure = f"class {each.class_probability:.0%} × mask {each.mask_confidence:.0%}"
    return f"{rank}  {each.class_name}: score {each.score:.2f} ({sure}), {each.region.mean():.1%} of the picture"


def _border(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the region with a neighbour outside it."""
    padded = np.pad(region, 1, mode="edge")
    whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return region & ~whole
