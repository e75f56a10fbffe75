"""`maskmill report`: the page of the demo, of any job: its pictures, overlays, masks and numbers in a folder."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskmill.cli.address import connect
from maskmill.cli.options import JobOption
from maskmill.cli.output import counted, print_json, stderr, stdout
from maskmill.download import FILES_MISSING, check_place, missing, write_whole
from maskmill.errors import Conflict, DownloadBroken, InvalidInput, NotFound

if TYPE_CHECKING:
    from maskmill.demo.material import Item
    from maskmill.handle import JobHandle
    from maskmill.image import Image


MADE_BY_US = ".made-by-maskmill-report"  # holds the job's id


@dataclass(frozen=True, kw_only=True)
class Report(JobOption):
    out: Annotated[
        Path | None, typer.Option(help="A new folder, or the job's report of before; else report-JOB.", metavar="DIR")
    ] = None
    limit: Annotated[int, typer.Option(help="The first so many images.", min=1, max=2000)] = 200


def report(choices: Report) -> None:
    """Write a page of a job's pictures, masks and numbers, which needs no service to be looked at."""
    from maskmill.demo.files import PICTURES, TRUTH
    from maskmill.demo.material import Material
    from maskmill.demo.page import write_page
    from maskmill.demo.story import terms_of

    out = choices.out or Path(f"report-{choices.job_id}")
    _check(out, choices.job_id)
    with connect(choices) as server, tempfile.TemporaryDirectory() as inputs:
        job = server.job(choices.job_id)
        write_whole(out / MADE_BY_US, job.id.encode())
        _download(job, out)
        images = list(job.rows(limit=choices.limit))
        pictures = [item for image in images if (item := _input(image, Path(inputs))) is not None]
        for folder in (PICTURES, TRUTH):  # of the page before, which may have shown others
            shutil.rmtree(out / folder, ignore_errors=True)
        page = write_page(out, job, images, Material(pictures=pictures), terms_of(server, job))
    if choices.as_json:
        print_json({"page": str(page), "images": len(images)})
    else:
        stdout().print(f"{page} shows {len(images)} of {counted(job.total, 'image')}", soft_wrap=True)


def _check(out: Path, job_id: str) -> None:
    """Raises InvalidInput where no folder can be, or one is that is neither empty nor an earlier report of this job."""
    check_place(out)
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        made = (out / MADE_BY_US).read_text("utf-8")
    except FileNotFoundError:
        raise InvalidInput(f"the folder {out} holds other files; choose another one with --out") from None
    if made != job_id:
        raise InvalidInput(f"the folder {out} holds the report of {made}; choose another one with --out")


def _download(job: JobHandle, out: Path) -> None:
    """A page of a job of which something is lost is better than none."""
    try:
        job.download(out, artifacts=_kinds(job))
    except (DownloadBroken, NotFound):
        job.download(out, artifacts=_kinds(job), export={"without_lost": True})
        if count := missing(out, FILES_MISSING):
            told = f"without {counted(count, 'file')} that the service has lost: {FILES_MISSING} says which"
            stderr().print(told, soft_wrap=True)


def _kinds(job: JobHandle) -> list[str]:
    """All that there is: of a job that was submitted with an export, an archive without a word is that one."""
    several = ["disagreement", "comparison"] if job.state.get("models") else []
    return [*job.state["options"]["artifacts"], "metrics", "corrected", *several]


def _input(image: Image, folder: Path) -> Item | None:
    """The picture itself, where it is to be had: what the service fetched from an address it does not keep, and what
    lies in a bucket may be gone, or another one by now."""
    from maskmill.demo.material import Item

    if "input" not in image.artifacts:
        return None
    with suppress(NotFound, Conflict):
        return Item(image.name, image.save("input", folder / f"{image.index:06d}"))
    return None
