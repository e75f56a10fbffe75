"""`maskmill film`: a film of a job's overlays, of each film that was submitted or of a folder of pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from maskmill.cli.address import connect
from maskmill.cli.jobs import wait_for
from maskmill.cli.options import JobOption
from maskmill.cli.output import counted, counting, duration, few, print_json, stderr, stdout

if TYPE_CHECKING:
    from maskmill.films.filming import FilmFile, OnFrame

PLAYED = "h264"  # by browsers: who has it need not hear of it


@dataclass(frozen=True, kw_only=True)
class Filming(JobOption):
    out: Annotated[
        Path,
        typer.Option(help="A file (.mp4, .m4v, .mov, .mkv), or a folder for drive-overlay.mp4.", metavar="PATH"),
    ] = Path()
    of: Annotated[
        str | None, typer.Option("--input", help="One film, drive.mp4, or a folder of pictures; else all.")
    ] = None
    artifact: Annotated[
        str, typer.Option(help="What it shows: overlay, mask, confidence, input, …", metavar="NAME")
    ] = "overlay"
    model: Annotated[str | None, typer.Option(help="Whose results, of several; else the first one's.")] = None
    fps: Annotated[
        float | None, typer.Option(help="Frames per second; else as the film that came in had them.", metavar="RATE")
    ] = None


def film(choices: Filming) -> None:
    """Write a film of a job's overlays, in the time of the film that was submitted."""
    from maskmill.films.filming import Asked, write_films

    asked = Asked(out=choices.out, of=choices.of, artifact=choices.artifact, model=choices.model, fps=choices.fps)
    with connect(choices) as server:
        job = server.job(choices.job_id)
        if not job.finished:
            wait_for(job, stderr(), None)
        with _counting(stderr()) as on_frame:
            films = write_films(job, asked, on_frame)
    others = job.total - sum(each.frames for each in films) if choices.of is None else 0
    if choices.as_json:
        told = [{**asdict(each), "path": str(each.path)} for each in films]
        print_json({"job": job.id, "films": told, "pictures_left_out": others})
        return
    for each in films:
        _tell(each)
    if others:
        are = f"{counted(others, 'image')} of the job {'is' if others == 1 else 'are'}"
        stdout().print(f"{are} in no film; a film of such pictures needs --fps", soft_wrap=True)


def _tell(film: FilmFile) -> None:
    out = stdout()
    how = (
        ""
        if film.codec == PLAYED
        else f", {film.codec}: browsers do not play it; the PyAV that is installed here writes no H.264"
    )
    frames = counted(film.frames, "frame")
    told = f"{film.path} shows {frames} in {duration(film.seconds)}, {film.width} × {film.height}{how}"
    out.print(Text(told), soft_wrap=True)
    for shows, said in (("picture", "the plain picture is shown"), ("neighbour", "the frame beside it is shown")):
        if numbers := [f"{each.number} ({each.name})" for each in film.missing if each.shows == shows]:
            out.print(
                Text(f"  {counted(len(numbers), 'frame')} without a result, for which {said}: {few(numbers)}"),
                soft_wrap=True,
            )


@contextlib.contextmanager
def _counting(console: Console) -> Iterator[OnFrame]:
    """A bar over the frames of all films, once it is known how many there are."""
    with contextlib.ExitStack() as shown:
        bars: list[Callable[[], None]] = []

        def advance(_: int, total: int) -> None:
            if not bars:
                bars.append(shown.enter_context(counting(console, "Filming   ", total)))
            bars[0]()

        yield advance
