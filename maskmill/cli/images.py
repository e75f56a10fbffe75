"""The images of a job, one row each; and what is told about those that failed when a job ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from maskmill.cli.address import connect
from maskmill.cli.options import JobOption
from maskmill.cli.output import counted, percent, plain_table, print_json, print_table, program, status_text, stdout
from maskmill.handle import JobHandle
from maskmill.image import Image

TOLD = 10  # failed images that are named when a job ends; `maskmill images` names all
LOOKED_AT = 100  # images among which an example of a warning is sought
REMEDIES = {
    "mask_unknown_ids": "--mask-label-space NAME says what the ids mean; these masks count in no score",
    "mask_orientation_unclear": "masks drawn on pixels as they are stored have to be turned as their pictures are",
}


@dataclass(frozen=True, kw_only=True)
class Listing(JobOption):
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or canceled.")] = None
    name: Annotated[str | None, typer.Option(help="How the name begins, as cam_a/.")] = None
    ref: Annotated[str | None, typer.Option(help="Your own id.")] = None
    warning: Annotated[str | None, typer.Option(help="With this warning.", metavar="CODE")] = None
    error: Annotated[str | None, typer.Option(help="With this error.", metavar="CODE")] = None
    sort: Annotated[str | None, typer.Option(help="confidence: the least certain first; miou: the worst first.")] = None
    limit: Annotated[int | None, typer.Option(help="At most so many; else all.", min=1)] = None


def images(choices: Listing) -> None:
    """List the images of a job, with what went wrong."""
    where = {"name": choices.name, "ref": choices.ref, "warning": choices.warning, "error": choices.error}
    with connect(choices) as server:
        rows = server.job(choices.job_id).rows(status=choices.status, sort=choices.sort, limit=choices.limit, **where)
        found = list(rows)
    if choices.as_json:
        print_json({"items": [image.row for image in found]})
        return
    if not found:
        stdout().print("no such images")
        return
    table = plain_table("index", "name", "status", "confidence", "mIoU", "said", right=("index", "confidence", "mIoU"))
    for image in found:
        truth = image.metrics.get("ground_truth") or {}
        certain = percent(image.metrics.get("mean_confidence"))
        row = (Text(image.name), status_text(image.status), certain, percent(truth.get("miou")), Text(_said(image)))
        table.add_row(str(image.index), *row)
    print_table(table)


def tell_what_went_wrong(console: Console, job: JobHandle) -> None:
    """Of an ended job: the failed images with their reasons, what was passed over, and warnings."""
    failed = job.counts.get("failed", 0)
    for image in job.rows(status="failed", limit=TOLD) if failed else ():
        console.print(Text.assemble("  ", (image.name, "bold"), f": {_said(image)}"), soft_wrap=True)
    if failed > TOLD:
        console.print(f"  … and {failed - TOLD} more:  {program()} images {job.id} --status failed", soft_wrap=True)
    tell_what_was_passed_over(console, job)
    warnings: Mapping[str, int] = job.state.get("warnings") or {}
    examples = _examples(job, set(warnings))
    for code, count in warnings.items():
        said = f"{counted(count, 'image')} with the warning {code}"
        asked = f"{program()} images {job.id} --warning {code}"
        console.print(Text(f"{said}:  {asked}", style="yellow"), soft_wrap=True)
        if code in examples:
            console.print(Text(f"  {examples[code]}"), soft_wrap=True)
        if code in REMEDIES:
            console.print(Text(f"  {REMEDIES[code]}"), soft_wrap=True)


def tell_what_was_passed_over(console: Console, job: JobHandle) -> None:
    skipped: Mapping[str, Any] = job.state.get("skipped") or {}
    if skipped.get("count"):
        examples = ", ".join(map(str, skipped.get("examples") or ()))
        console.print(
            Text(
                f"{_files_were(skipped['count'])} passed over (no pictures, or masks that are not needed): {examples}"
            ),
            soft_wrap=True,
        )


def _files_were(count: int) -> str:
    return "1 file was" if count == 1 else f"{count} files were"


def _examples(job: JobHandle, codes: set[str]) -> dict[str, str]:
    """Of each code what an image says, the first that has it among the first few."""
    found: dict[str, str] = {}
    for image in job.rows(limit=LOOKED_AT) if codes else ():
        for warning in image.row.get("warnings") or ():
            found.setdefault(str(warning.get("code")), f"{image.name}: {warning.get('detail')}")
    return found


def _said(image: Image) -> str:
    """Why it failed, and its warnings, in one line."""
    faults = [*([image.error] if image.error else []), *(image.row.get("warnings") or ())]
    said = [f"{fault.get('code')} ({fault.get('message') or fault.get('detail')})" for fault in faults]
    return " ".join("; ".join(said).split())
