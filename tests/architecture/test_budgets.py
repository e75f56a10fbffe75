"""How large things may grow before somebody has to cut them."""

from __future__ import annotations

from collections import Counter

from tests.architecture.source_files import PACKAGES, ROOT, FunctionSize, functions, project_files, python_files

FILE_LINES = 400
FUNCTION_LINES = 50
USUAL_FUNCTION_LINES = 25
USUAL_SHARE = 0.9
PARAMETERS = 6
OPTIONS_OF_A_RECIPE = {"coco", "fpn", "voc"}  # builders that are called by keywords, which are keys of recipes
FILES_IN_A_FOLDER = 12  # beside __init__.py

FOLDERS = (*PACKAGES, "benchmarks", "deploy", "migrations", "tests")
# A file per entry of a registry or per story told to one reader after the other: these grow with what there is.
ONE_FILE_EACH = {"data/samples", "migrations/versions", "segmentation/formats", "training/datasets", "training/models"}


def test_a_file_stays_short_enough_to_be_read_at_once() -> None:
    scripts = [path for path in project_files() if path.suffix == ".js" and path.parts[0] in FOLDERS]
    assert scripts
    files = [*python_files(*FOLDERS), *scripts]
    sizes = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in files}
    assert {str(path): lines for path, lines in sizes.items() if lines > FILE_LINES} == {}


def test_a_folder_shows_at_most_a_dozen_files_at_one_level() -> None:
    shown = [path for path in project_files() if path.parts[0] in FOLDERS and path.name != "__init__.py"]
    sizes = Counter(str(path.parent) for path in shown if path.parts[0] != "tests")
    crowded = {folder: files for folder, files in sizes.items() if files > FILES_IN_A_FOLDER}
    assert crowded.keys() - ONE_FILE_EACH == set(), crowded


def _all_functions() -> list[FunctionSize]:
    return [function for path in python_files(*PACKAGES) for function in functions(path)]


def test_no_function_is_longer_than_a_screen() -> None:
    assert [f"{f.where}: {f.lines} lines" for f in _all_functions() if f.lines > FUNCTION_LINES] == []


def test_nine_functions_in_ten_of_each_package_are_short() -> None:
    assert {package: long for package in PACKAGES if (long := _too_many_long(package))} == {}


def _too_many_long(package: str) -> list[str]:
    """Empty when there are not too many."""
    sizes = [function for path in python_files(package) for function in functions(path)]
    long = [f"{f.where}: {f.lines} lines" for f in sizes if f.lines > USUAL_FUNCTION_LINES]
    return long if len(long) > (1 - USUAL_SHARE) * len(sizes) else []


def test_no_function_takes_more_than_six_parameters() -> None:
    many = [f for f in _all_functions() if f.parameters > PARAMETERS]
    assert [f"{f.where}: {f.parameters}" for f in many if f.where.rpartition(" ")[2] not in OPTIONS_OF_A_RECIPE] == []
