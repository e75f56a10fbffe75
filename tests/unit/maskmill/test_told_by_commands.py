"""What every command says of itself, and of a library that is not installed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from rich.text import Text

from maskmill.cli import main
from maskmill.cli.app import app
from maskmill.cli.exits import INTERRUPTED, REFUSED
from maskmill.cli.options import OF_THE_SERVICE, told
from maskmill.cli.output import print_json
from maskmill.cli.stack import try_it
from training.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("api", "broker", "data", "jobs", "scenes", "segmentation", "storage", "telemetry", "training", "worker")
IMPORT = re.compile(r"^\s*(?:from|import) ([A-Za-z]\w*)[.\w]*(?: import\b| as\b|,|$)", re.MULTILINE)
WITH_THE_CLIENT = ("anyio", "click", "httpx", "maskmill", "rich", "typer")


def _help(command: Any, path: str = "maskmill") -> Iterator[tuple[str, str]]:
    yield path, command.help or ""
    yield from ((f"{path} {each.name}", getattr(each, "help", None) or "") for each in command.params)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _help(inner, f"{path} {name}")


def test_help_is_shown_as_it_was_written() -> None:
    """It goes through rich, which makes a sign of `:ID:` and swallows `[words]`."""
    told_of = dict(_help(typer.main.get_command(app)))
    assert len(told_of) > 100
    assert {path: text for path, text in told_of.items() if Text.from_markup(text).plain != text} == {}


def test_every_library_of_the_service_is_one_that_may_be_missing() -> None:
    """Whichever of them a command meets first, it says what to install."""
    files = (file for part in PARTS for file in (ROOT / part).rglob("*.py"))
    imported = {name for file in files for name in IMPORT.findall(file.read_text(encoding="utf-8"))}
    assert "huggingface_hub" in imported
    assert imported - {*sys.stdlib_module_names, *OF_THE_SERVICE, *WITH_THE_CLIENT} == set()


def test_a_setting_that_cannot_be_used_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKMILL_TRAINING_WORKERS", "two")
    with pytest.raises(typer.Exit) as ended, told(as_json=False, needs="training"):
        TrainingSettings()
    assert ended.value.exit_code == REFUSED
    assert "TrainingSettings cannot be used: workers: Input should be a valid integer" in capsys.readouterr().err


def test_the_library_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, told(as_json=False, needs="training"):
        raise ModuleNotFoundError("No module named 'huggingface_hub'", name="huggingface_hub")
    assert ended.value.exit_code == REFUSED
    said = capsys.readouterr().err
    assert "this command needs huggingface_hub" in said
    assert "[training]'" in said


def test_the_start_says_how_another_terminal_finds_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere, url = tmp_path / "home", "http://127.0.0.1:9000"
    assert f" --server {url} " in try_it(url, elsewhere)
    assert "--server" not in try_it(url, tmp_path / ".maskmill")
    assert "--server" not in try_it("http://127.0.0.1:8008", elsewhere)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_what_cannot_be_written_is_told_on_the_other_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with --json, and where little was written, which the interpreter alone would meet at its end."""
    for ends in (lambda: None, lambda: (_ for _ in ()).throw(typer.Exit(0))):
        out = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(typer.Exit) as ended, told(as_json=True, needs="training"):
            out.write("{}")
            ends()
        assert ended.value.exit_code == REFUSED
        assert "No space left on device" in capsys.readouterr().err
        with contextlib.suppress(OSError):
            out.close()


def test_json_is_json_where_stdout_has_not_all_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", errors="backslashreplace"))
    print_json({"name": "straße-日"})
    sys.stdout.flush()
    assert json.loads(written.getvalue()) == {"name": "straße-日"}


def test_ctrl_c_while_a_command_is_being_loaded_ends_it_as_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loading(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "maskmill.cli.app", Loading("app"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == INTERRUPTED
