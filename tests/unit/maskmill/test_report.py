"""`maskmill report` writes into a folder of its own."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from maskmill.demo.files import Files, archived_names
from maskmill.demo.material import Material
from maskmill.demo.page import Terms, write_page
from maskmill.handle import JobHandle
from maskmill.image import Image
from segmentation.label_spaces import get_label_space
from tests.factories import mask
from tests.unit.maskmill.test_images_cli import JobState, Run
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem


def test_a_report_touches_nobody_elses_files(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    refused = run("report", "job_1", "--out", folder)
    assert refused.exit_code != 0
    assert "holds other files" in refused.stderr


def test_a_second_report_takes_the_place_of_the_first_and_of_nothing_else(
    run: Run, server: ToyServer, job_state: JobState, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("manifest.json", '{"job": "job_1"}')
    more = {"options": {"artifacts": ["mask"]}, "label_space": "cityscapes-19", "models": ["fast", "accurate"]}
    for job in ("job_1", "job_2"):
        server.on("GET", f"/jobs/{job}", as_json({**job_state("succeeded", done=4), **more, "id": job}))
    server.on("GET", "/jobs/job_1/archive", Answer(200, packed.getvalue()))
    server.on("GET", "/jobs/job_1/images", as_json({"items": [], "next_cursor": None}))
    server.on("GET", "/models", as_json({"items": []}))
    out = tmp_path / "page"
    assert run("report", "job_1", "--out", out).exit_code == 0
    (out / "index.html").write_text("of before")
    (out / "pictures").mkdir()
    (out / "notes.txt").write_text("mine")
    assert run("report", "job_1", "--out", out).exit_code == 0
    assert "<html" in (out / "index.html").read_text()
    assert ((out / "pictures").exists(), (out / "notes.txt").read_text()) == (False, "mine")
    refused = run("report", "job_2", "--out", out)
    assert (refused.exit_code != 0, "holds the report of job_1" in refused.stderr) == (True, True)


def test_a_job_with_an_export_is_shown_by_its_artifacts(run: Run, server: ToyServer, job_state: JobState) -> None:
    """What its archive holds without a word is the export, which has neither overlays nor numbers."""
    options = {"artifacts": ["overlay", "mask"], "export": {"name": "cvat"}}
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded", done=4), "options": options}))
    server.on("GET", "/jobs/job_1/archive", problem(409, "job_not_finished"))
    assert run("report", "job_1").exit_code != 0
    (request,) = server.seen("GET", "/jobs/job_1/archive")
    assert request.query == {"artifacts": "overlay,mask,metrics,corrected"}


def test_what_the_service_has_lost_keeps_nobody_from_the_rest(
    run: Run, server: ToyServer, job_state: JobState, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("files_missing.csv", "file,message\nmask/a.png,gone\n")
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded", done=4), "options": {"artifacts": ["mask"]}}))
    server.on("GET", "/jobs/job_1/archive", problem(404, "object_not_found"), Answer(200, packed.getvalue()))
    server.on("GET", "/jobs/job_1/images", problem(409, "enough"))
    assert "without 1 file that the service has lost: files_missing.csv says which" in run("report", "job_1").stderr
    assert server.seen("GET", "/jobs/job_1/archive")[1].query["without_lost"] == "true"


def test_a_job_of_several_models_is_shown_with_the_overlay_of_each(tmp_path: Path) -> None:
    for model in ("fast", "accurate"):
        (tmp_path / "overlay" / model).mkdir(parents=True)
        (tmp_path / "overlay" / model / "a.jpg").write_bytes(b"")
    counts = {"succeeded": 1}
    state = {"models": ["fast", "accurate"], "model": "fast"}
    job = SimpleNamespace(state=state, metrics={}, metrics_by_model={}, counts=counts, total=1)
    image = SimpleNamespace(name="a.jpg", index=0, status="succeeded", metrics={}, row={}, error=None, work_ms=None)
    shown = [cast(Image, image)]
    terms = Terms(space=get_label_space("cityscapes-19"))
    page = write_page(tmp_path, cast(JobHandle, job), shown, Material(pictures=[]), terms).read_text("utf-8")
    assert "1 picture by fast and accurate" in page
    assert [f'href="overlay/{model}/a.jpg"' in page for model in ("fast", "accurate")] == [True, True]
    assert ">overlay by accurate</a>" in page
    assert ("really there" in page, "differs or wrong" in page, "ground truth" in page) == (False, False, False)
    job.metrics_by_model = {"fast": {"ground_truth": {"miou": 0.5}}}
    page = write_page(tmp_path, cast(JobHandle, job), shown, Material(pictures=[]), terms).read_text("utf-8")
    assert "The ground truth that was submitted is in the scores, and is not shown here." in page


def test_each_picture_is_shown_with_its_own_results(tmp_path: Path) -> None:
    """Whatever other names begin as its own does, or are what it would have been called beside another."""
    names = {"x.1.jpg": "x.1", "x.jpg": "x", "x.png": "x_000002", "x_000001.jpg": "x_000001"}
    (tmp_path / "overlay").mkdir()
    for archived in names.values():
        (tmp_path / "overlay" / f"{archived}.jpg").touch()
    images = [cast(Image, SimpleNamespace(index=index, name=name)) for index, name in enumerate(names)]
    space = get_label_space("cityscapes-19")
    files = Files(tmp_path, Material(pictures=[]), space, archived_names(reversed(images)))
    found = {each.name: files.result(each, "overlay") for each in images}
    assert found == {name: tmp_path / "overlay" / f"{archived}.jpg" for name, archived in names.items()}
    assert files.result(images[0], "mask") is None


def test_the_numbers_of_a_report_are_those_of_the_model_that_they_name(tmp_path: Path) -> None:
    measured: dict[str, Any] = {
        "fast": {"class_fractions": {"road": 1.0}, "ground_truth": {"miou": 0.25}},
        "accurate": {"class_fractions": {"sky": 1.0}, "ground_truth": {"miou": 0.75}},
    }
    for model in measured:
        (tmp_path / "mask" / model).mkdir(parents=True)
        (tmp_path / "mask" / model / "a.png").write_bytes(mask(np.zeros((2, 4), np.uint8)))
    state = {"models": list(measured), "model": "fast"}
    told = SimpleNamespace(metrics=measured["fast"], metrics_by_model=measured, counts={"succeeded": 1}, total=1)
    job = SimpleNamespace(state=state, **vars(told))
    row = {"results": {name: {"metrics": metrics} for name, metrics in measured.items()}}
    image = SimpleNamespace(
        name="a.jpg", index=0, status="succeeded", metrics=measured["fast"], row=row, error=None, work_ms=None
    )
    terms = Terms(space=get_label_space("cityscapes-19"))
    page = write_page(tmp_path, cast(JobHandle, job), [cast(Image, image)], Material(pictures=[]), terms).read_text(
        "utf-8"
    )
    assert "<dt>mIoU, fast</dt><dd>25.0 %</dd>" in page
    assert "<dt>mIoU, accurate</dt><dd>75.0 %</dd>" in page
    assert "The mask of a.jpg by fast: road 100.0 %" in page
    assert "The mask of a.jpg by accurate: sky 100.0 %" in page
    assert "Over all pictures. By fast." in page
    assert "fast: mIoU 25.0 %" in page
