"""maskmill jobs worst: the images that are worth a person's look first, with what the model said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from rich.text import Text

from maskmill.cli.address import connect
from maskmill.cli.options import ForceOption, JobOption
from maskmill.cli.output import few, percent, plain_table, print_json, program, stdout
from maskmill.download import keep_apart, mark, write_whole
from maskmill.errors import InvalidInput, NotFound
from maskmill.handle import Image, JobHandle

ORDERS = ("confidence", "entropy", "low_confidence", "class_drift", "miou", "disagreement")
IMAGES, MASKS, MASK = "images", "masks", "mask"


@dataclass(frozen=True, kw_only=True)
class Worst(JobOption):
    top: Annotated[int, typer.Option(help="So many.", min=1)] = 50
    by: Annotated[
        str,
        typer.Option(help=f"{', '.join(ORDERS[:-1])}, or {ORDERS[-1]} (of several models)."),
    ] = "confidence"
    download: Annotated[
        Path | None, typer.Option(help="Fetch pictures and masks here, ready to be corrected.", metavar="DIR")
    ] = None
    force: ForceOption = False


def worst(choices: Worst) -> None:
    """List the images that need a look first, and fetch them with their masks."""
    if choices.by not in ORDERS:
        raise InvalidInput(f"--by takes one of {', '.join(ORDERS)}, not {choices.by!r}")
    if choices.download is not None and not choices.force:  # they would go back as this job's corrections
        keep_apart(choices.download, choices.job_id)
    with connect(choices) as server:
        job = server.job(choices.job_id)
        found = list(job.rows(status="succeeded", sort=choices.by, limit=choices.top))
        kept: list[Path] = []
        written = list(_fetched(job, found, choices, kept))
    if choices.as_json:
        files = {"files": [path.as_posix() for path in written], "kept": [path.as_posix() for path in kept]}
        print_json({"items": [image.row for image in found], **files})
        return
    table = plain_table("index", "name", "confidence", "mIoU", right=("index", "confidence", "mIoU"))
    for image in found:
        truth = image.metrics.get("ground_truth") or {}
        numbers = percent(image.metrics.get("mean_confidence")), percent(truth.get("miou"))
        table.add_row(str(image.index), Text(image.name), *numbers)
    stdout().print(table)
    if kept:
        names = few([path.name for path in kept])
        stdout().print(Text(f"changed here, so not fetched again (but with --force): {names}"), soft_wrap=True)
    if choices.download is not None:
        stdout().print(
            f"{len(written)} files are in {choices.download}: correct those in {MASKS}/, then", soft_wrap=True
        )
        stdout().print(f"  {program()} jobs corrections {choices.job_id} {choices.download}", soft_wrap=True)


def _fetched(job: JobHandle, images: Sequence[Image], choices: Worst, kept: list[Path]) -> Iterator[Path]:
    """`images/<name>` and `masks/<name>.png`, without the picture's suffix where one of them is called so; a picture
    that the service did not store stays away. Adds to `kept` the masks that were changed since they came."""
    folder = choices.download
    if folder is None:
        return
    called = Counter(_mask_path(_inside(image)).as_posix().casefold() for image in images)
    mark(folder, job.id)
    for image in images:
        name = _inside(image)
        mask = _mask_path(name)
        if called[mask.as_posix().casefold()] > 1:
            mask = name.with_name(f"{name.name}.png")
        if "input" in image.artifacts:
            yield image.save("input", folder / IMAGES / name, upright=True)
        if MASK in image.artifacts:
            place, data = folder / MASKS / mask, _newest(image)
            if place.exists() and not choices.force and place.read_bytes() != data:
                kept.append(place)
            else:
                yield write_whole(place, data)


def _newest(image: Image) -> bytes:
    """As somebody corrected it, else as the model said."""
    try:
        return image.read("correction")
    except NotFound:
        return image.read(MASK)


def _mask_path(name: PurePosixPath) -> PurePosixPath:
    return name.with_suffix(".png")


def _inside(image: Image) -> PurePosixPath:
    """Whatever a service calls it, it stays below the folder."""
    name = PurePosixPath(image.name)
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise InvalidInput(f"image {image.index} has a name that is no relative path: {image.name!r}")
    return name
