"""Label maps on their way through an export and back, without a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from segmentation.exports import Export, Exported, Known, Labelled, Returned
from segmentation.formats.outlines import EXACT, Outlines
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace

Ids = NDArray[np.uint8]


def exported(
    maps: Sequence[Ids],
    space: LabelSpace,
    *,
    instances: bool = False,
    pictures: bool = False,
    outlines: Outlines = EXACT,
) -> Exported:
    images = [
        Labelled(
            number=number,
            name=f"cam_{number}/Straße {number}",
            suffix=".jpg",
            width=ids.shape[1],
            height=ids.shape[0],
            read=partial(LabelMap, ids, space),
        )
        for number, ids in enumerate(maps, start=1)
    ]
    return Exported(
        about="job_1: tiny, camvid-11",
        software="maskmill 1",
        space=space,
        instances=instances,
        pictures=pictures,
        images=lambda: iter(images),
        outlines=outlines,
    )


def files_of(export: Export, content: Exported) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for each in export.files(content):
        assert each.name not in found
        found[each.name] = each.content if isinstance(each.content, bytes) else b"".join(each.content)
    return found


def returned(files: Mapping[str, bytes], content: Exported) -> Returned:
    images = [Known(each.number - 1, each.name, each.width, each.height) for each in content.images()]
    return Returned({name: partial(bytes, data) for name, data in files.items()}, images, content.space)


def written(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def masks(space: LabelSpace) -> st.SearchStrategy[Ids]:
    """Of few ids or of all, as noise (single pixels) or as rectangles in one another (holes)."""
    ids = sorted({*space.by_id, space.void_id})

    @st.composite
    def one(draw: st.DrawFn) -> Ids:
        height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
        chosen = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=len(ids), unique=True))
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        if draw(st.booleans()):
            return rng.choice(np.array(chosen, np.uint8), (height, width))
        found = np.full((height, width), chosen[0], np.uint8)
        for _ in range(draw(st.integers(0, 6))):
            (top, bottom), (left, right) = (sorted(rng.integers(0, size + 1, 2)) for size in (height, width))
            found[top:bottom, left:right] = rng.choice(np.array(chosen, np.uint8))
        return found

    return one()
