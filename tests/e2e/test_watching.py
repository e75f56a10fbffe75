"""Metrics and log lines of a real API and real workers, after a real job."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.services.processes import wait_for
from tests.services.valkey import MortalValkey
from tests.stack import Stack, pictures_zip, running_stack
from tests.watching import documented_metrics

REQUEST = "watched-1"
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, broker: MortalValkey) -> Iterator[Stack]:
    parts = {"MASKMILL_BROKER_URL": broker.server.url, "MASKMILL_LOG_FORMAT": "json"}
    with running_stack(tmp_path_factory.mktemp("stack"), parts, workers=("worker-a", "worker-b")) as stack:
        yield stack


@pytest.fixture(scope="module")
def job_id(stack: Stack) -> str:
    """A job that is done, with a broken picture in it."""
    headers = {"X-Request-Id": REQUEST, "Authorization": f"Bearer mm_test_{SECRET}"}
    files = [
        ("files", ("pictures.zip", pictures_zip(40), "application/zip")),
        ("files", ("broken.jpg", b"\xff\xd8\xff\xe0 no picture", "image/jpeg")),
    ]
    with stack.http() as http:
        answer = http.post("/jobs", files=files, data={"model": "tiny"}, headers=headers)
        assert answer.status_code == 202, answer.text
        http.get("/jobs", params={"signature": SECRET}, headers=headers)
    job_id = str(answer.json()["id"])
    assert stack.finished(job_id)["status"] == "partial"
    return job_id


def targets(stack: Stack) -> Mapping[str, str]:
    """Addresses of the workers' metrics by their names, as Prometheus finds them."""
    notes = (Path(stack.environment["MASKMILL_HOME"]) / "run" / "metrics").glob("*.json")
    found = [each for note in notes for each in json.loads(note.read_text())]
    return {each["labels"]["worker"].partition("@")[0]: each["targets"][0] for each in found}


def exposed(url: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by the name of the sample and its labels' values, which are in the order of the labels' names.

    The parser refuses what Prometheus would."""
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(httpx.get(url).raise_for_status().text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found[sample.name][labels] = sample.value
    return found


def lines(stack: Stack, name: str) -> list[dict[str, Any]]:
    text = (stack.folder / f"{name}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_workers_tell_what_they_did(stack: Stack, job_id: str) -> None:
    addresses = targets(stack)
    assert addresses.keys() == {"worker-a", "worker-b"}

    def total() -> float:
        found = [exposed(f"http://{address}/metrics")["maskmill_images_total"] for address in addresses.values()]
        return sum(value for each in found for value in each.values())

    wait_for(lambda: total() == 41, what="41 images counted")
    both = [exposed(f"http://{address}/metrics") for address in addresses.values()]
    assert sum(each["maskmill_images_total"].get(("tiny", "", "succeeded"), 0) for each in both) == 40
    assert sum(each["maskmill_images_total"].get(("tiny", "unreadable_image", "failed"), 0) for each in both) == 1
    stages = {labels[1] for each in both for labels in each["maskmill_stage_seconds_count"]}
    assert {"fetch", "decode", "preprocess", "queue", "infer", "metrics", "encode", "store", "total"} <= stages
    assert sum(each["maskmill_batch_size_sum"].get(("tiny",), 0) for each in both) >= 40
    assert sum(sum(each["maskmill_model_memory_bytes"].values()) for each in both) > 0


def test_the_api_tells_how_the_service_stands(stack: Stack, job_id: str) -> None:
    found = exposed(f"{stack.url}/metrics")
    assert found["maskmill_workers"] == {(): 2.0}
    assert set(found["maskmill_part_up"].values()) == {1.0}
    assert found["maskmill_request_seconds_count"]["POST", "/jobs", "202"] == 1
    assert found["maskmill_upload_bytes_total"][("/jobs",)] > len(pictures_zip(40))


def test_every_metric_is_documented_and_every_documented_one_exists(stack: Stack, job_id: str) -> None:
    texts = [httpx.get(f"http://{address}/metrics").text for address in targets(stack).values()]
    texts.append(httpx.get(f"{stack.url}/metrics").text)
    found = {family.name for text in texts for family in text_string_to_metric_families(text)}
    ours = {name for name in found if name.startswith("maskmill_")}
    of_webhooks = {name for name in documented_metrics() if name.startswith("maskmill_webhook_")}
    assert ours | of_webhooks == documented_metrics()


def test_a_request_can_be_followed_into_the_workers(stack: Stack, job_id: str) -> None:
    (taken,) = [each for each in lines(stack, "api") if each.get("request_id") == REQUEST and each["route"] == "/jobs"][
        :1
    ]
    assert (taken["job_id"], taken["status"]) == (job_id, 202)
    said = [*lines(stack, "worker-a"), *lines(stack, "worker-b")]
    done = [each for each in said if each.get("action") == "slice_done"]
    assert sum(each["images"] for each in done) == 41
    assert {each["request_id"] for each in done} == {REQUEST}
    (failed,) = [each for each in said if each.get("action") == "image_failed"]
    wanted = {"request_id": REQUEST, "job_id": job_id, "image": 40, "attempt": 1}
    assert wanted.items() <= failed.items()
    assert failed["worker"].startswith("worker-")


def test_all_that_workers_and_the_scheduler_say_is_said_once_and_in_json(stack: Stack, job_id: str) -> None:
    for name in ("api", "worker-a", "worker-b", "scheduler"):
        text = (stack.folder / f"{name}.log").read_text()
        odd = [line for line in text.splitlines() if "run_upkeep" in line or "Sending due task" in line]
        assert [line for line in odd if "[tasks]" not in text or not line.strip().startswith(".")] == [], name
    requests = [each for each in lines(stack, "api") if each.get("action") == "request"]
    assert len([each for each in requests if each["method"] == "POST"]) == 1
    assert "HTTP/1.1" not in (stack.folder / "api.log").read_text()


def test_no_log_holds_a_key_or_a_signature(stack: Stack, job_id: str) -> None:
    for log in stack.folder.glob("*.log"):
        assert SECRET not in log.read_text(), log.name
