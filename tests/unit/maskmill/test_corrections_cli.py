"""`maskmill jobs corrections`, and exports that are downloaded."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.maskmill.test_images_cli import JobState, Run
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json

TAKEN = {
    "format": "folder",
    "corrected": 2,
    "unchanged": 1,
    "unknown": {"count": 1, "examples": ["[nobody]"]},
    "unannotated": {"count": 1, "examples": ["[bare]"]},
}


@pytest.fixture
def job(server: ToyServer, job_state: JobState) -> None:
    scores = {"ground_truth": {"images": 2, "miou": 0.5}}
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded", total=3, done=3), "metrics": scores}))
    server.on("POST", "/jobs/job_1/corrections", as_json(TAKEN))


def sent(server: ToyServer) -> zipfile.ZipFile:
    (request,) = server.seen("POST", "/jobs/job_1/corrections")
    return zipfile.ZipFile(io.BytesIO(request.body))


@pytest.mark.usefixtures("job")
def test_a_folder_is_sent_without_its_pictures(run: Run, server: ToyServer, tmp_path: Path) -> None:
    for name in (
        "images/a.jpg",
        "images/a.png",
        "masks/cam/a.png",
        "masks/b.jpg",
        "masks/c.j2k",
        ".hidden/x.png",
        "__MACOSX/x.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    done = run("jobs", "corrections", "job_1", str(tmp_path))
    assert done.exit_code == 0
    assert sent(server).namelist() == ["masks/cam/a.png"]
    assert "not sent, as pictures (masks are PNG files): b.jpg, c.j2k\n" in done.stderr
    assert "2 images corrected, 1 as they were" in done.stdout
    assert "mIoU 50.0 % over 2 images" in done.stdout
    assert "passed over, as called like no image of the job, or like several: 1: [nobody]\n" in done.stderr
    assert "1 image without any annotation, not changed: [bare]\n" in done.stderr


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("results/mask", ["mask/images/b.png", "mask/night/a.png"]),
        ("results/mask/night", ["mask/night/a.png"]),  # not a.png, which may be another image's
        ("elsewhere", ["images/b.png", "night/a.png"]),  # whose pictures lay in `images`
    ],
)
def test_masks_keep_their_place_among_the_results(
    run: Run, server: ToyServer, tmp_path: Path, folder: str, told: list[str]
) -> None:
    for name in (
        "results/mask/images/b.png",
        "results/mask/night/a.png",
        "elsewhere/images/b.png",
        "elsewhere/night/a.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "results/manifest.json").write_text('{"job": "job_1"}')
    assert run("jobs", "corrections", "job_1", str(tmp_path / folder)).exit_code == 0
    assert sent(server).namelist() == told


@pytest.mark.parametrize(
    ("folder", "told"), [("mask/fast/night", "mask/night/a.png"), ("mask/fast", "mask/night/a.png")]
)
def test_of_several_models_masks_keep_their_place_too(
    run: Run, server: ToyServer, job_state: JobState, tmp_path: Path, folder: str, told: str
) -> None:
    results: dict[str, Any] = {name: {"metrics": {}} for name in ("fast", "accurate")}
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded", done=4), "results": results}))
    server.on("POST", "/jobs/job_1/corrections", as_json(TAKEN))
    (tmp_path / "mask/fast/night").mkdir(parents=True)
    (tmp_path / "mask/fast/night/a.png").touch()
    (tmp_path / "manifest.json").write_text('{"job": "job_1"}')
    assert run("jobs", "corrections", "job_1", str(tmp_path / folder)).exit_code == 0
    assert sent(server).namelist() == [told]


@pytest.mark.usefixtures("job")
def test_masks_behind_links_and_of_odd_names_are_sent(run: Run, server: ToyServer, tmp_path: Path) -> None:
    for folder in ("disk", "back/masks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "back/masks/cam").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/a.png").write_bytes(b"a")
    Path(os.fsdecode(bytes(tmp_path) + b"/back/masks/\xe9.png")).write_bytes(b"b")
    assert run("jobs", "corrections", "job_1", str(tmp_path / "back")).exit_code == 0
    assert sorted(sent(server).namelist()) == ["masks/?.png", "masks/cam/a.png"]


@pytest.mark.usefixtures("job")
def test_what_a_tool_exported_is_sent_as_it_is(run: Run, server: ToyServer, tmp_path: Path) -> None:
    (tmp_path / "cvat.zip").write_bytes(packed := _zip({"SegmentationClass/a.png": b"x"}))
    done = run("jobs", "corrections", "job_1", str(tmp_path / "cvat.zip"), "--format", "cvat", "--json")
    (request,) = server.seen("POST", "/jobs/job_1/corrections")
    assert (request.body, request.query, json.loads(done.stdout)) == (packed, {"format": "cvat"}, TAKEN)


@pytest.mark.usefixtures("job")
def test_one_document_is_packed(run: Run, server: ToyServer, tmp_path: Path) -> None:
    (tmp_path / "project.json").write_text("[]")
    assert run("jobs", "corrections", "job_1", str(tmp_path / "project.json")).exit_code == 0
    assert sent(server).read("project.json") == b"[]"


@pytest.mark.usefixtures("job")
def test_what_can_be_no_correction_is_refused(run: Run, server: ToyServer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "a.txt", tmp_path / "empty"):
        assert run("jobs", "corrections", "job_1", str(path)).exit_code != 0
    assert server.seen("POST", "/jobs/job_1/corrections") == []


@pytest.mark.usefixtures("job")
def test_an_export_is_downloaded_and_unpacked(run: Run, server: ToyServer, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1/archive", Answer(200, _zip({"labelmap.txt": b"x"}), {}))
    options: list[Any] = ["--export", "cvat", "--instances"]
    assert run("download", "job_1", str(tmp_path), *options).exit_code == 0
    (request,) = server.seen("GET", "/jobs/job_1/archive")
    assert request.query == {"export": "cvat", "instances": "true"}
    assert (tmp_path / "labelmap.txt").read_bytes() == b"x"
    assert run("download", "job_1", str(tmp_path), "--instances").exit_code != 0


@pytest.mark.usefixtures("job")
def test_files_that_the_service_has_lost_are_left_out_where_asked_and_counted(
    run: Run, server: ToyServer, tmp_path: Path
) -> None:
    whole = _zip({"manifest.json": b"{}", "files_missing.csv": b"file,message\r\nmask/a.png,gone\r\n"})
    server.on("GET", "/jobs/job_1/archive", Answer(200, whole, {}))
    said = run("download", "job_1", str(tmp_path), "--without-lost").stdout
    assert "files that are not among them: 1; files_missing.csv says why" in said
    assert server.seen("GET", "/jobs/job_1/archive")[0].query == {"without_lost": "true"}
    server.on("GET", "/jobs/job_1/archive", Answer(200, _zip({"manifest.json": b"{}"}), {}))
    assert json.loads(run("download", "job_1", str(tmp_path), "--without-lost", "--json").stdout)["files_missing"] == 0
    assert not (tmp_path / "files_missing.csv").exists()


@pytest.mark.usefixtures("job")
def test_pictures_that_an_export_lacks_are_counted(run: Run, server: ToyServer, tmp_path: Path) -> None:
    table = b'index,name,ref,code,message\r\n0,a.jpg,,input_not_kept,"lines\nof two"\r\n'
    whole = Answer(200, _zip({"labelmap.txt": b"x", "pictures_missing.csv": table}), {})
    server.on("GET", "/jobs/job_1/archive", whole)
    asked: list[Any] = ["download", "job_1", str(tmp_path), "--export", "cvat", "--pictures"]
    assert "pictures that are not among them: 1; pictures_missing.csv" in run(*asked).stdout
    assert json.loads(run(*asked, "--zip", "--json").stdout)["pictures_missing"] == 1
    server.on("GET", "/jobs/job_1/archive", Answer(200, _zip({"labelmap.txt": b"x"}), {}))
    assert "not among them" not in run(*asked).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [".maskmill-job", "labelmap.txt"]


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.usefixtures("job")
def test_where_nothing_is_new_it_is_told_that_it_may_be_read_otherwise(
    run: Run, server: ToyServer, tmp_path: Path
) -> None:
    server.on("POST", "/jobs/job_1/corrections", as_json({**TAKEN, "corrected": 0}))
    (tmp_path / "a.png").write_bytes(b"")
    hint = "Nothing in it is new, read as folder; --format NAME reads it as another form."
    assert hint in run("jobs", "corrections", "job_1", str(tmp_path)).stderr
    assert "--format" not in run("jobs", "corrections", "job_1", str(tmp_path), "--format", "cvat").stderr
