"""`maskmill jobs worst`: which images, and how they lie on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.maskmill.test_images_cli import JobState, Run
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json

ROWS = [
    {
        "index": 4,
        "name": "cam/a.jpg",
        "status": "succeeded",
        "metrics": {"mean_confidence": 0.25, "mean_entropy": 0.75},
    },
    {"index": 2, "name": "b.png", "status": "succeeded", "metrics": {"mean_confidence": 0.5}},
]


@pytest.fixture
def job(server: ToyServer, job_state: JobState) -> None:
    here = "/jobs/job_1/images"
    stored = [{name: f"{here}/4/{name}" for name in ("input", "mask")}, {"mask": f"{here}/2/mask"}]
    rows = [{**row, "artifacts": artifacts} for row, artifacts in zip(ROWS, stored, strict=True)]
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", total=3, done=3)))
    server.on("GET", here, as_json({"items": rows, "next_cursor": None}))
    for path in (f"{here}/4/input", f"{here}/4/mask", f"{here}/2/mask"):
        server.on("GET", path, Answer(200, path.encode(), {}))
    server.on("GET", f"{here}/2/input", as_json({"code": "input_not_kept", "detail": "came from an address"}, 404))


@pytest.mark.usefixtures("job")
def test_the_least_certain_come_first_with_pictures_and_masks_of_one_name(
    run: Run, server: ToyServer, tmp_path: Path
) -> None:
    done = run("jobs", "worst", "job_1", "--top", "2", "--download", str(tmp_path))
    assert done.exit_code == 0, done.stderr
    asked = server.seen("GET", "/jobs/job_1/images")[0]
    assert asked.query == {"status": "succeeded", "sort": "confidence", "limit": "2"}
    files = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        ".maskmill-job": "job_1",
        "images/cam/a.jpg": "/jobs/job_1/images/4/input",
        "masks/cam/a.png": "/jobs/job_1/images/4/mask",
        "masks/b.png": "/jobs/job_1/images/2/mask",  # its picture is not to be had
    }
    assert "without its picture: b.png: came from an address" in done.stdout
    queries = [each.query for each in server.requests if each.path.endswith(("/input", "/mask"))]
    assert queries == [{"upright": "true"}, {}, {"upright": "true"}, {}]  # pictures lie as their masks do
    assert "jobs corrections job_1" in done.stdout


@pytest.mark.usefixtures("job")
def test_the_list_shows_what_it_is_ordered_by(run: Run) -> None:
    head, first, second = run("jobs", "worst", "job_1", "--by", "entropy").stdout.splitlines()
    assert head.split() == ["index", "name", "entropy", "confidence", "mIoU"]
    assert (first.split()[2:], second.split()[2]) == (["0.750", "25.0", "%", "–"], "–")
    assert run("jobs", "worst", "job_1").stdout.splitlines()[0].split() == ["index", "name", "confidence", "mIoU"]


@pytest.mark.usefixtures("job")
def test_who_orders_by_what_no_image_has_is_told(run: Run) -> None:
    warned = {by: run("jobs", "worst", "job_1", "--by", by).stderr for by in ("miou", "disagreement", "confidence")}
    assert "no image has a value for miou, which takes ground truth: they come in input order" in warned["miou"]
    assert "which takes several models" in warned["disagreement"]
    assert warned["confidence"] == ""


@pytest.mark.usefixtures("job")
def test_a_mask_that_somebody_changed_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    worst = ("jobs", "worst", "job_1", "--download", str(tmp_path / "my work"))
    masks = tmp_path / "my work" / "masks"
    assert f"jobs corrections job_1 '{tmp_path / 'my work'}'\n" in run(*worst).stdout  # to be copied
    (masks / "b.png").write_text("drawn")
    again = run(*worst)
    assert ((masks / "b.png").read_text(), again.exit_code) == ("drawn", 0)
    assert "not fetched again (but with --force): b.png" in again.stdout
    told = json.loads(run(*worst, "--json").stdout)
    assert (told["kept"], len(told["files"])) == ([(masks / "b.png").as_posix()], 2)
    assert "not fetched again" not in run(*worst, "--force").stdout
    assert (masks / "b.png").read_text() == "/jobs/job_1/images/2/mask"


@pytest.mark.usefixtures("job")
def test_what_was_corrected_before_is_where_one_goes_on(run: Run, server: ToyServer, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/images/2/correction", Answer(200, b"corrected", {}))
    run("jobs", "worst", "job_1", "--download", str(tmp_path))
    assert (tmp_path / "masks" / "b.png").read_text() == "corrected"


@pytest.mark.usefixtures("job")
def test_a_correction_or_a_mask_that_is_lost_keeps_nobody_from_the_others(
    run: Run, server: ToyServer, tmp_path: Path
) -> None:
    """What the model said does not take the place of what somebody drew."""
    lost = as_json({"code": "object_not_found", "detail": "there is no object of it"}, 404)
    worst = ("jobs", "worst", "job_1", "--download", str(tmp_path))
    server.on("GET", "/jobs/job_1/images/4/correction", lost)
    assert "without its mask: cam/a.jpg: there is no object of it" in run(*worst).stdout
    assert [path.name for path in tmp_path.rglob("masks/**/*.png")] == ["b.png"]
    server.on("GET", "/jobs/job_1/images/2/mask", lost)
    told = json.loads(run(*worst, "--json").stdout)
    assert told["masks_missing"] == dict.fromkeys(["cam/a.jpg", "b.png"], "there is no object of it")


@pytest.mark.usefixtures("job")
def test_masks_of_another_job_are_no_corrections_of_this_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"job": "job_2"}')
    refused = run("jobs", "worst", "job_1", "--download", str(tmp_path))
    assert refused.exit_code == 1
    assert "holds the results of job_2" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert run("jobs", "worst", "job_1", "--download", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / ".maskmill-job").read_text() == "job_1"


def test_pictures_that_differ_in_their_suffix_have_a_mask_each(
    run: Run, server: ToyServer, job_state: JobState, tmp_path: Path
) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", total=3, done=3)))
    rows = [{**ROWS[0], "index": index, "name": name} for index, name in enumerate(["a/x.jpg", "a/X.png", "a/y.jpg"])]
    rows = [{**row, "artifacts": {"mask": f"/{row['index']}"}} for row in rows]
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    for index in range(3):
        server.on("GET", f"/{index}", Answer(200, str(index).encode(), {}))
        changed = {"code": "input_changed", "detail": "another file now"}
        server.on("GET", f"/jobs/job_1/images/{index}/input", as_json(changed, 409))
    assert run("jobs", "worst", "job_1", "--download", str(tmp_path)).exit_code == 0
    files = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.png")}
    assert files == {"masks/a/x.jpg.png": "0", "masks/a/X.png.png": "1", "masks/a/y.png": "2"}


@pytest.mark.usefixtures("job")
def test_a_picture_whose_twin_is_none_of_the_worst_keeps_its_suffix_too(
    run: Run, server: ToyServer, tmp_path: Path
) -> None:
    rows = [{**ROWS[1], "artifacts": {"mask": "/jobs/job_1/images/2/mask"}}, {**ROWS[1], "index": 7, "name": "b.jpg"}]
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    assert run("jobs", "worst", "job_1", "--top", "1", "--download", str(tmp_path)).exit_code == 0
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["b.png.png"]
    assert server.seen("GET", "/jobs/job_1/images")[1].query["name"] == "b."


@pytest.mark.usefixtures("job")
def test_rows_are_told_as_they_are(run: Run) -> None:
    told = json.loads(run("jobs", "worst", "job_1", "--by", "miou", "--json").stdout)
    assert ([row["index"] for row in told["items"]], told["files"], told["pictures_missing"]) == ([4, 2], [], {})


@pytest.mark.usefixtures("job")
def test_an_order_that_there_is_not_is_refused(run: Run) -> None:
    assert (
        "confidence, entropy, low_confidence, class_drift, miou, disagreement"
        in run("jobs", "worst", "job_1", "--by", "luck").stderr
    )


def test_a_name_never_leads_out_of_the_folder(run: Run, server: ToyServer, job_state: JobState, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", total=1, done=1)))
    row = {**ROWS[0], "name": "../a.jpg", "artifacts": {"mask": "/x"}}
    server.on("GET", "/jobs/job_1/images", as_json({"items": [row], "next_cursor": None}))
    assert run("jobs", "worst", "job_1", "--download", str(tmp_path / "in")).exit_code != 0
    assert list(tmp_path.iterdir()) == []
