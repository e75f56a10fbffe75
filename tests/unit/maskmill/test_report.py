"""`maskmill report` writes into a folder of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from maskmill.demo.material import Material
from maskmill.demo.page import Terms, write_page
from maskmill.handle import Image, JobHandle
from segmentation.label_spaces import get_label_space


def test_a_report_touches_nobody_elses_files(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    refused = run("report", "job_1", "--out", folder)
    assert refused.exit_code != 0
    assert "holds other files" in refused.stderr


def test_a_job_of_several_models_is_shown_with_the_overlay_of_each(tmp_path: Path) -> None:
    for model in ("fast", "accurate"):
        (tmp_path / "overlay" / model).mkdir(parents=True)
        (tmp_path / "overlay" / model / "a.jpg").write_bytes(b"")
    counts = {"succeeded": 1}
    state = {"models": ["fast", "accurate"], "model": "fast"}
    job = SimpleNamespace(state=state, metrics={}, counts=counts, total=1)
    image = SimpleNamespace(name="a.jpg", index=0, status="succeeded", metrics={}, row={}, error=None, work_ms=None)
    shown = [cast(Image, image)]
    terms = Terms(space=get_label_space("cityscapes-19"))
    page = write_page(tmp_path, cast(JobHandle, job), shown, Material(pictures=[]), terms).read_text("utf-8")
    assert "1 picture by fast and accurate" in page
    assert [f'href="overlay/{model}/a.jpg"' in page for model in ("fast", "accurate")] == [True, True]
    assert ">overlay by accurate</a>" in page
