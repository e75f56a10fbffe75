"""The page of the HTTP API: every rule names the tests that hold it, and every route is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from api.main import create_app
from tests.architecture.source_files import ROOT, tree

PAGE = ROOT / "docs" / "api.md"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def rules() -> list[str]:
    return [line for line in CODE.sub("", page()).splitlines() if line.startswith("- ")]


@cache
def names_in(path: str) -> frozenset[str]:
    if not (ROOT / "tests" / path).is_file():
        return frozenset()
    source = tree(Path("tests") / path)
    return frozenset(
        node.name for node in ast.walk(source) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )


def test_every_rule_names_a_test() -> None:
    assert len(rules()) > 80
    assert [rule for rule in rules() if not NAMED.search(rule)] == []


def test_every_named_test_exists() -> None:
    named = NAMED.findall(page())
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []


def test_every_route_is_on_the_page() -> None:
    document = create_app(compat=True).openapi()
    routes = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    assert [route for route in routes if f"`{route}`" not in page()] == []


def test_every_code_on_the_page_is_one_that_the_document_knows() -> None:
    table = [line for line in page().splitlines() if re.match(r"\| \d{3}", line)]
    codes = set(re.findall(r"`([a-z_]+)`", " ".join(table)))
    known = str(create_app(compat=True).openapi())
    assert len(codes) > 20
    before_all_routes = {"unknown_host"}
    assert [code for code in codes - before_all_routes if f"'{code}'" not in known] == []
