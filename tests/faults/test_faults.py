"""The short form of `make faults`, and the auditor: it sees what it is there to see."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.objects import open_objects
from tests.faults import auditor
from tests.faults.auditor import Expected, audit, audit_deleted, read_job
from tests.faults.rounds import ARTIFACTS, BROKEN, Outcome, image_names, submit_job
from tests.services.valkey import ValkeyServer
from tests.stack import ROOT, Stack, running_stack

# Damaged broker, full store; wiped and killed broker, read-only store; engine that crashes, messages twice, overtaking.
SEEDS = (157, 151, 50)
IMAGES = 12
EXPECTED = Expected(image_names(IMAGES), frozenset({BROKEN}), ARTIFACTS, IMAGES // 2)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, valkey_server: ValkeyServer) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("faults")
    with running_stack(folder, {"MASKMILL_BROKER_URL": valkey_server.url}) as stack:
        yield stack


@pytest.fixture
def job_id(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a job that ended in peace."""
    monkeypatch.setattr(auditor, "UPKEEP_S", 0.0)
    with stack.http() as http:
        job_id = submit_job(http, IMAGES, model="tiny")
    stack.finished(job_id)
    return job_id


def found(stack: Stack, job_id: str) -> list[str]:
    with stack.http() as http:
        return audit(http, stack.storage, job_id, EXPECTED)


def change(stack: Stack, statement: str, *values: object) -> None:
    with sqlite3.connect(Path(stack.environment["MASKMILL_HOME"]) / "maskmill.db", timeout=10) as connection:
        assert connection.execute(statement, values).rowcount
    connection.close()


def test_fixed_rounds_leave_no_trace(tmp_path: Path) -> None:
    seeds = [word for seed in SEEDS for word in ("--seed", str(seed))]
    command = [sys.executable, "-m", "tests.faults", "--short", "--images", "60", *seeds]
    command += ["--results", str(tmp_path / "faults.json")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(rf"^{len(SEEDS)} rounds, 0 violations:", ended.stdout, re.MULTILINE)


def test_a_job_that_is_late_shows_nothing_of_what_is_broken() -> None:
    assert not Outcome(seed=1, strikes=(), late=["had not ended"]).shows_what_is_broken
    assert Outcome(seed=1, strikes=(), violations=["counted twice"]).shows_what_is_broken


def test_of_an_undisturbed_job_there_is_nothing_to_say(stack: Stack, job_id: str) -> None:
    assert found(stack, job_id) == []


def test_an_artifact_that_is_lost_changed_or_cut_is_found(stack: Stack, job_id: str) -> None:
    _, images = read_job(stack.storage, job_id)
    store = open_objects(stack.storage)
    keys = [image.results[0].artifacts[0].key for image in images[:3]]
    whole = store.get(keys[1])
    store.delete(keys[0])
    store.put(keys[1], whole[:-1] + bytes([whole[-1] ^ 1]), media_type="image/png")
    store.put(keys[2], store.get(keys[2])[:-20], media_type="image/png")
    told = "\n".join(auditor._objects(stack.storage, images))
    assert all(key in told for key in keys)


def test_an_object_that_no_row_names_is_found(stack: Stack, job_id: str) -> None:
    job, _ = read_job(stack.storage, job_id)
    stranger = f"{job.prefix}mask/000000.9"
    open_objects(stack.storage).put(stranger, b"late", media_type="image/png")
    assert found(stack, job_id) == [f"no row names the object {stranger}"]
    assert stranger in "\n".join(audit_deleted(stack.storage, job.prefix))


def test_a_count_that_is_off_is_found(stack: Stack, job_id: str) -> None:
    change(stack, "UPDATE jobs SET succeeded = succeeded + 1 WHERE id = ?", job_id)
    assert f"the job counts {IMAGES + 1} succeeded images, the rows are {IMAGES}" in found(stack, job_id)


def test_an_image_that_is_counted_twice_is_found(stack: Stack, job_id: str) -> None:
    doubled = "json_set(totals, '$[0].confidence_images', json_extract(totals, '$[0].confidence_images') + 1)"
    change(stack, f"UPDATE jobs SET totals = {doubled} WHERE id = ?", job_id)  # noqa: S608
    assert found(stack, job_id) == [f"{IMAGES + 1} confidences are counted, the rows have {IMAGES}"]


def test_a_sound_image_that_failed_is_found(stack: Stack, job_id: str) -> None:
    failed = "status = 'failed', failure_code = 'x', failure_message = 'x'"
    change(stack, f'UPDATE job_images SET {failed} WHERE job_id = ? AND "index" = 0', job_id)  # noqa: S608
    assert any(each.startswith("0000.jpg is sound and is failed after 1 attempts") for each in found(stack, job_id))
