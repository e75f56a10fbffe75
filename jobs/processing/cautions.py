"""What somebody must know of an image's results to judge them: how they came about, not whether they are right."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.job import ImageResult, ImageWarning, Job
from jobs.options import TileOptions
from segmentation.label_map import LabelMap
from segmentation.masks.mask_check import percent

TILE_MAGNIFIED = "tile_magnified"
OVERLAY_REDUCED = "overlay_reduced"
CLASSES_IMPOSSIBLE = "classes_impossible"
MASK_LACKS_CLASSES = "mask_lacks_classes"
MOST_MAGNIFIED = 1.5  # where masks begin to suffer: docs/pictures-and-results.md has the figures


def of_tiles(tile: TileOptions | None, *, width: int, height: int) -> tuple[ImageWarning, ...]:
    """width, height: of the picture."""
    factor = 1.0 if tile is None else tile.magnification(width, height)
    if factor <= MOST_MAGNIFIED:
        return ()
    return (
        ImageWarning(
            TILE_MAGNIFIED,
            f"in these tiles things appear {factor:.1f} times as large to the model as in the whole picture; one that "
            "was trained on whole pictures finds less that way: use larger tiles, or none",
        ),
    )


def of_classes(job: Job, truth: LabelMap | None) -> tuple[ImageWarning, ...]:
    """For each model that cannot give some of the classes which the ground truth has. truth: in the job's space."""
    if truth is None:
        return ()
    found = []
    for position, model in enumerate(job.models):
        absent = {each.name: int(truth.pixel_counts[each.id]) for each in job.impossible_classes(position)}
        names = [name for name, pixels in absent.items() if pixels]
        if names:
            share = percent(sum(absent.values()) / truth.ids.size)
            detail = (
                f"{model} has no way to give {', '.join(names)} ({share} of the mask); `miou` is taken without them"
            )
            found.append(ImageWarning(CLASSES_IMPOSSIBLE, detail))
    return tuple(found)


def of_masks(job: Job, truth: LabelMap | None, results: Iterable[ImageResult]) -> tuple[ImageWarning, ...]:
    """For each model that gives classes for which the masks' label space has no word. results: one of each model."""
    if truth is None or job.mask_space == job.space:
        return ()
    lacking = [each.name for each in job.space.missing_from(job.mask_space)]
    found = []
    for model, result in zip(job.models, results, strict=True):
        shares = {name: result.metrics.class_fractions.get(name, 0.0) for name in lacking}
        names = [name for name, share in shares.items() if share]
        if names:
            share = percent(sum(shares.values()))
            detail = (
                f"masks in {job.mask_space.name} cannot show {', '.join(names)}, which {model} gives to {share} of the "
                "picture: these pixels count as wrong, and means are taken without these classes; a `label_space` that "
                "both lead to has none of it"
            )
            found.append(ImageWarning(MASK_LACKS_CLASSES, detail))
    return tuple(found)
