"""What `make bench` runs: each benchmark is in the list or apart, and takes the options that make it short."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import APART, BENCHMARKS, ROOT
from benchmarks.record import ELSEWHERE, RESULTS, record

PROGRAM = re.compile(r'^if __name__ == "__main__":', re.MULTILINE)
OTHERS = {"peers.fastapi_pool", "peers.litserve_pool", "pages", "__main__"}  # programs that measure nothing


def source(name: str) -> str:
    spec = find_spec(f"benchmarks.{name}")
    assert spec is not None
    path = Path(spec.origin or "")
    return (path.with_name("__main__.py") if path.name == "__init__.py" else path).read_text("utf-8")


def programs() -> set[str]:
    folder = ROOT / "benchmarks"
    paths = [path for path in folder.rglob("*.py") if PROGRAM.search(path.read_text("utf-8"))]
    names = {path.relative_to(folder).with_suffix("").as_posix().replace("/", ".") for path in paths}
    return {name.removesuffix(".__main__") for name in names if "quickstarts" not in name}


def commands(*arguments: str) -> list[str]:
    """What make would run."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    done = subprocess.run(
        ["make", "--dry-run", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [line.strip() for line in done.stdout.splitlines() if "-m benchmarks" in line]


def test_every_benchmark_is_in_the_list_or_apart() -> None:
    assert programs() - OTHERS == set(BENCHMARKS) | set(APART)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_makes_a_benchmark_short_are_options_of_it(name: str) -> None:
    options = re.findall(r'add_argument\("(--[a-z-]+)"', source(name))
    assert [each for each in BENCHMARKS[name].split() if each.startswith("--") and each not in options] == []


def test_make_runs_all_benchmarks_or_the_one_that_is_named() -> None:
    assert commands() == [".venv/bin/python -m benchmarks"]
    for name in BENCHMARKS:
        assert commands(f"ONE={name}") == [f".venv/bin/python -m benchmarks {name}"]


def test_a_benchmark_that_there_is_not_is_told_with_those_that_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "unknown benchmark nothing; there are pipeline, latency" in done.stderr


def test_figures_of_a_short_form_leave_the_kept_ones_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ELSEWHERE, str(tmp_path))
    assert record("receiving/nothing", "what?", {"images": 1}) == tmp_path / "receiving" / "nothing.json"
    assert not (RESULTS / "receiving" / "nothing.json").exists()
