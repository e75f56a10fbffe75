"""The notebooks of docs/ run from top to bottom, and are kept without what they printed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.architecture.source_files import ROOT
from tests.stack import NO_RACE

# As `jupyter execute` does it, but by sockets that are files: a free port may be taken before the kernel has it.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

notebook = nbformat.read(sys.argv[1], as_version=4)
files = Config({"KernelManager": {"transport": "ipc"}})
NotebookClient(notebook, timeout=600, kernel_name="python3", config=files).execute()
nbformat.write(notebook, sys.argv[2])
"""
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_is_one() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["learn-from-corrections"]


@EACH
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    kept = [cell.id for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
    assert kept == []


@pytest.fixture
def sockets() -> Iterator[str]:
    """A folder with a short path: the name of a socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@EACH
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, mlflow_template: Path, sockets: str) -> None:
    """In a kernel of its own, which starts a service of its own; nothing is fetched."""
    notebook = Path(shutil.copy(path, tmp_path))
    home = tmp_path / "corrections" / ".maskmill"
    home.mkdir(parents=True)
    shutil.copyfile(mlflow_template, home / "mlflow.db")  # its tables take seconds to make
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKMILL_")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": sockets,
        "MASKMILL_WORKER_FOLLOW_EVERY_S": "1",
        "MASKMILL_WORKER_PRECISION": NO_RACE["MASKMILL_WORKER_PRECISION"],
    }
    command = [sys.executable, "-c", EXECUTE, notebook.name, "done.ipynb"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=850, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-6000:]
    assert "comparison.html" in {each.name for each in (tmp_path / "corrections").iterdir()}
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    shown = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("text/html" in output.get("data", {}) for output in shown) >= 4  # jobs, a table, a picture
    assert [output for output in shown if output.output_type == "error"] == []
