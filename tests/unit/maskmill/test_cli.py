"""The command line against a scripted server: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from maskmill import Maskmill
from maskmill.cli.exits import FAILED, PARTIAL, REFUSED, TIMED_OUT, UNREACHABLE, USAGE
from maskmill.errors import InvalidInput
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem

JobState = Callable[..., dict[str, Any]]
Run = Callable[..., Result]


def _archive() -> Answer:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("metrics.csv", "index,name\n")
    return Answer(200, buffer.getvalue())


def test_submitting_says_how_to_follow_the_job(run: Run, server: ToyServer, job_state: JobState, picture: Path) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    result = run("submit", picture)
    assert result.exit_code == 0
    assert "job_1 queued: 4 queued" in result.stdout
    assert "maskmill watch job_1" in result.stdout


def test_options_reach_the_server(run: Run, server: ToyServer, job_state: JobState, picture: Path) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    words = ("--model", "toy", "--artifacts", "mask, coco", "--tile", "512,64", "--option", 'metadata={"a": 1}')
    assert run("submit", picture, *words, "--option", "priority=bulk").exit_code == 0
    expected = {"model": "toy", "artifacts": ["mask", "coco"], "tile": {"size": 512, "overlap": 64}}
    sent = server.requests[0].body.decode()
    options = json.loads(sent.split('name="options"\r\n\r\n')[1].split("\r\n")[0])
    assert options == {**expected, "metadata": {"a": 1}, "priority": "bulk"}


def test_several_models_are_asked_for_by_name(run: Run, server: ToyServer, job_state: JobState, picture: Path) -> None:
    truth = {"miou": 0.5, "pixel_accuracy": 0.75, "images": 1}
    results = {name: {"metrics": {"ground_truth": truth}} for name in ("toy", "other")}
    server.on("POST", "/jobs", as_json({**job_state("succeeded"), "results": results}, 202))
    said = run("submit", picture, "--models", "toy, other").stdout
    sent = server.requests[0].body.decode()
    assert json.loads(sent.split('name="options"\r\n\r\n')[1].split("\r\n")[0]) == {"models": ["toy", "other"]}
    assert "other: mIoU 50.0 %, pixel accuracy 75.0 %" in said


def test_samples_and_addresses_are_submitted_by_name(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    assert run("submit", "sample:street_01", "https://example.org/a.jpg", "job:job_1").exit_code == 0
    sent = json.loads(server.requests[0].body)["inputs"]
    assert sent == [{"sample": "street_01"}, {"url": "https://example.org/a.jpg"}, {"job": "job_1"}]


def test_corrections_of_a_job_are_the_truth_of_another(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    assert run("submit", "job:job_1", "--masks", "corrected").exit_code == 0
    assert json.loads(server.requests[0].body)["inputs"] == [{"job": "job_1", "masks": "corrected"}]
    for words in (("job:job_1", "--masks", "truth"), ("job:job_1", "sample:a", "--masks", "corrected")):
        said = run("submit", *words)
        assert (said.exit_code, "of jobs they are their own, or 'corrected'" in said.stderr) == (1, True)


def test_waiting_and_downloading_in_one_go(
    run: Run, server: ToyServer, job_state: JobState, picture: Path, tmp_path: Path
) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=2)), as_json(job_state("succeeded", done=4)))
    server.on("GET", "/jobs/job_1/archive", _archive())
    result = run("submit", picture, "--download", "out")
    assert result.exit_code == 0
    assert (tmp_path / "out" / "metrics.csv").is_file()
    assert "4/4 images" in result.stderr


def test_results_of_another_job_are_kept_apart_unless_they_are_to_be_mixed(
    run: Run, server: ToyServer, job_state: JobState, picture: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        state = {**job_state("succeeded", done=4), "id": f"job_{number}"}
        server.on("GET", f"/jobs/job_{number}", as_json(state))
        server.on("GET", f"/jobs/job_{number}/archive", _archive())
    server.on("POST", "/jobs", as_json({**job_state(), "id": "job_2"}, 202))
    for _ in range(2):
        assert run("download", "job_1", "out").exit_code == 0
    for words in (("download", "job_2", "out"), ("submit", picture, "--download", "out")):
        refused = run(*words)
        assert refused.exit_code == REFUSED
        assert "out holds the results of job_1; choose another folder" in refused.stderr
    assert not server.seen("POST", "/jobs")  # nothing was submitted whose results have no place
    assert run("submit", picture, "--download", "out", "--force").exit_code == 0
    assert run("download", "job_1", "out").exit_code == REFUSED
    assert run("download", "job_1", "out", "--force").exit_code == 0
    assert run("download", "job_2", "out", "--zip", "--force").exit_code == 0  # a ZIP file beside them mixes nothing
    assert run("download", "job_1", "out").exit_code == 0


@pytest.mark.parametrize("place", ["file", "file/out", "link", "/proc/version"])
def test_a_place_that_can_hold_no_results_is_told_before_anything_is_sent_or_waited_for(
    run: Run, server: ToyServer, job_state: JobState, picture: Path, place: str
) -> None:
    (picture.parent / "file").touch()
    (picture.parent / "link").symlink_to("gone")
    server.on("GET", "/jobs/job_1", as_json(job_state("running")))
    refused = run("submit", picture, "--download", place, "--force")
    assert (refused.exit_code, server.requests) == (REFUSED, [])
    assert f"{place} can hold no results" in refused.stderr
    with Maskmill(server.url) as client, pytest.raises(InvalidInput, match="can hold no results"):
        client.job("job_1").download(place)


def test_what_looks_like_markup_is_part_of_a_path(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded", done=4), "model": "[red]:car:"}))
    server.on("GET", "/jobs", as_json({"items": [{**job_state(), "model": "[red]:car:"}], "next_cursor": None}))
    server.on("GET", "/jobs/job_1/archive", _archive())
    for folder in ("[red]:car:", "[/b]"):
        done = run("download", "job_1", folder)
        assert (done.exit_code, done.stdout) == (0, f"results are in {folder}\n")
    assert "[red]:car:" in run("jobs").stdout


def test_a_list_that_was_narrowed_down_does_not_say_that_there_are_no_jobs(run: Run, server: ToyServer) -> None:
    server.on("GET", "/jobs", as_json({"items": [], "next_cursor": None}))
    assert run("jobs", "--status", "failed").stdout.strip() == "no such jobs"
    more = ["--metadata", "run=7", "--metadata", "site=a=b", "--created-after", "2026-11-30"]
    assert run("jobs", *more).stdout.strip() == "no such jobs"
    query = server.seen("GET", "/jobs")[-1].query
    assert (query["metadata.run"], query["metadata.site"], query["created_after"][:2]) == ("7", "a=b", "20")
    assert "--metadata takes KEY=VALUE" in run("jobs", "--metadata", "run").stderr
    assert "no jobs yet" in run("jobs").stdout


@pytest.mark.parametrize(("status", "code"), [("partial", PARTIAL), ("failed", FAILED), ("canceled", FAILED)])
def test_how_a_job_ended_is_the_exit_code(
    run: Run, server: ToyServer, job_state: JobState, status: str, code: int
) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state(status, done=3)))
    assert run("watch", "job_1").exit_code == code


def test_waiting_in_vain_says_that_the_job_goes_on(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=1)))
    result = run("watch", "job_1", "--timeout", "0.1")
    assert result.exit_code == TIMED_OUT
    assert "maskmill watch job_1" in result.stderr
    told = json.loads(run("watch", "job_1", "--timeout", "0.1", "--json").stdout)["error"]
    assert (told["code"], told["job"]) == ("wait_timeout", "job_1")


def test_json_is_alone_on_stdout(run: Run, server: ToyServer, job_state: JobState, picture: Path) -> None:
    state = job_state("succeeded", done=4)
    server.on("POST", "/jobs", as_json(job_state(), 202))
    server.on("GET", "/jobs/job_1", as_json(state))
    assert json.loads(run("submit", picture, "--wait", "--json").stdout) == state


def test_jobs_are_listed(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("GET", "/jobs", as_json({"items": [job_state("partial", done=3, failed=1)], "next_cursor": None}))
    lines = run("jobs").stdout.splitlines()
    assert lines[0].split()[:2] == ["id", "status"]
    assert lines[1].split()[:5] == ["job_1", "partial", "4", "4", "1"]
    assert json.loads(run("jobs", "--json").stdout)["items"][0]["id"] == "job_1"


def test_an_empty_list_says_what_to_do(run: Run, server: ToyServer) -> None:
    server.on("GET", "/jobs", as_json({"items": [], "next_cursor": None}))
    assert "maskmill submit" in run("jobs").stdout


def test_models_are_listed_with_the_default_marked(run: Run, server: ToyServer) -> None:
    model = {"name": "toy", "architecture": "net", "label_space": "camvid-11", "parameters": 2_100_000}
    model |= {"runs_as": "openvino int8"}
    server.on("GET", "/models", as_json({"items": [{**model, "default": True, "scores": {"miou": 0.512}}]}))
    line = run("models").stdout.splitlines()[1]
    assert line.split() == ["toy", "(default)", "net", "camvid-11", "openvino", "int8", "2.1", "M", "51.2", "%"]


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_a_job_can_be_changed(run: Run, server: ToyServer, job_state: JobState, verb: str) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=1)))
    server.on("POST", f"/jobs/job_1/{verb}", as_json(job_state("running", done=2), 202))
    assert json.loads(run(verb, "job_1", "--json").stdout)["images"]["succeeded"] == 2


@pytest.mark.parametrize(("status", "code"), [("succeeded", REFUSED), ("canceled", 0)])
def test_who_cancels_too_late_is_told(run: Run, server: ToyServer, job_state: JobState, status: str, code: int) -> None:
    state = job_state(status, done=4)
    server.on("GET", "/jobs/job_1", as_json(state))
    server.on("POST", "/jobs/job_1/cancel", as_json(state, 202))
    said = run("cancel", "job_1")
    assert said.exit_code == code
    assert ("job_1 had ended before: nothing of it was canceled" in said.stderr) is (code == REFUSED)


def test_a_job_can_be_deleted(run: Run, server: ToyServer, job_state: JobState) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    server.on("DELETE", "/jobs/job_1", Answer(204))
    assert "is deleted" in run("delete", "job_1").stdout
    assert json.loads(run("delete", "job_1", "--json").stdout) == {"deleted": "job_1"}


def test_a_download_can_stay_packed(run: Run, server: ToyServer, job_state: JobState, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    server.on("GET", "/jobs/job_1/archive", _archive())
    result = run("download", "job_1", "out", "--zip", "--json")
    assert json.loads(result.stdout) == {"job": "job_1", "path": str(Path("out") / "job_1.zip")}


def test_what_is_no_picture_is_mentioned(run: Run, server: ToyServer, job_state: JobState, picture: Path) -> None:
    for number in range(7):
        (picture.parent / f"notes{number}.txt").touch()
    skipped = {"count": 3, "examples": ["a_mask.png", "b_mask.png"]}
    state = {**job_state(), "skipped": skipped, "options": {"mask_label_space": "cityscapes-34"}}
    server.on("POST", "/jobs", as_json(state, 202))
    result = run("submit", picture.parent, "--masks", picture)
    said = result.stderr.splitlines()
    assert said[0] == (
        "not sent, as no pictures: notes0.txt, notes1.txt, notes2.txt, notes3.txt, notes4.txt and 2 more"
    )
    assert "3 files were passed over" in result.stdout
    assert any("their ids are cityscapes-34; --mask-label-space" in line for line in said)
    told = run("submit", picture.parent, "--masks", picture, "--option", "mask_label_space=cityscapes-34").stderr
    assert "their ids are" not in told
    assert "their ids are" not in run("submit", "job:job_1", "--masks", "corrected").stderr


def test_a_refusal_is_a_sentence_with_the_faults_and_no_traceback(run: Run, server: ToyServer, picture: Path) -> None:
    fault = {"field": "tile.size", "message": "too small"}
    answer = {"status": 422, "code": "invalid_options", "detail": "the options cannot be used", "errors": [fault]}
    server.on("POST", "/jobs", as_json(answer, 422))
    result = run("submit", picture)
    assert result.exit_code == REFUSED
    assert result.stderr.splitlines() == ["Error: the options cannot be used", "  tile.size: too small"]
    told = json.loads(run("submit", picture, "--json").stdout)["error"]
    assert (told["code"], told["status"], told["errors"]) == ("invalid_options", 422, [fault])


def test_who_asks_too_much_is_told_when_to_ask_again(run: Run, server: ToyServer) -> None:
    server.on("GET", "/models", problem(429, "quota_exceeded", Retry_After="5400"))
    result = run("models")
    assert result.exit_code == REFUSED
    assert result.stderr.splitlines()[-1] == "It may be tried again in 1 h 30 min."
    assert json.loads(run("models", "--json").stdout)["error"]["retry_after_s"] == 5400


def test_an_absent_server_is_said_so_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskmill.cli.address.PATIENCE_S", 0.2)
    result = run("models", "--server", "http://127.0.0.1:9")
    assert result.exit_code == UNREACHABLE
    assert "maskmill up" in result.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--tile", "big"), "--tile takes"),
        (("--option", "priority"), "--option takes"),
        (("no-such-file.jpg",), "no such file"),
        (("--masks", "no-such-file.png"), "no such file"),
    ],
)
def test_a_users_mistake_is_a_sentence(run: Run, picture: Path, words: tuple[str, ...], reason: str) -> None:
    result = run("submit", picture, *words)
    assert result.exit_code == REFUSED
    assert reason in result.stderr


def test_wrong_usage_has_its_own_exit_code(run: Run) -> None:
    assert run("submit").exit_code == USAGE
    assert run("no-such-command").exit_code == USAGE


def test_a_folder_that_cannot_be_written_is_a_sentence(
    run: Run, server: ToyServer, job_state: JobState, picture: Path
) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    result = run("download", "job_1", picture)
    assert result.exit_code == REFUSED
    assert result.stderr.startswith("Error: ")


def test_the_local_stack_is_found_without_an_address(
    run: Run, server: ToyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASKMILL_SERVER")
    noted = tmp_path / ".maskmill" / "run" / "up.json"
    noted.parent.mkdir(parents=True)
    noted.write_text(json.dumps({"url": server.url, "pid": os.getpid()}))
    server.on("GET", "/models", as_json({"items": []}))
    assert run("models").exit_code == 0


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    words = run("--help").stdout
    for name in ("up", "down", "submit", "jobs", "watch", "cancel", "retry", "download", "delete", "models", "doctor"):
        assert f" {name} " in words
    assert "130 interrupted" in " ".join(words.split())


def test_the_version_can_be_asked_for(run: Run) -> None:
    assert run("--version").stdout.strip().count(".") == 2


def test_stopping_what_does_not_run_is_no_error(run: Run) -> None:
    assert "no local stack" in run("down").stdout
    assert json.loads(run("down", "--json").stdout) == {"stopped": None}


def test_interrupting_a_wait_leaves_the_job_alone(
    run: Run, server: ToyServer, job_state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=1)))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("maskmill.handle.JobHandle.wait", interrupt)
    result = run("watch", "job_1")
    assert result.exit_code == 130
    assert "maskmill watch job_1" in result.stderr
    assert [request.method for request in server.requests] == ["GET"]


def test_problems_of_the_server_are_refusals(run: Run, server: ToyServer) -> None:
    server.on("GET", "/jobs/job_9", problem(404, "job_not_found", "there is no job job_9"))
    result = run("watch", "job_9")
    assert (result.exit_code, result.stderr.strip()) == (REFUSED, "Error: there is no job job_9")


@pytest.mark.parametrize("given", ["overlay={bad", "artifacts=[1,", 'model="a'])
def test_an_option_that_would_be_json_and_is_none_is_told_before_anything_is_sent(
    run: Run, server: ToyServer, picture: Path, given: str
) -> None:
    result = run("submit", picture, "--option", given)
    assert result.exit_code == REFUSED
    assert f"--option {given.partition('=')[0]}: " in result.stderr
    assert "is no JSON" in result.stderr
    assert not server.requests


@pytest.mark.parametrize(
    "given", [("--min-confidence", "0.6", "--option", "min_confidence=0.5"), ("--option", "a=1", "--option", "a=2")]
)
def test_an_option_that_is_given_twice_is_refused(
    run: Run, server: ToyServer, picture: Path, given: tuple[str, ...]
) -> None:
    result = run("submit", picture, *given)
    assert (result.exit_code, "is given twice" in result.stderr) == (REFUSED, True)
    assert not server.requests


def test_who_needs_a_key_is_told_where_it_goes(run: Run, server: ToyServer) -> None:
    server.on("GET", "/jobs", problem(401, "unauthorized", "this service needs a key"))
    done = run("jobs")
    assert done.exit_code == REFUSED
    assert "Set MASKMILL_API_KEY to a key of it; where it runs, maskmill keys create makes one." in done.stderr


@pytest.mark.parametrize("command", ["watch", "retry"])
def test_a_wait_of_less_than_nothing_is_refused(run: Run, command: str) -> None:
    assert run(command, "job_1", "--timeout", "-1").exit_code == USAGE


def test_what_the_system_says_comes_without_its_number(
    run: Run, server: ToyServer, job_state: JobState, tmp_path: Path
) -> None:
    taken = tmp_path / "out" / "job_1.zip.part"
    taken.mkdir(parents=True)
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    server.on("GET", "/jobs/job_1/archive", _archive())
    result = run("download", "job_1", tmp_path / "out")
    assert result.exit_code == REFUSED
    assert "Errno" not in result.stderr
    assert f"{taken}: " in result.stderr
