"""Rules of the house that a linter does not know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.source_files import PACKAGES, ROOT, nodes, project_files, python_files, tree

# The last line of defence of a process or a thread: what nobody foresaw is logged there and answered somehow.
MAY_CATCH_EVERYTHING = {
    "api/live/job_watch.py",
    "api/edge/request_id.py",
    "broker/lane.py",
    "broker/wakeups.py",
    "jobs/processing/heartbeat.py",
    "worker/beats.py",
    "worker/fair_executor.py",
    "worker/follower.py",
    "worker/watchdog.py",
    "worker/web/courier.py",
}
BROAD = {"Exception", "BaseException"}
# What other threads of the process, pytest's among them, ask as well.
EVERYBODYS = re.compile(
    r"\.setattr\(\s*\"?(?:asyncio|datetime|queue|random|secrets|signal|socket|threading|time|uuid)[.,]"
)
MAY_REPLACE_THEM = {"tests/integration/test_host_clocks.py"}  # whose subject is who asks that clock

TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".txt", ".cfg", ".ini", ".sh", ".html", ".example", ""}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|tmp/plan|Users/\w+)/")
VAGUE_NAMES = re.compile(r"^(utils?|helpers?|common|misc|manager|stuff)$")


def _catches_everything(node: ast.ExceptHandler) -> bool:
    if node.type is None:
        return True
    names = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(isinstance(name, ast.Name) and name.id in BROAD for name in names)


def _raises_again(node: ast.ExceptHandler) -> bool:
    """Cleaning up and passing the error on hides nothing."""
    last = node.body[-1]
    return isinstance(last, ast.Raise)


def test_only_the_last_line_of_defence_catches_everything() -> None:
    found = {
        f"{path}:{node.lineno}"
        for path in python_files(*PACKAGES)
        if str(path) not in MAY_CATCH_EVERYTHING
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and not _raises_again(node)
    }
    assert found == set()


def test_every_module_opens_with_what_it_is_and_what_it_leaves_to_others() -> None:
    sources = {path: tree(path) for path in python_files(*PACKAGES)}
    assert [str(path) for path, source in sources.items() if source.body and not ast.get_docstring(source)] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [
        str(path) for path in python_files(*PACKAGES) if any(VAGUE_NAMES.match(p) for p in path.with_suffix("").parts)
    ] == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    this = Path(__file__).resolve().relative_to(ROOT)  # names them to find them
    found = [
        f"{path}: {match.group()}"
        for path in project_files()
        if path.suffix in TEXT and path != this
        for match in MACHINE_PATHS.finditer((ROOT / path).read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_test_replaces_what_everybody_asks() -> None:
    """A clock that is given to one module is nobody else's: `setattr("api.metrics.time", SimpleNamespace(…))`."""
    found = [
        f"{path}: {match.group()}"
        for path in python_files("tests")
        if str(path) not in MAY_REPLACE_THEM
        for match in EVERYBODYS.finditer((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert found == []
