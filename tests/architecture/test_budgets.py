"""How large things may grow before somebody has to cut them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.source_files import PACKAGES, ROOT, FunctionSize, functions, python_files

FILE_LINES = 400
FUNCTION_LINES = 50
USUAL_FUNCTION_LINES = 25
USUAL_SHARE = 0.9
PARAMETERS = 6

SOURCES = python_files(*PACKAGES, "benchmarks", "deploy", "migrations", "tests")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_file_stays_short_enough_to_be_read_at_once(path: Path) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= FILE_LINES


def _all_functions() -> list[FunctionSize]:
    return [function for path in python_files(*PACKAGES) for function in functions(path)]


def test_no_function_is_longer_than_a_screen() -> None:
    assert [f"{f.where}: {f.lines} lines" for f in _all_functions() if f.lines > FUNCTION_LINES] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_nine_functions_in_ten_are_short(package: str) -> None:
    sizes = [function for path in python_files(package) for function in functions(path)]
    long = [f"{f.where}: {f.lines} lines" for f in sizes if f.lines > USUAL_FUNCTION_LINES]
    assert len(long) <= (1 - USUAL_SHARE) * len(sizes), "\n".join(long)


def test_no_function_takes_more_than_six_parameters() -> None:
    assert [f"{f.where}: {f.parameters}" for f in _all_functions() if f.parameters > PARAMETERS] == []
