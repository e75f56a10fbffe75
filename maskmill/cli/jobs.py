"""Commands about jobs: submit, jobs, watch, cancel, retry, download, delete."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from maskmill.cli.address import connect, page_of_job
from maskmill.cli.exits import DONE, INTERRUPTED, REFUSED, exit_code_of
from maskmill.cli.images import tell_what_was_passed_over, tell_what_went_wrong
from maskmill.cli.options import ForceOption, JobOption, ServerOptions
from maskmill.cli.output import (
    age,
    few,
    job_sentence,
    percent,
    plain_table,
    print_json,
    print_table,
    program,
    status_text,
    stderr,
    stdout,
    submitting,
    working,
)
from maskmill.cli.results.download import Downloading, fetch
from maskmill.download import check_place, keep_apart
from maskmill.errors import InvalidInput, WaitTimeout
from maskmill.handle import JobHandle
from maskmill.inputs import Inputs, sort_out
from maskmill.installed import dashboard_is_here, how_to_install


@dataclass(frozen=True, kw_only=True)
class Submission(ServerOptions):
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Images, films, folders, globs, archives, addresses, sample:ID, job:ID (its inputs once more).",
            show_default=False,
        ),
    ]
    model: Annotated[str | None, typer.Option(help="A name from `maskmill models`; else the server's own.")] = None
    models: Annotated[
        str | None, typer.Option(help="Run several and compare them: comma-separated names.", metavar="NAMES")
    ] = None
    artifacts: Annotated[
        str | None,
        typer.Option(help="Comma-separated: overlay, mask, confidence, polygons, coco, geotiff.", metavar="NAMES"),
    ] = None
    masks: Annotated[
        list[str] | None,
        typer.Option(help="Ground truth: files, folders, archives, by name; or corrected, of job:ID.", metavar="PATH"),
    ] = None
    mask_suffix: Annotated[
        str | None, typer.Option(help="How the names of masks end, if in a way of their own: _L.", metavar="TEXT")
    ] = None
    label_space: Annotated[str | None, typer.Option(help="Give results in this label space.", metavar="NAME")] = None
    mask_label_space: Annotated[str | None, typer.Option(help="What the ids in the masks mean.", metavar="NAME")] = None
    min_confidence: Annotated[
        float | None, typer.Option(help="Pixels less certain than this become void: 0 to 1.", metavar="SHARE")
    ] = None
    classes: Annotated[
        str | None, typer.Option(help="Draw these alone in overlay, polygons, coco.", metavar="NAMES")
    ] = None
    tile: Annotated[
        str | None, typer.Option(help="Cut large images: SIZE or SIZE,OVERLAP in pixels.", metavar="SIZE")
    ] = None
    every: Annotated[
        str | None, typer.Option(help="Of films: how often a frame is taken, 1s or 500ms.", metavar="TIME")
    ] = None
    priority: Annotated[str | None, typer.Option(help="interactive or bulk; else by size.")] = None
    reuse: Annotated[bool, typer.Option(help="Answer by earlier results of the same picture where there are any.")] = (
        True
    )
    webhook: Annotated[str | None, typer.Option(help="Who is told when it has ended.", metavar="URL")] = None
    option: Annotated[
        list[str] | None, typer.Option(help="Any other option of the API, as NAME=JSON.", metavar="NAME=JSON")
    ] = None
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, with a progress bar.")] = False
    timeout: Annotated[float | None, typer.Option(help="Wait so many seconds at most.", metavar="SECONDS", min=0)] = (
        None
    )
    download: Annotated[
        Path | None, typer.Option(help="Wait, then fetch and unpack the results here.", metavar="DIR")
    ] = None
    force: ForceOption = False
    open_page: Annotated[bool, typer.Option("--open", help="Open the job on the local stack's page.")] = False


def submit(choices: Submission) -> None:
    """Submit images as one job."""
    console = stderr()
    _keep_results_apart(choices)
    inputs = _inputs(choices.paths)
    if inputs.passed_over:
        console.print(f"not sent, as no pictures: {few([path.name for path in inputs.passed_over])}", soft_wrap=True)
    if inputs.results:
        console.print(f"not sent, as results of a job: {few([str(path) for path in inputs.results])}", soft_wrap=True)
    with connect(choices) as server:
        with submitting(console, is_named=bool(inputs.remote)) as on_sent:
            job = server.submit(inputs, masks=choices.masks or None, on_sent=on_sent, **_job_options(choices))
        _say_what_was_understood(console, job, choices)
        if choices.open_page:
            _open(console, page_of_job(job.id, server.server))
        if choices.wait or choices.download or choices.timeout:
            if not choices.as_json:
                console.print(job_sentence(job))
            wait_for(job, console, choices.timeout)
        _show(job, choices)
        if choices.download:
            fetch(job, choices.download, choices, force=choices.force)
        raise typer.Exit(exit_code_of(job.status) if job.finished else DONE)


@dataclass(frozen=True, kw_only=True)
class Listing(ServerOptions):
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, partial, failed, canceled.")] = None
    model: Annotated[str | None, typer.Option(help="Jobs of this model alone.")] = None
    created_after: Annotated[str | None, typer.Option(help="Then or later.", metavar="TIME")] = None
    created_before: Annotated[str | None, typer.Option(help="Earlier than then.", metavar="TIME")] = None
    metadata: Annotated[list[str] | None, typer.Option(help="With this metadata.", metavar="KEY=VALUE")] = None
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20


def jobs(choices: Listing) -> None:
    """List jobs, newest first."""
    asked: dict[str, Any] = {
        "status": choices.status,
        "model": choices.model,
        "created_after": choices.created_after,
        "created_before": choices.created_before,
        "metadata": dict(_pair(each, "--metadata KEY=VALUE") for each in choices.metadata or ()),
    }
    with connect(choices) as server:
        found = server.jobs(**asked, limit=choices.limit)
    if choices.as_json:
        print_json({"items": [job.state for job in found]})
        return
    table = plain_table("id", "status", "images", "done", "failed", "model", "created", right=("images", "done"))
    for job in found:
        failed = str(job.counts.get("failed", 0) or "")
        numbers = (str(job.total), str(job.finished_images), failed)
        created = age(job.state.get("created_at"))
        table.add_row(job.id, status_text(job.status), *numbers, str(job.state.get("model", "")), created)
    if found:
        print_table(table)
    elif any(asked.values()):
        stdout().print("no such jobs")
    else:
        stdout().print(f"no jobs yet; submit some with: {program()} submit PATHS…", soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Watching(JobOption):
    timeout: Annotated[float | None, typer.Option(help="Wait so many seconds at most.", metavar="SECONDS", min=0)] = (
        None
    )


def watch(choices: Watching) -> None:
    """Follow a job to its end."""
    with connect(choices) as server:
        job = server.job(choices.job_id)
        wait_for(job, stderr(), choices.timeout)
        _show(job, choices)
    raise typer.Exit(exit_code_of(job.status))


def cancel(choices: JobOption) -> None:
    """Cancel a job: queued images at once, running ones within seconds."""
    with connect(choices) as server:
        job = server.job(choices.job_id).cancel()
        _show(job, choices)
    if job.finished and job.status != "canceled":
        stderr().print(f"{job.id} had ended before: nothing of it was canceled", soft_wrap=True)
        raise typer.Exit(REFUSED)


@dataclass(frozen=True, kw_only=True)
class Retrying(Watching):
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, with a progress bar.")] = False


def retry(choices: Retrying) -> None:
    """Run the failed images of an ended job once more."""
    with connect(choices) as server:
        job = server.job(choices.job_id).retry()
        if choices.wait or choices.timeout:
            wait_for(job, stderr(), choices.timeout)
        _show(job, choices)
    raise typer.Exit(exit_code_of(job.status) if job.finished else DONE)


def download(choices: Downloading) -> None:
    """Fetch a job's results and unpack them; goes on where a broken download stopped."""
    with connect(choices) as server:
        job = server.job(choices.job_id)
        if not job.finished:
            wait_for(job, stderr(), None)
        fetch(job, choices.folder, choices, force=choices.force)


def delete(choices: JobOption) -> None:
    """Delete an ended job with everything that belongs to it."""
    with connect(choices) as server:
        server.job(choices.job_id).delete()
    if choices.as_json:
        print_json({"deleted": choices.job_id})
    else:
        stdout().print(f"{choices.job_id} is deleted")


def _say_what_was_understood(console: Console, job: JobHandle, choices: Submission) -> None:
    space = (job.state.get("options") or {}).get("mask_label_space")
    named = choices.masks and not all(path.startswith("job:") for path in choices.paths)  # those of jobs have no names
    if named and space and not _job_options(choices).get("mask_label_space"):
        said = f"the masks' names say that their ids are {space}; --mask-label-space says otherwise"
        console.print(said, soft_wrap=True)


def _open(console: Console, page: str | None) -> None:
    """The job goes on whether or not somebody can look at it."""
    import webbrowser

    if page is None:
        comes = f"{program()} up --open" if dashboard_is_here() else how_to_install("dashboard")
        console.print(Text(f"no page of this service is known here; one comes with: {comes}"), soft_wrap=True)
    elif not webbrowser.open(page):
        console.print(f"no browser opens here; the job is on {page}", soft_wrap=True)


def _keep_results_apart(choices: Submission) -> None:
    """Else the next job of the same folder would take our own overlays for pictures; and before a job is made whose
    results may not lie there."""
    folder = choices.download
    if folder and folder.exists() and any(_is_same(path, folder) for path in choices.paths):
        raise InvalidInput(f"--download {folder} is the folder that is submitted; results need one of their own")
    if folder:
        check_place(folder)
    if folder and not choices.force:
        keep_apart(folder, None)


def _is_same(path: str, folder: Path) -> bool:
    return Path(path).exists() and folder.samefile(path)


def _inputs(paths: list[str]) -> Inputs:
    return sort_out([_named_input(path) or path for path in paths])


def _named_input(text: str) -> dict[str, str] | None:
    kind, colon, name = text.partition(":")
    return {kind: name} if colon and kind in ("sample", "job") else None


def _job_options(choices: Submission) -> dict[str, Any]:
    options: dict[str, Any] = {
        "model": choices.model,
        "models": _names(choices.models),
        "label_space": choices.label_space,
        "mask_label_space": choices.mask_label_space,
        "mask_suffix": choices.mask_suffix,
        "min_confidence": choices.min_confidence,
        "every": choices.every,
        "priority": choices.priority,
        "reuse": None if choices.reuse else False,
        "artifacts": _names(choices.artifacts),
        "classes": _names(choices.classes),
        "tile": _tile(choices.tile) if choices.tile else None,
        "webhook": {"url": choices.webhook} if choices.webhook else None,
    }
    for text in choices.option or ():
        name, value = _pair(text, "--option NAME=JSON")
        if options.get(name) is not None:
            raise InvalidInput(f"--option {name}: {name} is given twice")
        options[name] = _value(name, value)
    return options


def _pair(text: str, form: str) -> tuple[str, str]:
    """form: the option, and what it takes."""
    name, given, value = text.partition("=")
    if not given:
        option, _, wanted = form.partition(" ")
        raise InvalidInput(f"{option} takes {wanted}, not {text!r}")
    return name, value


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None


def _value(name: str, text: str) -> Any:
    """Text need not be quoted; what begins like an object, a list or a quoted text has to be one."""
    try:
        return json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith(("{", "[", '"')):
            raise InvalidInput(f"--option {name}: {text!r} is no JSON: {error}") from None
        return text


def _tile(text: str) -> dict[str, int]:
    try:
        size, *overlap = (int(part) for part in text.split(",", 1))
    except ValueError:
        raise InvalidInput(f"--tile takes SIZE or SIZE,OVERLAP in pixels, not {text!r}") from None
    return {"size": size, **({"overlap": overlap[0]} if overlap else {})}


def wait_for(job: JobHandle, console: Console, timeout: float | None) -> None:
    """The job does not depend on us: whoever stops waiting is told how to come back."""
    try:
        with working(console) as on_progress:
            job.wait(timeout=timeout, on_progress=on_progress)
    except KeyboardInterrupt:
        _say_how_to_come_back(console, job)
        raise typer.Exit(INTERRUPTED) from None
    except WaitTimeout:
        _say_how_to_come_back(console, job)
        raise


def _say_how_to_come_back(console: Console, job: JobHandle) -> None:
    console.print("\nThe job goes on. Follow it with:")
    console.print(f"  {program()} watch {job.id}", soft_wrap=True)  # whole, so that it can be copied


def _show(job: JobHandle, choices: ServerOptions) -> None:
    if choices.as_json:
        print_json(job.state)
        return
    out = stdout()
    out.print(job_sentence(job))
    for model, metrics in job.metrics_by_model.items():
        truth = metrics.get("ground_truth")
        if truth:
            scores = f"mIoU {percent(truth.get('miou'))}, pixel accuracy {percent(truth.get('pixel_accuracy'))}"
            whose = f"{model}: " if len(job.metrics_by_model) > 1 else ""
            out.print(f"{whose}{scores} (images: {truth.get('images')} of {job.total})")
    if job.finished:
        tell_what_went_wrong(out, job)
    else:
        tell_what_was_passed_over(out, job)
        out.print(f"Follow it with:  {program()} watch {job.id}", soft_wrap=True)
