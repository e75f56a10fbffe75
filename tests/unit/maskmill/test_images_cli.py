"""`maskmill images`, and what is told about failed images when a job ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from maskmill.cli.exits import DONE, PARTIAL
from tests.unit.maskmill.toy_server import Answer, Received, ToyServer, as_json

JobState = Callable[..., dict[str, Any]]
Run = Callable[..., Result]


def image(index: int, name: str, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    return {"index": index, "name": name, "status": status, "metrics": None, "error": None, "artifacts": {}, **more}


BROKEN = {"code": "unreadable_image", "message": "the file is cut off"}
ROWS = [
    image(0, "a/1.jpg", metrics={"mean_confidence": 0.912, "ground_truth": {"miou": 0.5}}),
    image(1, "b/1.jpg", "failed", error=BROKEN),
    image(2, "c/[1].jpg", warnings=[{"code": "mask_unknown_ids", "detail": "255: 3 %"}]),
]


@pytest.fixture
def rows(server: ToyServer) -> None:
    """Two images on a page, and filtered as asked."""

    def page(request: Received) -> Answer:
        found = [row for row in ROWS if request.query.get("status") in (None, row["status"])]
        first = int(request.query.get("cursor", "0"))
        cursor = str(first + 2) if len(found) > first + 2 else None
        return as_json({"items": found[first : first + 2], "next_cursor": cursor})

    server.on("GET", "/jobs/job_1/images", page)


def ended(server: ToyServer, state: dict[str, Any]) -> None:
    server.on("POST", "/jobs", as_json({**state, "status": "queued"}, 202))
    server.on("POST", "/jobs/job_1/retry", as_json({**state, "status": "running"}, 202))
    server.on("GET", "/jobs/job_1", as_json(state))


def test_a_table_is_whole_however_narrow_the_window_is(
    run: Run, server: ToyServer, job_state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name, job_id = f"cam/{'x' * 200}.jpg", "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"
    rows = [image(0, name, "failed", error=BROKEN), image(1, "b.jpg")]
    server.on("GET", "/jobs/job_1", as_json(job_state("partial", total=2, done=1, failed=1)))
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    server.on(
        "GET", "/jobs", as_json({"items": [{**job_state(), "id": job_id, "model": "m" * 60}], "next_cursor": None})
    )
    head, first, second = run("images", "job_1").stdout.splitlines()
    assert head.split() == ["index", "name", "status", "confidence", "mIoU", "said"]
    assert first.split(maxsplit=5) == ["0", name, "failed", "–", "–", "unreadable_image (the file is cut off)"]
    assert second.split() == ["1", "b.jpg", "succeeded", "–", "–"]
    assert second == second.rstrip()  # a window would break a line of spaces, too
    assert run("jobs").stdout.splitlines()[1].startswith(f"{job_id}  queued ")


@pytest.mark.usefixtures("rows")
def test_images_are_listed_with_what_went_wrong(run: Run, server: ToyServer, job_state: JobState) -> None:
    ended(server, job_state("partial", total=3, done=2, failed=1))
    lines = run("images", "job_1").stdout.splitlines()
    assert lines[1].split() == ["0", "a/1.jpg", "succeeded", "91.2", "%", "50.0", "%"]
    assert "unreadable_image (the file is cut off)" in lines[2]
    assert "c/[1].jpg" in lines[3]
    run("images", "job_1", "--warning", "mask_unknown_ids", "--ref", "r", "--name", "c/", "--error", "timed_out")
    asked = server.seen("GET", "/jobs/job_1/images")[-1].query
    wanted = {"warning": "mask_unknown_ids", "ref": "r", "name": "c/", "error": "timed_out"}
    assert {name: asked[name] for name in wanted} == wanted


@pytest.mark.usefixtures("rows")
def test_failed_images_alone_are_listed(run: Run, server: ToyServer, job_state: JobState) -> None:
    ended(server, job_state("partial", total=3, done=2, failed=1))
    assert json.loads(run("images", "job_1", "--status", "failed", "--json").stdout) == {"items": [ROWS[1]]}
    assert "no such images" in run("images", "job_1", "--status", "canceled").stdout


@pytest.mark.usefixtures("rows")
def test_a_listing_ends_where_it_is_told_to(run: Run, server: ToyServer, job_state: JobState) -> None:
    ended(server, job_state("partial", total=3, done=2, failed=1))
    assert json.loads(run("images", "job_1", "--limit", "1", "--sort", "miou", "--json").stdout)["items"] == ROWS[:1]
    assert server.requests[-1].query == {"limit": "1", "sort": "miou"}


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("command", ["submit", "watch", "retry"])
def test_when_a_job_ends_its_failed_images_are_named_with_reasons(
    run: Run, server: ToyServer, job_state: JobState, picture: Path, command: str
) -> None:
    ended(server, job_state("partial", total=3, done=2, failed=1))
    words = {"submit": (picture, "--wait"), "watch": ("job_1",), "retry": ("job_1", "--wait")}[command]
    result = run(command, *words)
    assert result.exit_code == PARTIAL
    assert "b/1.jpg: unreadable_image (the file is cut off)" in result.stdout


def test_of_many_failed_images_the_first_are_named(run: Run, server: ToyServer, job_state: JobState) -> None:
    ended(server, job_state("failed", total=30, failed=30))
    many = [image(index, f"{index}.jpg", "failed", error=BROKEN) for index in range(10)]
    server.on("GET", "/jobs/job_1/images", as_json({"items": many, "next_cursor": "more"}))
    told = run("watch", "job_1").stdout
    assert "9.jpg: unreadable_image" in told
    assert "and 20 more:" in told
    assert "images job_1 --status failed" in told
    assert [request.query["limit"] for request in server.requests if request.path.endswith("/images")] == ["10"]


def test_what_was_passed_over_and_warnings_are_told(run: Run, server: ToyServer, job_state: JobState) -> None:
    more = {"skipped": {"count": 1, "examples": ["notes.txt"]}, "warnings": {"mask_unknown_ids": 4}}
    server.on("GET", "/jobs/job_1/images", as_json({"items": [], "next_cursor": None}))
    ended(server, {**job_state("succeeded", done=4), **more})
    told = run("watch", "job_1").stdout
    assert "1 file was passed over (no pictures, or masks that are not needed): notes.txt" in told
    assert "4 images with the warning mask_unknown_ids:" in told


def test_a_warning_comes_with_an_example_and_its_remedy(run: Run, server: ToyServer, job_state: JobState) -> None:
    warned = {**image(0, "a.jpg", "succeeded"), "warnings": [{"code": "mask_unknown_ids", "detail": "id 21 (18 %)"}]}
    server.on("GET", "/jobs/job_1/images", as_json({"items": [warned], "next_cursor": None}))
    ended(server, {**job_state("succeeded", done=1), "warnings": {"mask_unknown_ids": 1}})
    told = run("watch", "job_1").stdout
    assert "1 image with the warning mask_unknown_ids:" in told
    assert "a.jpg: id 21 (18 %)" in told
    assert "--mask-label-space NAME" in told


def test_a_long_warning_takes_nothing_from_the_other_columns(run: Run, server: ToyServer, job_state: JobState) -> None:
    warned = {
        **image(0, "cam_a/0001.jpg", "succeeded"),
        "warnings": [{"code": "mask_mismatch", "detail": "much " * 60}],
    }
    server.on("GET", "/jobs/job_1/images", as_json({"items": [warned], "next_cursor": None}))
    ended(server, job_state("succeeded", done=1))
    told = run("images", "job_1").stdout
    assert "cam_a/0001.jpg" in told
    assert "succeeded" in told
    assert " ".join(told.split()).count("much") == 60


def test_a_score_says_of_how_many_images_it_is(run: Run, server: ToyServer, job_state: JobState) -> None:
    scored = {**job_state("succeeded", total=3, done=3), "metrics": {"ground_truth": {"images": 1, "miou": 0.5}}}
    ended(server, scored)
    assert "(images: 1 of 3)" in run("watch", "job_1").stdout


def test_results_are_not_written_among_the_pictures(run: Run, server: ToyServer, picture: Path) -> None:
    result = run("submit", picture.parent, "--download", picture.parent)
    assert result.exit_code != DONE
    assert "results need one of their own" in " ".join(result.stderr.split())
    assert not server.requests


def test_what_a_job_waits_for_is_told(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("GET", "/jobs/job_1", as_json({**job_state("running", done=1), "waiting_for": "storage"}))
    assert "stands still: waits for storage" in run("watch", "job_1", "--timeout", "0.1").stderr


def test_a_retry_does_not_wait_unless_it_is_asked_to(run: Run, server: ToyServer, job_state: JobState) -> None:
    ended(server, job_state("succeeded", done=4))
    result = run("retry", "job_1")
    assert result.exit_code == DONE
    assert "maskmill watch job_1" in result.stdout
