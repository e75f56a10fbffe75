"""What is owed to receivers, what is said, and when it is said again. Nothing here needs a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.schemas.job import JobView
from jobs.deliveries.delivery import RESPONSE_BYTES, Delivery, DeliveryStatus, Reply
from jobs.deliveries.endpoint import COMPLETED, EVENTS, PING, PROGRESS, STARTED, Endpoint, host_of
from jobs.deliveries.message import BODY_BYTES, body_of, event_of, owed, ping
from jobs.deliveries.schedule import JITTER, KEPT_TRIES, LONGEST_PAUSE_S, PAUSES_S, after_try, again, pause_after
from jobs.job import Counts, JobTotals, ModelVersion, Skipped
from jobs.options import JobOptions
from jobs.reporting.document import job_document
from jobs.reporting.read import progress_at
from jobs.spaces import JobSpaces
from segmentation.label_space import LabelClass, LabelSpace
from tests.factories import NOON, make_job

PARTS = ("ground_truth.dice", "ground_truth.iou", "class_fractions")
HOOK = Endpoint(url="https://Example.org:8443/hook", events=EVENTS)
TOLD = JobOptions(model="tiny", label_space="camvid-11", webhook=HOOK)
QUEUED = make_job(4, options=TOLD)
RUNNING = replace(QUEUED, counts=Counts(queued=3, running=1), started_at=NOON)
LATER = NOON + timedelta(seconds=5)
AHEAD = NOON + timedelta(hours=1)
BROKEN = Reply(status_code=500, duration_ms=12.5, response="x" * RESPONSE_BYTES)


def delivery(**changes: Any) -> Delivery:
    found = owed(QUEUED, RUNNING, now=NOON)
    assert found is not None
    return replace(found, claims=1, lease_until=LATER, **changes)


def tried(reply: Reply, **changes: Any) -> Delivery:
    return after_try(delivery(**changes), reply, now=LATER, chance=0.5)


def counted(**counts: int) -> Any:
    return replace(RUNNING, counts=Counts(**counts))


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (QUEUED, RUNNING, STARTED),
        (RUNNING, counted(queued=1, running=3), None),
        (RUNNING, counted(queued=3, succeeded=1), PROGRESS),
        (replace(RUNNING, told_at=LATER), replace(counted(queued=3, succeeded=1), told_at=LATER), None),
        (replace(RUNNING, told_at=AHEAD), replace(counted(queued=3, succeeded=1), told_at=AHEAD), PROGRESS),
        (RUNNING, counted(succeeded=3, failed=1), COMPLETED),
        (counted(succeeded=4), counted(succeeded=4), None),
        (QUEUED, replace(QUEUED, counts=Counts(canceled=4)), COMPLETED),
        (QUEUED, replace(QUEUED, counts=Counts(queued=3, canceled=1)), None),
    ],
)
def test_what_a_change_is_called(before: Any, after: Any, event: str | None):
    assert event_of(before, after, now=LATER) == event


def test_what_is_owed_says_what_a_client_would_read():
    job = replace(RUNNING, counts=Counts(running=1, succeeded=3), version=9, tenant="acme", waiting_for="storage")
    found = owed(RUNNING, job, now=LATER)
    assert found is not None
    assert (found.event, found.tenant, found.job_id, found.version, found.url) == (
        PROGRESS,
        "acme",
        "job_1",
        9,
        HOOK.url,
    )
    said = json.loads(found.body)
    assert (said["type"], said["timestamp"]) == (PROGRESS, "2026-01-01T12:00:05Z")
    view = JobView.model_validate(job_document(job, progress_at(job, LATER)))
    assert said["data"] == json.loads(view.model_dump_json())
    assert said["data"]["images_per_second"] == 0.6
    assert said["data"]["links"]["deliveries"] == "/jobs/job_1/deliveries"


def test_a_job_with_all_that_a_job_may_have_fits():
    metadata = {"text": "ü" * 2000}
    job = replace(
        RUNNING,
        counts=Counts(succeeded=4),
        metadata=metadata,
        warnings={"mask_mismatch": 3},
        skipped=Skipped(3, ("a" * 255,) * 5),
        totals=(JobTotals(class_pixels={"road": 3}, made_by={ModelVersion("tiny", "1", "ab" * 32): 4}),),
    )
    found = owed(RUNNING, job, now=LATER)
    assert found is not None
    said = json.loads(found.body)["data"]
    assert (said["metadata"], said["skipped"]["count"], said["warnings"]) == (metadata, 3, {"mask_mismatch": 3})
    assert "left_out" not in said


def test_a_body_that_would_be_too_long_does_without_what_is_longest():
    scores = {f"class-{number:04}-{'n' * 60}": 0.5 for number in range(100)}
    data: Mapping[str, Any] = {
        "id": "job_1",
        "metrics": {"class_fractions": scores, "ground_truth": {"miou": 0.5, "iou": scores, "dice": scores}},
    }
    body = body_of(COMPLETED, data, now=NOON)
    said = json.loads(body)["data"]
    assert len(body.encode()) < BODY_BYTES
    assert said["left_out"] == ["metrics.ground_truth.dice"]
    assert said["metrics"]["ground_truth"].keys() == {"miou", "iou"}
    assert said["metrics"]["class_fractions"] == scores


@pytest.mark.parametrize(
    ("models", "classes", "without"),
    [
        (2, 40, []),
        (2, 90, ["results.*.metrics.ground_truth.dice", "metrics.ground_truth.dice"]),
        (8, 90, [f"{of}metrics.{part}" for part in PARTS for of in ("results.*.", "")][:-1]),
    ],
)
def test_of_several_models_with_many_classes_the_longest_is_left_out(models: int, classes: int, without: list[str]):
    space = LabelSpace("ade", tuple(LabelClass(each, f"class-{each:03}", (0, 0, 0), "x") for each in range(classes)))
    confusion = tuple(tuple(each + 1 for each in range(classes)) for _ in range(classes))
    totals = JobTotals(
        class_pixels=dict.fromkeys(space.names(), 7),
        confusion=confusion,
        truth_images=4,
        made_by={ModelVersion("tiny", "1", "ab" * 32): 4},
    )
    names = tuple(f"model-{each}" for each in range(models))
    own = replace(RUNNING, models=names, totals=(totals,) * models, label_space="ade", spaces=JobSpaces(own=(space,)))
    found = owed(own, replace(own, counts=Counts(succeeded=4)), now=LATER)
    assert found is not None
    said = json.loads(found.body)["data"]
    assert said.get("left_out", []) == without
    assert said["results"].keys() == set(names)
    assert {each["metrics"]["ground_truth"]["images"] for each in said["results"].values()} == {4}


def test_a_body_that_cannot_be_made_short_enough_is_a_fault_of_ours():
    with pytest.raises(ValueError, match="too long"):
        body_of(COMPLETED, {"id": "x" * BODY_BYTES}, now=NOON)
    with pytest.raises(TypeError):
        body_of(COMPLETED, {"id": object()}, now=NOON)


def test_a_ping_is_of_no_job():
    found = ping("acme", HOOK, now=NOON)
    assert (found.tenant, found.job_id, found.event, found.due_at) == ("acme", None, PING, NOON)
    assert json.loads(found.body)["type"] == PING


def test_receivers_are_told_apart_by_host_and_port():
    assert host_of(HOOK.url) == "example.org:8443"


def test_a_2xx_ends_it():
    done = tried(Reply(status_code=204))
    assert (done.status, done.ended_at, done.due_at, done.lease_until, done.tries) == (
        "delivered",
        LATER,
        None,
        None,
        1,
    )


def test_ten_further_tries_in_about_three_days_and_then_none():
    assert 2.5 < sum(PAUSES_S) / 86400 < 3
    waits, found = [], delivery()
    for _ in PAUSES_S:
        found = after_try(found, BROKEN, now=LATER, chance=0.5)
        assert found.status is DeliveryStatus.PENDING
        assert found.due_at is not None
        waits.append((found.due_at - LATER).total_seconds())
    assert waits == [5, 30, 120, 600, 3600, 10800, 21600, 43200, 86400, 86400]
    last = after_try(found, BROKEN, now=LATER, chance=0.5)
    assert (last.status, last.ended_at, last.due_at, last.tries) == ("exhausted", LATER, None, 11)


@pytest.mark.parametrize("reply", [Reply(status_code=302), Reply(status_code=404), Reply(error="no answer"), BROKEN])
def test_what_is_no_2xx_is_tried_again(reply: Reply):
    assert tried(reply).status is DeliveryStatus.PENDING


def test_410_stops():
    assert (tried(Reply(status_code=410)).status, tried(Reply(status_code=410)).due_at) == ("gone", None)


def test_a_ping_is_tried_once():
    assert tried(BROKEN, job_id=None).status is DeliveryStatus.EXHAUSTED


def test_a_receiver_may_ask_for_more_time_but_not_for_ever():
    assert tried(Reply(status_code=503, retry_after_s=120)).due_at == LATER + timedelta(seconds=120)
    assert tried(Reply(status_code=503, retry_after_s=0)).due_at == LATER + timedelta(seconds=5)
    assert pause_after(5, 1e9, chance=0) == LONGEST_PAUSE_S


def test_pauses_are_spread():
    assert pause_after(100, None, chance=0) == pytest.approx(100 * (1 - JITTER))
    assert pause_after(100, None, chance=1) == pytest.approx(100 * (1 + JITTER))


def test_what_came_back_is_kept_of_the_latest_tries():
    found = delivery()
    for number in range(KEPT_TRIES + 5):
        found = after_try(found, Reply(status_code=500 + number), now=LATER, chance=0.5)
    assert [done.status_code for done in found.log] == list(range(505, 505 + KEPT_TRIES))
    done = tried(BROKEN).log[-1]
    assert (done.at, done.duration_ms, done.error, done.response) == (LATER, 12.5, None, BROKEN.response)


def test_what_has_ended_is_owed_once_more_from_the_beginning():
    found = again(tried(Reply(status_code=200)), now=LATER)
    assert (found.status, found.tries, found.due_at, found.ended_at, len(found.log)) == ("pending", 0, LATER, None, 1)


def test_what_waits_goes_at_once_and_what_is_being_sent_is_left_alone():
    waiting = tried(BROKEN)
    assert again(waiting, now=LATER) == replace(waiting, due_at=LATER)
    held = delivery()
    assert again(held, now=NOON) == held
    assert again(held, now=LATER).due_at == LATER
