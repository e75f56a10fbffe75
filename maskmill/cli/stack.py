"""Commands of this machine: up, down, demo, doctor, backup, restore."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from maskmill.cli.address import local_home
from maskmill.cli.exits import DONE, REFUSED
from maskmill.cli.options import JsonOption
from maskmill.cli.output import counted, print_json, program, stderr, stdout
from maskmill.client import DEFAULT_SERVER
from maskmill.errors import StackError
from maskmill.installed import how_to_install

if TYPE_CHECKING:
    from maskmill.local import LocalStack
    from maskmill.stack.supervisor import Notice


PAGE_TRIES = 150  # a fifth of a second each
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ELSEWHERE = (
    "database or objects are elsewhere ({settings}): copy them with their own tools, the database first "
    "(docs/reliability.md)"
)
HOME_HELP = "Folder of everything local; else MASKMILL_HOME or ./.maskmill."


class LogFormat(str, Enum):  # noqa: UP042 - Python 3.10 has no StrEnum
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class HomeOption(JsonOption):
    home: Annotated[Path | None, typer.Option(help=HOME_HELP, metavar="DIR")] = None

    @property
    def local_folder(self) -> Path:
        """Where everything local lies, from the root."""
        return (self.home or local_home()).expanduser().absolute()


@dataclass(frozen=True, kw_only=True)
class Up(HomeOption):
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=64)] = 1
    host: Annotated[
        str,
        typer.Option(
            envvar="MASKMILL_API_HOST", help="Where the API listens; beyond this machine it needs a key (see: keys)."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        typer.Option(envvar="MASKMILL_API_PORT", help="Port of the API; 0: any free one.", max=65535),
    ] = 8008
    engine: Annotated[str | None, typer.Option(help="openvino, onnxruntime or torch; else the best there is.")] = None
    log_format: Annotated[
        LogFormat | None, typer.Option(help="How the parts write their logs: sentences, or one JSON object a line.")
    ] = None
    flower: Annotated[
        bool, typer.Option("--flower/--no-flower", help="Start Flower too, whose pages show queues, workers and tasks.")
    ] = True
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Start MLflow's pages too, to look at runs and registered models.")
    ] = False
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="The page to look at masks, where it is installed.")
    ] = True
    dashboard_port: Annotated[
        int, typer.Option(envvar="MASKMILL_DASHBOARD_PORT", help="Port of the page; 0: any free one.", max=65535)
    ] = 8009
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False


def up(choices: Up) -> None:
    """Start API, worker, scheduler, webhooks and broker on this machine, and keep them running until Ctrl-C."""
    from maskmill.local import Patience, StackOptions, running_stack

    screen = _Screen(choices.as_json)
    options = StackOptions(
        home=choices.home or local_home(),
        host=choices.host,
        port=choices.port,
        workers=choices.workers,
        flower=choices.flower,
        mlflow=choices.mlflow,
        dashboard_port=choices.dashboard_port if choices.dashboard else None,
        engine=choices.engine,
        log_format=choices.log_format and choices.log_format.value,
    )
    with _asked_to_stop() as asked:
        patience = Patience(interrupted=lambda: asked() > 0, hurry=lambda: asked() > 1)
        with running_stack(options, screen.notice, patience) as stack:
            if not asked():
                screen.ready(stack)
                _open(choices, stack)
            stack.tend_until(patience.interrupted)
            screen.stopping()
    screen.stopped()


def _open(choices: Up, stack: LocalStack) -> None:
    """The page's process may need some seconds more: a thread waits for it, and nobody else does."""
    address = stack.dashboard_url
    if not choices.open_page or address is None:
        return

    def wait_and_open() -> None:
        import webbrowser

        from maskmill.stack.broker import LOOPBACK

        for _ in range(PAGE_TRIES):
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, stack.dashboard_port or 0), 1.0):
                webbrowser.open(address)
                return
            time.sleep(0.2)

    threading.Thread(target=wait_and_open, name="maskmill-open", daemon=True).start()


def down(choices: HomeOption) -> None:
    """Stop the local stack of this folder and wait until it has ended."""
    from maskmill.stack.home import StackHome

    home = StackHome(choices.local_folder)
    noted = home.running()
    if noted is not None:
        os.kill(noted["pid"], signal.SIGTERM)
        while home.running() is not None:
            time.sleep(0.1)
    if choices.as_json:
        print_json({"stopped": None if noted is None else noted["url"]})
    else:
        stdout().print("no local stack runs here" if noted is None else f"{noted['url']} is stopped")


@dataclass(frozen=True, kw_only=True)
class Demo(HomeOption):
    images: Annotated[Path | None, typer.Option(help="A folder of your own instead of the samples.")] = None
    masks: Annotated[Path | None, typer.Option(help="Ground truth of these images.")] = None
    mask_label_space: Annotated[
        str | None, typer.Option(help="What the ids in the masks mean; else it is guessed.", metavar="NAME")
    ] = None
    limit: Annotated[int | None, typer.Option(help="The first so many images alone.", min=1)] = None
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("demo")
    keep: Annotated[bool, typer.Option("--keep", help="Keep the job in the demo's home afterwards.")] = False
    open_page: Annotated[bool, typer.Option("--open", help="Open what it made in the browser.")] = False


def demo(choices: Demo) -> None:
    """Run the whole path once: start the stack, submit the samples, show metrics and pictures, stop."""
    from maskmill.demo.story import DemoOptions, tell

    options = DemoOptions(
        images=choices.images,
        masks=choices.masks,
        mask_label_space=choices.mask_label_space,
        limit=choices.limit,
        out=choices.out,
        home=choices.home or local_home() / "demo",
        keep=choices.keep,
    )
    summary = tell(options, stderr() if choices.as_json else stdout())
    if choices.as_json:
        print_json(summary)
    if choices.open_page:
        import webbrowser

        webbrowser.open(Path(summary["page"]).absolute().as_uri())
    raise typer.Exit(DONE if summary["status"] == "succeeded" else REFUSED)


def doctor(choices: HomeOption) -> None:
    """Say what is installed, what runs, what is missing and how to mend it."""
    from maskmill.doctor import examine

    findings = examine(choices.home or local_home())
    if choices.as_json:
        print_json(findings.as_dict())
    else:
        findings.show(stdout())
    raise typer.Exit(DONE if findings.well else REFUSED)


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], int]]:
    """Counts how often we were asked to stop: Ctrl-C, a plain kill, a closed terminal (unless under nohup)."""
    asked = 0

    def ask(*_: object) -> None:
        nonlocal asked
        asked += 1

    wanted = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in wanted}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Screen:
    """What `up` says: sentences, or one JSON object per line."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console: Console = stdout()

    def notice(self, notice: Notice) -> None:
        if self._as_json:
            self._line(event=notice.kind, part=notice.part, text=notice.text)
            return
        style = {"died": "yellow", "killed": "yellow", "again": "green", "leftover": "yellow", "mended": "yellow"}.get(
            notice.kind, "dim"
        )
        self._console.print(Text(notice.text, style=style), soft_wrap=True)

    def ready(self, stack: LocalStack) -> None:
        if self._as_json:
            pages = {"flower": stack.flower_url, "mlflow": stack.mlflow_url, "dashboard": stack.dashboard_url}
            self._line(event="ready", url=stack.url, home=str(stack.home.root), **pages)
            return
        say = self._console.print
        say(
            Text.assemble(
                "\n", ("Maskmill is ready: ", "bold green"), (stack.url, "bold"), (" (docs under /docs)", "dim")
            )
        )
        if stack.dashboard_url:
            say(f"Look at masks in the browser: {stack.dashboard_url}")
        elif stack.options.dashboard_port is not None:
            say(f"A page to look at masks comes with: {how_to_install('dashboard')}", style="dim", soft_wrap=True)
        if stack.flower_url:
            say(f"Flower shows the queue: {stack.flower_url}")
        if stack.mlflow_url:
            say(f"MLflow shows runs and models: {stack.mlflow_url}")
        say(Text(f"Logs: {stack.home.logs}"), soft_wrap=True)
        say(f"Try it from another terminal:  {try_it(stack.url, stack.home.root)}", soft_wrap=True)
        say("Stop it with Ctrl-C.\n")

    def stopping(self) -> None:
        if self._as_json:
            self._line(event="stopping")
        else:
            self._console.print("\nStopping; what runs is finished first. Ctrl-C again stops at once.")

    def stopped(self) -> None:
        if self._as_json:
            self._line(event="ended")
        else:
            self._console.print("Stopped. Jobs and results stay until the next start.")

    def _line(self, **values: object) -> None:
        print(json.dumps(values), flush=True)


@dataclass(frozen=True, kw_only=True)
class BackupOptions(HomeOption):
    file: Annotated[Path, typer.Argument(help="The backup, a TAR file.", metavar="FILE", show_default=False)]


def backup(choices: BackupOptions) -> None:
    """Write database, objects, models and label spaces of a local stack into one file; the stack may run meanwhile."""
    from maskmill.stack.backup import write_backup

    count = write_backup(_local_home(choices), choices.file.expanduser().absolute())
    if choices.as_json:
        print_json({"file": str(choices.file), "files": count, "bytes": choices.file.stat().st_size})
    else:
        stdout().print(f"{choices.file}: {counted(count, 'file')}", soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class RestoreOptions(BackupOptions):
    keep_days: Annotated[
        int | None,
        typer.Option(
            help="Keep jobs that have expired since for so many days from now on; else the first start deletes them.",
            min=1,
            max=36500,
        ),
    ] = None


def restore(choices: RestoreOptions) -> None:
    """Make a local stack's folder from a backup; it must not have a database yet."""
    from maskmill.stack.backup import read_backup

    home = _local_home(choices)
    files, expired = read_backup(choices.file.expanduser().absolute(), home, keep_days=choices.keep_days)
    if choices.as_json:
        since = None if expired.since is None else expired.since.isoformat().replace("+00:00", "Z")
        about = {"jobs": expired.jobs, "since": since, "kept_days": choices.keep_days}
        print_json({"home": str(home), "files": files, "expired": about})
        return
    say = partial(stdout().print, soft_wrap=True)
    start = f"{program()} up --home {shlex.quote(str(home))}"
    if expired.since is None:
        say(f"{home}: {counted(files, 'file')}. Start it: {start}")
        return
    told = f"{expired.jobs} of its {counted(expired.of, 'job')} expired since {expired.since:%Y-%m-%d %H:%M} UTC"
    if choices.keep_days is not None:
        say(f"{home}: {counted(files, 'file')}. Start it: {start}")
        say(f"{told}; they are kept for {counted(choices.keep_days, 'more day')}.")
        return
    say(f"{home}: {counted(files, 'file')}. {told}: the first start deletes them, with their results.")
    say("To keep them, restore into another home: --home OTHER --keep-days 30")
    say(f"Else start it: {start}")


def _local_home(choices: BackupOptions) -> Path:
    """Raises StackError where the settings name other places than files at home."""
    from storage.settings import StorageSettings

    home = choices.local_folder
    settings = StorageSettings(home=home)
    named = {
        "MASKMILL_STORAGE_DATABASE_URL": settings.database_url,
        "MASKMILL_STORAGE_OBJECTS_URL": settings.s3_bucket,
    }
    if elsewhere := [name for name, value in named.items() if value]:
        raise StackError(ELSEWHERE.format(settings=" and ".join(elsewhere)))
    return home


def try_it(url: str, home: Path) -> str:
    """What another terminal in this folder may type; commands there look for a stack in ./.maskmill alone."""
    is_found = home == Path(".maskmill").absolute() or url == DEFAULT_SERVER
    return f"{program()} submit PATHS… {'' if is_found else f'--server {url} '}--wait --download results"
