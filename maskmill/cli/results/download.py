"""How results come into a folder: what `maskmill download` may be asked for, and what is said of what came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from maskmill.cli.options import ForceOption, JobOption, ServerOptions
from maskmill.cli.output import fetching, print_json, stderr, stdout
from maskmill.download import FILES_MISSING, PICTURES_MISSING, lay_over, missing
from maskmill.errors import InvalidInput
from maskmill.handle import JobHandle


@dataclass(frozen=True, kw_only=True)
class Downloading(JobOption):
    folder: Annotated[Path, typer.Argument(help="Where to; made when missing.", metavar="DIR")] = Path("results")
    artifacts: Annotated[
        str | None, typer.Option(help="These alone, comma-separated; `metrics` is one.", metavar="NAMES")
    ] = None
    keep_zip: Annotated[bool, typer.Option("--zip", help="Keep the ZIP, and do not unpack it.")] = False
    export: Annotated[
        str | None, typer.Option(help="For an annotation tool: coco, cvat, label-studio, yolo, voc, …", metavar="TOOL")
    ] = None
    instances: Annotated[bool, typer.Option("--instances", help="Of an export: tell regions apart.")] = False
    pictures: Annotated[bool, typer.Option("--pictures", help="Of an export: the pictures too.")] = False
    model: Annotated[
        str | None, typer.Option(help="Of an export of several models: whose masks; else a folder for each.")
    ] = None
    without_lost: Annotated[
        bool, typer.Option("--without-lost", help="Leave out files that the service's store has lost, and say which.")
    ] = False
    force: ForceOption = False


def fetch(job: JobHandle, folder: Path, choices: ServerOptions, *, force: bool) -> None:
    """The results of an ended job, as the command chose, and a sentence on where they are."""
    chosen: dict[str, Any] = {}
    tables: dict[str, str] = {}
    if isinstance(choices, Downloading):
        chosen = {"artifacts": choices.artifacts, "unpacked": not choices.keep_zip, "export": _asked(choices)}
        tables |= {"pictures": PICTURES_MISSING} if choices.export else {}
        tables |= {"files": FILES_MISSING} if choices.without_lost else {}
    with fetching(stderr()) as on_received:
        if force and chosen.get("unpacked", True):
            chosen = {**chosen, "on_received": on_received, "unpacked": False}
            where = lay_over(folder, job.id, lambda: job.download(folder, **chosen))
        else:
            where = job.download(folder, on_received=on_received, **chosen)
    counts = {what: missing(where, table) for what, table in tables.items()}
    if not choices.as_json:
        stdout().print(f"results are in {where}", soft_wrap=True)
        for what, count in counts.items():
            if count:
                stdout().print(f"{what} that are not among them: {count}; {tables[what]} says why", soft_wrap=True)
    elif isinstance(choices, Downloading):
        print_json({"job": job.id, "path": str(where), **{f"{what}_missing": count for what, count in counts.items()}})


def _asked(choices: Downloading) -> dict[str, Any]:
    """Of the archive, beside the artifacts."""
    return {**_export_of(choices), **({"without_lost": True} if choices.without_lost else {})}


def _export_of(choices: Downloading) -> dict[str, Any]:
    if choices.export is None:
        if choices.instances or choices.pictures or choices.model is not None:
            raise InvalidInput("--instances, --pictures and --model say how an export is made; name one with --export")
        return {}
    switches = {"instances": choices.instances or None, "pictures": choices.pictures or None}
    return {"export": choices.export, **switches, "model": choices.model}
