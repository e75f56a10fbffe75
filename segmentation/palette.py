"""A colour per class id: the published colours of a label space, or colours that do not need red-green vision.

The safe colours start from the eight of Okabe & Ito (2008, "Color Universal Design"), one for each group of classes;
further classes of a group are tints and shades of its colour. Each is the one that stays furthest from all the others
for normal sight, protanopia and deuteranopia, as simulated by Machado et al. (2009), and differs most in lightness
from the classes before and after it.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segmentation.label_space import RGB, VOID_GROUP, LabelSpace

BLACK: RGB = (0, 0, 0)
COLOUR_BLIND = "colour_blind"  # what a client calls the safe colours

OKABE_ITO: dict[str, RGB] = {
    VOID_GROUP: BLACK,
    "flat": (204, 121, 167),
    "construction": (240, 228, 66),
    "object": (230, 159, 0),
    "nature": (0, 158, 115),
    "sky": (86, 180, 233),
    "human": (213, 94, 0),
    "vehicle": (0, 114, 178),
}

# Linear RGB → linear RGB. Source: Machado et al. 2009, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", table 1, severity 1.0.
SIGHTS: dict[str, NDArray[np.float64]] = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}

_DEUTERANOPIA = list(SIGHTS).index("deuteranopia")

# sRGB → CIE XYZ, divided by the white point D65 (IEC 61966-2-1).
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) / np.array(
    [[0.9505], [1.0], [1.089]]
)


@lru_cache(maxsize=32)
def palette(space: LabelSpace, *, colour_blind_safe: bool = False) -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB, read-only; black where the space has no class."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    chosen = _safe_colours(space) if colour_blind_safe else {each.id: each.colour for each in space.classes}
    for class_id, colour in chosen.items():
        colours[class_id] = colour
    colours.flags.writeable = False
    return colours


@lru_cache(maxsize=1)
def voc_palette() -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB, read-only: Pascal VOC's, which many tools take for whatever ids. Source: VOCdevkit,
    `VOClabelcolormap.m`."""
    colours = np.array([BLACK, *voc_colours()], np.uint8)
    colours.flags.writeable = False
    return colours


def voc_colours() -> Iterator[RGB]:
    """The colours of Pascal VOC's palette, from the second on. Source: VOCdevkit, `VOClabelcolormap.m`."""
    for number in range(1, 256):
        red = green = blue = 0
        left = number
        for shift in range(7, -1, -1):
            red |= (left & 1) << shift
            green |= (left >> 1 & 1) << shift
            blue |= (left >> 2 & 1) << shift
            left >>= 3
        yield red, green, blue


def perceived(colours: NDArray[np.uint8], sight: str = "normal") -> NDArray[np.float64]:
    """CIELAB (L* in 0..100, a*, b*) of what an eye with one of `SIGHTS` sees.

    colours: (N, 3) RGB. Returns (N, 3). Distances are CIE 1976 colour differences: 2.3 is just noticeable.
    """
    shares = colours / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ SIGHTS[sight].T, 0, 1) @ _TO_XYZ.T
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _safe_colours(space: LabelSpace) -> dict[int, RGB]:
    anchors = _anchors(space)
    ramps = {anchor: _ramp(anchor) for anchor in set(anchors.values())}  # classes of one group choose from the same
    perceptions = {anchor: _seen(ramp) for anchor, ramp in ramps.items()}
    chosen: dict[int, RGB] = {}
    seen: dict[int, NDArray[np.float64]] = {}  # (sights, 3) of each chosen one
    for group, anchor in anchors.items():
        first = next(each.id for each in space.classes if each.group == group)
        if anchor not in chosen.values():
            chosen[first], seen[first] = anchor, _seen(np.array([anchor], dtype=np.uint8))[:, 0]
    for each in sorted(space.classes, key=lambda each: each.id):
        if each.id not in chosen:
            ramp, perceived_ramp = ramps[anchors[each.group]], perceptions[anchors[each.group]]
            best = _furthest(perceived_ramp, seen, beside=(each.id - 1, each.id + 1))
            red, green, blue = ramp[best].tolist()
            chosen[each.id], seen[each.id] = (red, green, blue), perceived_ramp[:, best]
    return chosen


def _anchors(space: LabelSpace) -> dict[str, RGB]:
    """A colour for each group: its own, or one that no group of this space claims; repeated after eight."""
    groups = list(dict.fromkeys(each.group for each in space.classes))
    free = [colour for group, colour in OKABE_ITO.items() if group not in groups and group != VOID_GROUP]
    strangers = [group for group in groups if group not in OKABE_ITO]
    pool = free or list(OKABE_ITO.values())
    lent = {group: pool[index % len(pool)] for index, group in enumerate(strangers)}
    return {group: OKABE_ITO.get(group) or lent[group] for group in groups}


def _ramp(anchor: RGB) -> NDArray[np.uint8]:
    """(N, 3) shades (towards black) and tints (towards white) of a colour, the colour itself left out."""
    share = np.linspace(0.06, 0.75, 29)[:, None]
    base = np.array(anchor, dtype=np.float64)
    return np.concatenate([base * (1 - share), base + (255 - base) * share]).round().astype(np.uint8)


def _seen(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 3) colours → (sights, N, 3) as each of `SIGHTS` perceives them."""
    return np.stack([perceived(colours, sight) for sight in SIGHTS])


def _furthest(ramp: NDArray[np.float64], chosen: dict[int, NDArray[np.float64]], *, beside: tuple[int, int]) -> int:
    """Which colour of the ramp has the largest smallest distance to the chosen ones; beside some, in lightness too.

    ramp: (sights, N, 3), chosen: (sights, 3) by class id, both as they are perceived.
    """
    known = np.stack(list(chosen.values()), axis=1)
    gaps = np.linalg.norm(ramp[:, :, None] - known[:, None], axis=3).min(axis=(0, 2))
    neighbours = [class_id in beside for class_id in chosen]
    if any(neighbours):
        lightness = ramp[_DEUTERANOPIA, :, :1]
        gaps = np.minimum(gaps, np.abs(lightness - known[_DEUTERANOPIA, neighbours, 0]).min(axis=1))
    return int(gaps.argmax())
