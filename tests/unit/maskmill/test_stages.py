"""What a person sees of a job on a terminal: one bar for each stage, the page where there is one, completed words."""

from __future__ import annotations

import io
import json
import os
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.output import fetching, sending, submitting, working
from maskmill.handle import JobHandle
from maskmill.transport import Transport
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json

JobState = Callable[..., dict[str, Any]]
Run = Callable[..., Result]


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def said(terminal: Console) -> str:
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


def seen(state: dict[str, Any]) -> JobHandle:
    return JobHandle(Transport.__new__(Transport), state)


def test_waiting_and_segmenting_have_a_bar_each(terminal: Console, job_state: JobState) -> None:
    waits = seen({**job_state("queued"), "queue_position": 3})
    with working(terminal) as show:
        show(waits)
        show(seen(job_state("running", done=1)))
        show(seen(job_state("succeeded", done=4)))
    last = said(terminal).rsplit("\r", 1)[-1]
    assert "Segmenting" in last
    assert "4/4 images" in last
    assert "Waiting" not in last


def test_a_job_that_waits_says_how_many_are_before_it(terminal: Console, job_state: JobState) -> None:
    waits = seen({**job_state("queued"), "queue_position": 3})
    with working(terminal) as show:
        show(waits)
    assert "Waiting" in said(terminal)
    assert "3 jobs before it" in said(terminal)


@pytest.mark.parametrize(("bar", "label"), [(sending, "Sending"), (fetching, "Fetching")])
def test_bytes_that_go_or_come_have_a_bar(terminal: Console, bar: Any, label: str) -> None:
    with bar(terminal) as tell:
        tell(500_000, 1_000_000)
    assert label in said(terminal)
    assert "0.5/1.0 MB" in said(terminal)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    addresses: list[str] = []

    def open_page(address: str) -> bool:
        addresses.append(address)
        return "no-browser" not in address

    monkeypatch.setattr(webbrowser, "open", open_page)
    return addresses


@pytest.fixture
def local(server: ToyServer, tmp_path: Path, job_state: JobState) -> Callable[..., None]:
    """The scripted server is the local stack of the folder."""
    server.on("POST", "/jobs", as_json(job_state(), 202))

    def note(**more: Any) -> None:
        noted = tmp_path / ".maskmill" / "run" / "up.json"
        noted.parent.mkdir(parents=True)
        noted.write_text(json.dumps({"url": server.url, "pid": os.getpid(), **more}))

    return note


def test_a_job_is_opened_on_the_page_of_the_local_stack(
    run: Run, picture: Path, local: Callable[..., None], opened: list[str]
) -> None:
    local(dashboard="http://127.0.0.1:8009")
    assert run("submit", picture, "--open").exit_code == 0
    assert opened == ["http://127.0.0.1:8009/?job=job_1"]


def test_where_no_browser_opens_the_address_is_said(
    run: Run, picture: Path, local: Callable[..., None], opened: list[str]
) -> None:
    local(dashboard="http://no-browser")
    assert "the job is on http://no-browser/?job=job_1" in run("submit", picture, "--open").stderr


@pytest.mark.parametrize("noted", [{"dashboard": None}, {"dashboard": "http://127.0.0.1:8009", "url": "http://other"}])
def test_where_there_is_no_page_it_is_said_how_to_get_one(
    run: Run,
    picture: Path,
    local: Callable[..., None],
    opened: list[str],
    noted: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local(**noted)
    ended = run("submit", picture, "--open")
    assert (ended.exit_code, opened) == (0, [])
    assert "maskmill up --open" in ended.stderr
    monkeypatch.setattr("maskmill.cli.jobs.dashboard_is_here", lambda: False)
    assert "[dashboard]" in run("submit", picture, "--open").stderr


def test_a_download_tells_its_bytes(server: ToyServer, job_state: JobState, run: Run, tmp_path: Path) -> None:
    from maskmill import Maskmill

    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    server.on("GET", "/jobs/job_1/archive", Answer(200, b"z" * 3000))
    told: list[tuple[int, int | None]] = []
    with Maskmill(server.url) as client:
        client.job("job_1").download(
            tmp_path, unpacked=False, on_received=lambda size, total: told.append((size, total))
        )
    assert told[-1] == (3000, 3000)


@pytest.mark.parametrize(("words", "offered"), [("maskmill sub", "submit"), ("maskmill submit --artif", "--artifacts")])
def test_a_shell_completes_commands_and_options(words: str, offered: str) -> None:
    """As the script does that `maskmill --install-completion` puts in place."""
    asked = {"_MASKMILL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    assert offered in CliRunner().invoke(app, [], env=asked, prog_name="maskmill").stdout.split()


def test_what_the_demo_made_is_opened_when_asked(
    run: Run, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = {"status": "succeeded", "page": "demo/index.html"}
    monkeypatch.setattr("maskmill.demo.story.tell", lambda options, console: summary)
    assert (run("demo").exit_code, opened) == (0, [])
    assert run("demo", "--open").exit_code == 0
    assert opened == [(tmp_path / "demo" / "index.html").as_uri()]


@pytest.mark.parametrize(
    ("sent", "is_named", "told"),
    [
        ((3, 10), False, "Nothing was submitted."),
        (None, False, "Nothing was submitted."),
        ((10, 10), False, "the job may be there"),  # while the answer is waited for
        (None, True, "the job may be there"),
    ],
)
def test_who_interrupts_is_told_whether_a_job_may_be_there(
    sent: tuple[int, int] | None, is_named: bool, told: str
) -> None:
    file = io.StringIO()
    console = Console(file=file)
    with pytest.raises(typer.Exit) as ended, submitting(console, is_named=is_named) as on_sent:
        if sent is not None:
            on_sent(*sent)
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert told in file.getvalue()
