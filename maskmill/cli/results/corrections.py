"""maskmill jobs corrections: what people drew goes back to the job that it corrects."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Annotated, BinaryIO, cast

import typer
from rich.text import Text

from maskmill.cli.address import connect
from maskmill.cli.options import JobOption
from maskmill.cli.output import counted, few, percent, print_json, stderr, stdout
from maskmill.download import job_in
from maskmill.errors import InvalidInput
from maskmill.handle import JobHandle
from maskmill.inputs import IMAGE_SUFFIXES, files_below, plain
from maskmill.transport import PIECE

PICTURES = IMAGE_SUFFIXES - {".png"}  # masks are PNGs
PICTURE_FOLDERS = frozenset({"images", "pictures", "inputs", "JPEGImages", "leftImg8bit"})
# What lies beside those in what has both: folders of masks, and documents that say what is what.
TELLING = frozenset(
    {"masks", "mask", "corrected", "labels", "annotations", "polygons", "SegmentationClass", "gtFine", "train"}
)
DOCUMENTS = frozenset({".json", ".yaml"})


@dataclass(frozen=True, kw_only=True)
class Correcting(JobOption):
    folder: Annotated[
        Path, typer.Argument(help="A folder of masks, or a tool's export: a folder, a .zip or a .json.", metavar="PATH")
    ]
    form: Annotated[
        str | None,
        typer.Option("--format", help="What it is (coco, cvat, folder, …); else by what is in it.", metavar="NAME"),
    ] = None


def corrections(choices: Correcting) -> None:
    """Send corrections: a folder of masks, or what an annotation tool exported."""
    with connect(choices) as server, tempfile.TemporaryFile() as packed:
        job = server.job(choices.job_id)
        _pack(choices.folder, packed, job)
        taken = job.correct(cast(BinaryIO, packed), form=choices.form)
        if choices.as_json:
            print_json(taken)
        else:
            _tell(job.refresh(), taken)
            if not taken["corrected"] and choices.form is None:
                said = f"Nothing in it is new, read as {taken['format']}; --format NAME reads it as another form."
                stderr().print(Text(said), soft_wrap=True)


def _tell(job: JobHandle, taken: dict[str, object]) -> None:
    corrected = counted(int(str(taken["corrected"])), "image")
    told = f"{corrected} corrected, {taken['unchanged']} as they were (read as {taken['format']})"
    stdout().print(told, soft_wrap=True)
    unknown = taken["unknown"]
    if isinstance(unknown, dict) and unknown["count"]:
        named = ", ".join(unknown["examples"])
        said = f"passed over, as called like no image of the job, or like several: {unknown['count']}: {named}"
        stderr().print(Text(said), soft_wrap=True)
    bare = taken.get("unannotated")  # an older server does not tell
    if isinstance(bare, dict) and bare["count"]:
        named = ", ".join(bare["examples"])
        said = f"{counted(bare['count'], 'image')} without any annotation, not changed: {named}"
        stderr().print(Text(said), soft_wrap=True)
    truth = job.metrics.get("ground_truth")
    if truth:
        stdout().print(
            f"mIoU {percent(truth.get('miou'))} over {counted(truth.get('images', 0), 'image')} with ground truth"
        )


def _pack(source: Path, packed: IO[bytes], job: JobHandle) -> None:
    """Without pictures, which the service has; where they might have been meant as masks, it is told."""
    if source.is_dir():
        files = _masks_below(source)
        if not files:
            raise InvalidInput(f"{source} holds nothing that could be a correction")
        root = _root_of(source, job)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
            for path in files:
                bundle.write(path, plain((root / path.relative_to(source)).as_posix()))
    elif source.suffix.lower() == ".zip":
        with source.open("rb") as file:
            while piece := file.read(PIECE):
                packed.write(piece)
    elif source.suffix.lower() in (".json", ".geojson"):
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
            bundle.write(source, source.name)
    else:
        raise InvalidInput(f"{source} is neither a folder nor a .zip, .json or .geojson file")


def _masks_below(source: Path) -> list[Path]:
    """All but pictures: those of other kinds than PNG, and what lies in a folder of pictures, where something beside
    that tells of masks; else the pictures of the job may lie in a folder that is called so."""
    found = sorted(files_below(source))
    tops = {path: path.relative_to(source).parts[0] for path in found}
    is_told = any(
        top in TELLING or (path.suffix.lower() in DOCUMENTS and path.name == top) for path, top in tops.items()
    )
    inside = [path for path in found if tops[path] not in PICTURE_FOLDERS or not is_told]
    if pictures := [path.name for path in inside if path.suffix.lower() in PICTURES]:
        stderr().print(Text(f"not sent, as pictures (masks are PNG files): {few(pictures)}"), soft_wrap=True)
    return [path for path in inside if path.suffix.lower() not in PICTURES]


def _root_of(source: Path, job: JobHandle) -> PurePath:
    """Where a folder lies among the job's results, if it does: `mask/night` of results/mask/night. Without it a mask
    may be called as another image is. Of several models each has its folder, and images lie in none of these."""
    whole = source.absolute()
    for folder in (whole, *whole.parents):
        if (found := job_in(folder)) is not None:
            parts, models = whole.relative_to(folder).parts, job.metrics_by_model
            if len(models) > 1:
                parts = (parts[0], *parts[2:]) if len(parts) > 1 and parts[1] in models else ()
            return PurePath(*parts) if found == job.id else PurePath()
    return PurePath()
