"""The repository as the architecture tests see it: tracked and new source files, parsed once."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("segmentation", "jobs", "data", "scenes", "storage", "broker", "telemetry"),
    *("api", "worker", "training", "maskmill", "dashboard"),
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that git tracks or would track, relative to the repository's root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(Path(name) for name in sorted(set(listing.split("\0"))) if name and (ROOT / name).is_file())


def python_files(*folders: str) -> list[Path]:
    return [path for path in project_files() if path.suffix == ".py" and path.parts[0] in folders]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of the file's tree."""
    return tuple(ast.walk(tree(path)))


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """lines: from `def` to the last, signature and docstring included; parameters: without self or cls."""

    where: str
    lines: int
    parameters: int


def functions(path: Path) -> Iterator[FunctionSize]:
    for node in nodes(path):
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield FunctionSize(f"{path}:{node.lineno} {node.name}", lines, _parameters(node))


def _parameters(node: Function) -> int:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args]
    own = 1 if named and named[0].arg in ("self", "cls") else 0
    return len(named) - own + len(arguments.kwonlyargs)
