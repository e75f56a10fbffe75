"""Who may import whom: import-linter's contracts, no cycles, and what each entrance loads when it is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.source_files import PACKAGES, ROOT, python_files, tree

# Third-party top-level modules that the inner packages may import; the standard library is always allowed.
ALLOWED = {"segmentation": {"numpy", "PIL"}, "jobs": set[str](), "data": set[str](), "scenes": {"numpy", "PIL"}}
HEAVY = ("torch", "torchvision", "onnxruntime", "onnx", "openvino", "cv2", "transformers", "mlflow", "timm")


def test_imports_point_downwards() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ALLOWED)
def test_the_centre_uses_the_standard_library_and_little_else(package: str) -> None:
    allowed = ALLOWED[package] | set(PACKAGES) | sys.stdlib_module_names
    strangers = {
        f"{path}: {name}"
        for path in python_files(package)
        for name in _imported(path)
        if name.partition(".")[0] not in allowed
    }
    assert strangers == set()


def test_no_modules_import_one_another_in_a_circle() -> None:
    modules = {_module_name(path): path for path in python_files(*PACKAGES)}
    graph = {
        name: {found for imported in _imported(path, at_run_time=True) if (found := _known(imported, modules)) != name}
        for name, path in modules.items()
    }
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    "module",
    ["api.main", "storage", "broker.app", "jobs.submitting.submit", "segmentation.formats", "worker.web.webhook_tasks"],
)
def test_what_serves_requests_imports_without_the_libraries_that_run_models(module: str) -> None:
    beside = ("psycopg", "minio", "httpx") if module == "api.main" else ("psycopg",)  # for the time they take
    _import_without(module, (*HEAVY, *beside))


@pytest.mark.parametrize("module", ["worker.tasks", "maskmill.local", "maskmill.demo.story", "maskmill.doctor"])
def test_what_make_demo_installs_is_enough_for_the_local_stack(module: str) -> None:
    _import_without(module, ("torch", "torchvision", "transformers", "timm", "onnx", "mlflow", "scipy", "safetensors"))


def test_the_client_costs_httpx_and_nothing_more() -> None:
    _import_without(
        "maskmill", (*HEAVY, "fastapi", "celery", "sqlalchemy", "pydantic", "numpy", "PIL", "typer", "rich")
    )


def _import_without(module: str, absent: tuple[str, ...]) -> None:
    """Import in a fresh interpreter in which the `absent` modules cannot be imported."""
    program = f"import sys\nfor name in {absent!r}: sys.modules[name] = None\nimport {module}\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _known(imported: str, modules: dict[str, Path]) -> str:
    """`package.module.name` is the module when `name` is something inside it."""
    return imported if imported in modules else imported.rpartition(".")[0]


def _imported(path: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """Dotted names; with `at_run_time` only those that importing the module imports."""
    nodes: list[ast.AST] = [tree(path)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (at_run_time and _runs_later(node)):
            nodes.extend(ast.iter_child_nodes(node))


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return True
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
