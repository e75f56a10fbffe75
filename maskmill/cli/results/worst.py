"""maskmill jobs worst: the images that are worth a person's look first, with what the model said of them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from rich.text import Text

from maskmill.cli.address import connect
from maskmill.cli.options import ForceOption, JobOption
from maskmill.cli.output import counted, few, percent, plain_table, print_json, print_table, program, stderr, stdout
from maskmill.download import alone_in, keep_apart, mark, write_whole
from maskmill.errors import Conflict, InvalidInput, NotFound
from maskmill.handle import JobHandle
from maskmill.image import Image

ORDERS = ("confidence", "entropy", "low_confidence", "class_drift", "miou", "disagreement")
IMAGES, MASKS, MASK = "images", "masks", "mask"
_NEEDS = {"miou": ", which takes ground truth", "disagreement": ", which takes several models"}


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


@dataclass(frozen=True, slots=True)
class Fetched:
    """kept: masks that were changed here since they came. missing, maskless: by the names of images, why their picture,
    or their mask, is not to be had."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    maskless: dict[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        files = {"files": self.written, "kept": self.kept}
        told = {name: [path.as_posix() for path in paths] for name, paths in files.items()}
        return {**told, "pictures_missing": self.missing, "masks_missing": self.maskless}


def worst(choices: Worst) -> None:
    """List the images that need a look first, and fetch them with their masks."""
    if choices.by not in ORDERS:
        raise InvalidInput(f"--by takes one of {', '.join(ORDERS)}, not {choices.by!r}")
    if choices.download is not None and not choices.force:  # they would go back as this job's corrections
        keep_apart(choices.download, choices.job_id)
    with connect(choices) as server:
        job = server.job(choices.job_id)
        found = list(job.rows(status="succeeded", sort=choices.by, limit=choices.top))
        fetched = Fetched() if choices.download is None else _fetched(job, found, choices.download, force=choices.force)
    if choices.as_json:
        print_json({"items": [image.row for image in found], **fetched.told()})
        return
    by = choices.by.replace("_", " ")
    if found and all(_number(image, choices.by) is None for image in found):
        said = f"Warning: no image has a value for {by}{_NEEDS.get(choices.by, '')}: they come in input order"
        stderr().print(Text(said, style="yellow"), soft_wrap=True)
    order = [] if choices.by in ("confidence", "miou") else [by]  # those stand in every list
    table = plain_table("index", "name", *order, "confidence", "mIoU", right=("index", *order, "confidence", "mIoU"))
    for image in found:
        truth = image.metrics.get("ground_truth") or {}
        numbers = percent(image.metrics.get("mean_confidence")), percent(truth.get("miou"))
        table.add_row(str(image.index), Text(image.name), *([_value(image, choices.by)] if order else []), *numbers)
    print_table(table)
    if fetched.kept:
        names = few([path.name for path in fetched.kept])
        stdout().print(Text(f"changed here, so not fetched again (but with --force): {names}"), soft_wrap=True)
    if choices.download is not None:
        for what, lacking in (("picture", fetched.missing), ("mask", fetched.maskless)):
            for name, why in lacking.items():
                stdout().print(Text(f"without its {what}: {name}: {why}"), soft_wrap=True)
        stdout().print(
            f"fetched {counted(len(fetched.written), 'file')} into {choices.download}: correct those in {MASKS}/, then",
            soft_wrap=True,
        )
        place = shlex.quote(str(choices.download))
        stdout().print(f"  {program()} jobs corrections {choices.job_id} {place}", soft_wrap=True)


def _value(image: Image, by: str) -> str:
    """What the list is ordered by: the entropy from 0 to 1, all else as shares."""
    number = _number(image, by)
    return percent(number) if by != "entropy" else "–" if number is None else f"{number:.3f}"


def _number(image: Image, by: str) -> float | None:
    """None where nothing is known to order the image by."""
    metrics = image.metrics
    places = {"miou": metrics.get("ground_truth") or {}, "disagreement": image.row}
    found: float | None = places.get(by, metrics).get(f"mean_{by}" if by in ("confidence", "entropy") else by)
    return found


def _fetched(job: JobHandle, images: Sequence[Image], folder: Path, *, force: bool) -> Fetched:
    """`images/<name>` and `masks/<name>.png`, without the picture's suffix where one of the job is called so."""
    called = Counter(_mask_path(_inside(image)).as_posix().casefold() for image in images)
    fetched = Fetched()
    with alone_in(folder):
        mark(folder, job.id)
        for image in images:
            name = _inside(image)
            mask_path = _mask_path(name)
            if called[mask_path.as_posix().casefold()] > 1 or _has_twin(job, image):
                mask_path = name.with_name(f"{name.name}.png")
            try:
                fetched.written.append(image.save("input", folder / IMAGES / name, upright=True))
            except (NotFound, Conflict) as error:
                fetched.missing[image.name] = error.detail
            if MASK in image.artifacts:
                _fetch_mask(image, folder / MASKS / mask_path, fetched, force=force)
    return fetched


def _fetch_mask(image: Image, place: Path, fetched: Fetched, *, force: bool) -> None:
    try:
        data = _newest(image)
    except NotFound as error:  # the service has lost it
        fetched.maskless[image.name] = error.detail
        return
    if place.exists() and not force and place.read_bytes() != data:
        fetched.kept.append(place)
    else:
        fetched.written.append(write_whole(place, data))


def _has_twin(job: JobHandle, image: Image) -> bool:
    """Whether another image of the job, perhaps none of the worst, differs in its suffix alone: a mask that is called
    without it would be nobody's when it comes back."""
    mask_path = _mask_path(_inside(image))
    others = job.rows(name=f"{mask_path.with_suffix('').as_posix()}.")
    return any(each.index != image.index and _mask_path(PurePosixPath(each.name)) == mask_path for each in others)


def _newest(image: Image) -> bytes:
    """As somebody corrected it, else as the model said: not where what somebody drew is lost. Raises NotFound."""
    try:
        return image.read("correction")
    except NotFound as error:
        if error.code == "object_not_found":
            raise
        return image.read(MASK)


def _mask_path(name: PurePosixPath) -> PurePosixPath:
    return name.with_suffix(".png")


def _inside(image: Image) -> PurePosixPath:
    """Whatever a service calls it, it stays below the folder."""
    name = PurePosixPath(image.name)
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise InvalidInput(f"image {image.index} has a name that is no relative path: {image.name!r}")
    return name
