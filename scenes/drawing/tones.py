"""Colours of things, and small changes to them."""

import numpy as np

from scenes.drawing.canvas import Colour

BRICKS: tuple[Colour, ...] = (
    (142, 82, 64), (122, 72, 60), (160, 112, 84), (176, 152, 112), (108, 76, 66), (152, 96, 72), (168, 140, 108),
)  # fmt: skip
PLASTERS: tuple[Colour, ...] = (
    (218, 210, 194), (200, 188, 164), (228, 223, 212), (190, 174, 150), (176, 184, 186), (206, 182, 150),
    (182, 148, 124), (164, 168, 162), (216, 200, 168), (166, 140, 130), (196, 196, 192), (150, 150, 152),
)  # fmt: skip
STONES: tuple[Colour, ...] = ((176, 164, 142), (150, 142, 128), (190, 182, 168), (134, 126, 116))
SHOP_COLOURS: tuple[Colour, ...] = (
    (30, 56, 84), (112, 32, 36), (28, 70, 56), (40, 40, 44), (170, 142, 66), (82, 44, 72), (204, 200, 190),
    (164, 80, 44), (58, 60, 64), (120, 124, 116), (24, 36, 48),
)  # fmt: skip


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 10) -> Colour:
    return varied(rng, colours[rng.integers(len(colours))], spread)


def varied(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """A bit lighter or darker, and a tiny bit another hue."""
    shared, red, green, blue = (rng.standard_normal(4) * spread).tolist()
    return (
        min(250.0, max(8.0, colour[0] + shared + red / 4)),
        min(250.0, max(8.0, colour[1] + shared + green / 4)),
        min(250.0, max(8.0, colour[2] + shared + blue / 4)),
    )


def scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    rest = 1 - share
    return first[0] * rest + second[0] * share, first[1] * rest + second[1] * share, first[2] * rest + second[2] * share
