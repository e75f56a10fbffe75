"""What decides a result beside the picture. Two results of one picture by one recipe are the same prediction.

A recipe is a digest of how pictures are read, of the model that runs (weights, how they are run, what goes in and comes
out: never its name) and of those options that change class ids. A kind is an artifact's name with those options that
change its bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

from jobs.job import Job, ModelIdentity
from jobs.options import JobOptions, TileOptions
from segmentation.formats import FORMATS, FormatOptions
from segmentation.label_space import LabelSpace
from segmentation.palette import COLOUR_BLIND
from segmentation.picture_files.places import NOWHERE, Place

READING = 3  # goes up when some pictures are read otherwise: what was made of them before is not what comes now
FILE_NAME, CONFIDENCE, PLACE = "file_name", "confidence", "place"
_UNTOLD = {FILE_NAME, CONFIDENCE}  # not the same for all images of a job, or no option at all
_USUAL = FormatOptions()
_LATER = ("shows_void", "outlines", "classes")  # told where they are chosen: other kinds stay as they were before


def recipe_of(job: Job, identity: ModelIdentity) -> bytes:
    """32 bytes."""
    options = job.options
    return _recipe(job.space, identity, options.bit_depth, options.tile, options.min_confidence)


@lru_cache(maxsize=32)
def _recipe(
    space: LabelSpace, identity: ModelIdentity, bit_depth: int | None, tile: TileOptions | None, min_confidence: float
) -> bytes:
    told = {
        "reading": READING,
        "weights": identity.sha256,
        "bundle": identity.bundle,
        "run": [identity.engine, identity.precision],
        "label_space": space.to_dict(),
        "bit_depth": bit_depth,
        "tile": None if tile is None else [tile.size, tile.overlap],
        **({"min_confidence": min_confidence} if min_confidence else {}),  # of before there was one: without
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


class Recipes:
    """Of one job; each is made once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._made: dict[ModelIdentity, bytes] = {}

    def of(self, identity: ModelIdentity) -> bytes:
        if identity not in self._made:
            self._made[identity] = recipe_of(self._job, identity)
        return self._made[identity]


def format_options(options: JobOptions, *, file_name: str = "", place: Place = NOWHERE) -> FormatOptions:
    """file_name, place: of the picture."""
    overlay = options.overlay
    return FormatOptions(
        opacity=overlay.opacity,
        overlay_format=overlay.format,
        colour_blind_safe=overlay.palette == COLOUR_BLIND,
        shows_void=not options.min_confidence,
        outlines=options.polygons,
        classes=tuple(sorted(options.classes)),
        file_name=file_name,
        place=place,
    )


def kinds_of(options: JobOptions) -> Mapping[str, str]:
    """Name of each artifact → its kind, such as `overlay/0.5/jpeg/False`, `mask/False/place`, without a comma."""
    chosen = format_options(options)
    usual = {name for name in _LATER if getattr(chosen, name) == getattr(_USUAL, name)}
    return {
        name: "/".join([name, *(_told(chosen, each) for each in FORMATS[name].uses if each not in _UNTOLD | usual)])
        for name in options.artifacts
    }


def _told(options: FormatOptions, used: str) -> str:
    """Of a picture's place only that it is kept: artifacts of before they kept one are of another kind."""
    if used == PLACE:
        return PLACE
    value = getattr(options, used)
    return f"{used}={hashlib.sha256(repr(value).encode()).hexdigest()[:16]}" if used in _LATER else str(value)
