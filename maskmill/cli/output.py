"""What a command shows: tables and sentences on stdout, progress on stderr, or JSON alone on stdout."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from maskmill.cli.exits import INTERRUPTED
from maskmill.cli.options import in_json
from maskmill.download import OnReceived
from maskmill.handle import JobHandle
from maskmill.installed import called
from maskmill.uploads.multipart import OnSent

STATUS_STYLE = {
    "succeeded": "green",
    "partial": "yellow",
    "failed": "red",
    "canceled": "magenta",
    "running": "cyan",
    "queued": "default",
}
PIPE_WIDTH = 160
TABLE_WIDTH = 10_000
NAMED = 5  # files in a sentence
_UTC = timezone.utc  # noqa: UP017 - Python 3.10 has no datetime.UTC
QUIET_EVERY_S = 5.0  # without a terminal progress is a line now and then


def stdout() -> Console:
    """Into a file or pipe a line may be long: nobody's window is as narrow as rich believes then."""
    return plain_console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def stderr() -> Console:
    return plain_console(stderr=True)


def plain_console(**chosen: Any) -> Console:
    """Writes text as it is: `[red]` and `:car:` are parts of a path."""
    return Console(highlight=False, markup=False, emoji=False, **chosen)


def print_json(value: Any) -> None:
    print(in_json(value, indent=1))


def status_text(status: str) -> Text:
    return Text(status, style=STATUS_STYLE.get(status, "default"))


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def duration(seconds: float | None) -> str:
    """4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def few(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def age(moment: str | None) -> str:
    """How long ago an RFC 3339 timestamp was."""
    if not moment:
        return "–"
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))  # noqa: FURB162 - Python 3.10 reads no Z
    return duration((datetime.now(_UTC) - then).total_seconds()) + " ago"


def program() -> str:
    """How a person calls this program from here."""
    return called("maskmill")


def job_sentence(job: JobHandle) -> Text:
    counts = ", ".join(f"{job.counts[name]} {name}" for name in STATUS_STYLE if job.counts.get(name))
    return Text.assemble((job.id, "bold"), " ", status_text(job.status), f": {counts or 'no images'}")


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """Whole, however narrow the window is: an id that is cut is none, and a window breaks lines itself."""
    console, written = plain_console(width=TABLE_WIDTH), []
    for line in console.render_lines(table, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        written += [*line, Segment.line()]
    console.print(Segments(written), end="")


@contextlib.contextmanager
def submitting(console: Console, *, is_named: bool) -> Iterator[OnSent]:
    """As `sending`; who interrupts it is told whether a job may have been made. is_named: of inputs that are not sent,
    so that nobody sees how far the request is."""
    is_whole = is_named

    def on_sent(done: int, total: int) -> None:
        nonlocal is_whole
        is_whole |= done >= total  # it may be sent again, when its connection broke
        shown(done, total)

    try:
        with sending(console) as shown:
            yield on_sent
    except KeyboardInterrupt:
        said = (
            f"All of it had been sent, so the job may be there all the same: see  {program()} jobs --limit 3"
            if is_whole
            else "Nothing was submitted. What was sent of many or large files is kept for a day: the same command goes "
            "on with it."
        )
        console.print(f"\n{said}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def sending(console: Console) -> contextlib.AbstractContextManager[OnSent]:
    """A bar over the bytes of an upload; gone when it is done."""
    return _bytes("Sending   ", console)


def fetching(console: Console) -> contextlib.AbstractContextManager[OnReceived]:
    """A bar over the bytes of a download; gone when it is done."""
    return _bytes("Fetching  ", console)


@contextlib.contextmanager
def _bytes(label: str, console: Console) -> Iterator[Callable[[int, int | None], None]]:
    columns = (TextColumn(label), BarColumn(30), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextlib.contextmanager
def counting(console: Console, label: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar over `total` things: what is yielded is called after each. Lines now and then without a terminal."""
    if not console.is_terminal:
        lines = _CountLines(console, label.strip(), total)
        yield lines.advance
        return
    columns = (TextColumn(label), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda: progress.advance(task)


class _CountLines:
    def __init__(self, console: Console, label: str, total: int) -> None:
        self._console, self._label, self._total = console, label, total
        self._done = 0
        self._next = time.monotonic() + QUIET_EVERY_S

    def advance(self) -> None:
        self._done += 1
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + QUIET_EVERY_S
            self._console.print(f"{self._label}: {self._done}/{self._total}", soft_wrap=True)


@contextlib.contextmanager
def working(console: Console) -> Iterator[Callable[[JobHandle], None]]:
    """A bar while the job waits for a worker, then one over its images: images/s, time left. Lines instead of bars
    without a terminal."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    bar = BarColumn(30, complete_style="cyan", finished_style="green")
    columns = (TextColumn("{task.description}"), bar, TextColumn("{task.fields[numbers]}"))
    with Progress(*columns, console=console, refresh_per_second=8) as progress:
        yield _Bars(progress).show


def counted(number: int, thing: str, things: str = "") -> str:
    """1 image, 2 images; things: where it is not the thing with an s."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def progress_numbers(state: Mapping[str, Any]) -> str:
    """12/120 images · 1.9 images/s · 41 s left · 1 failed"""
    counts = state["images"]
    done = sum(counts.get(name, 0) for name in ("succeeded", "failed", "canceled"))
    said = [f"{done}/{counted(counts['total'], 'image')}"]
    if state.get("images_per_second"):
        said.append(f"{state['images_per_second']:.1f} images/s")
    if state["status"] == "queued" and state.get("queue_position"):
        said.append(f"{counted(state['queue_position'], 'job')} before it")
    if state.get("eta_seconds") and done < counts["total"]:
        said.append(f"{duration(state['eta_seconds'])} left")
    if state.get("waiting_for"):
        said.append(f"[yellow]stands still: waits for {state['waiting_for'].replace('_', ' ')}[/]")
    if counts.get("failed"):
        said.append(f"[red]{counts['failed']} failed[/]")
    return " · ".join(said)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._waiting: TaskID | None = progress.add_task("Waiting   ", total=None, numbers="")
        self._working: TaskID | None = None

    def show(self, job: JobHandle) -> None:
        numbers = progress_numbers(job.state)
        if job.status == "queued" and self._waiting is not None:
            self._progress.update(self._waiting, numbers=numbers)
            return
        if self._waiting is not None:
            self._progress.remove_task(self._waiting)
            self._waiting = None
        if self._working is None:
            self._working = self._progress.add_task("Segmenting", total=None, numbers="")
        total = max(1, job.total)
        self._progress.update(self._working, completed=job.finished_images, total=total, numbers=numbers)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def show(self, job: JobHandle) -> None:
        if job.finished or time.monotonic() >= self._next:
            self._next = time.monotonic() + QUIET_EVERY_S
            self._console.print(Text.from_markup(progress_numbers(job.state)), soft_wrap=True)
