"""What of README and docs is not run is checked as far as it can be without: names, options, syntax, imports."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import tomllib
from collections import Counter
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException

from maskmill.cli.app import app
from tests.architecture.source_files import ROOT
from tests.documentation.snippets import ELSEWHERE, Snippet, commands, kind_of, program_of, snippets, words_of

SHELL = [each for each in snippets() if each.language in ("bash", "console")]
COMMANDS = [(each.name, command) for each in SHELL if each.language == "bash" for command in commands(each)]


def of_program(*names: str) -> list[tuple[str, str]]:
    return [(where, command) for where, command in COMMANDS if program_of(command) in names]


def fault_of(words: list[str]) -> str | None:
    """What the command line says of these words; None when it would run them."""
    group: Any = typer.main.get_command(app)
    try:
        name, command, rest = group.resolve_command(typer.Context(group), words)
        while hasattr(command, "commands") and rest and rest[0] in command.commands:
            name, command, rest = command.resolve_command(typer.Context(command), rest)
        command.make_context(name, list(rest))
    except typer.Exit:  # of --help
        return None
    except TyperException as error:
        return str(getattr(error, "message", error))
    return None


def test_every_maskmill_command_is_one_that_the_command_line_takes(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = [(where, words_of(each)[1:]) for where, each in of_program("maskmill") if "maskmill compare …" not in each]
    assert len(given) > 50
    (tmp_path / "street.onnx").touch()
    wrong = {
        f"{where}: {' '.join(words)}": fault
        for where, words in given
        if "…" not in words and (fault := fault_of(words))
    }
    assert wrong == {}


def test_an_option_that_there_is_not_is_found() -> None:
    assert fault_of(["submit", "photos/", "--maks", "truth/"]) is not None
    assert fault_of(["jobs", "worst", "job_1", "--top", "many"]) is not None
    assert fault_of(["no-such-command"]) is not None


def test_every_module_that_is_started_exists() -> None:
    started = [words_of(command) for _, command in of_program("python", "celery", "torchrun")]
    modules = {words[words.index(flag) + 1] for words in started for flag in ("-m", "-A") if flag in words}
    assert {"api", "storage.migrate", "worker.tasks", "worker.web.webhook_tasks", "broker.app"} <= modules
    assert [each for each in modules if importlib.util.find_spec(each) is None] == []


def test_docker_compose_is_asked_for_services_and_profiles_that_there_are() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    profiles = {profile for each in services.values() for profile in each.get("profiles", ())}
    asked = [words_of(command)[2:] for _, command in of_program("docker") if words_of(command)[1] == "compose"]
    assert len(asked) > 5
    assert {words[words.index("--profile") + 1] for words in asked if "--profile" in words} <= profiles
    verbs = {"exec": 1, "stop": 99}
    named = {
        word
        for words in asked
        for word in [each for each in words[1:] if not each.startswith("-")][: verbs.get(words[0], 0)]
    }
    assert named <= services.keys()


def test_every_program_is_known() -> None:
    """What is neither run nor looked at is named here, so that a new page does not slip through."""
    ours = {"maskmill", "curl", "python", "celery", "make", "export", "jq", "size", ""}
    unknown = {(where, command) for where, command in COMMANDS if program_of(command) not in ours | ELSEWHERE}
    assert {each for each in unknown if not re.match(r"size=", each[1])} == set()


@pytest.mark.parametrize("snippet", [each for each in snippets() if each.language == "python"], ids=lambda s: s.name)
def test_a_snippet_of_python_imports_what_there_is(snippet: Snippet) -> None:
    tree = ast.parse(snippet.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert [each.name for each in node.names if not hasattr(module, each.name)] == []


@pytest.mark.parametrize(
    "snippet", [each for each in snippets() if each.language in ("json", "toml", "yaml")], ids=lambda s: s.name
)
def test_a_snippet_of_data_is_well_formed(snippet: Snippet) -> None:
    text = re.sub(r'(?<!")…(?!")', "", snippet.text) if "…" in snippet.text else snippet.text
    read = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}[snippet.language]
    read(text)


def test_it_is_known_how_many_are_run() -> None:
    """The rest is checked above; what runs on machines that are not this one is counted."""
    shell = [each for each in SHELL if each.language == "bash"]
    kinds = Counter(kind_of(each, command) for each in shell for command in commands(each))
    assert kinds["run"] >= 40
    assert kinds["elsewhere"] <= 40
