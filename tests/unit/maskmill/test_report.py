"""`maskmill report` writes into a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_a_report_touches_nobody_elses_files(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    refused = run("report", "job_1", "--out", folder)
    assert refused.exit_code != 0
    assert "holds other files" in refused.stderr
