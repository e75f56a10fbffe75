"""Webhooks as clients see them: chosen, signed, listed, tried out, and sent once more."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from jobs.callers import SCOPES, Limits
from jobs.deliveries.delivering import Delivering, DeliveryRules
from jobs.deliveries.delivery import Reply
from jobs.tenants.keyring import Keyring
from tests.factories import picture
from tests.unit.api.house import House

URL = "https://example.org/hook"
NO_SUCH = "dlv_01JD3T1M4Z8Q5R6S7T8V9WAXBY"


class Receiver:
    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.bodies: list[dict[str, Any]] = []

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.bodies.append(json.loads(body))
        return self.replies.pop(0) if self.replies else Reply(status_code=204, response="thanks", duration_ms=1.5)


def deliver(house: House, receiver: Receiver) -> None:
    """Once all that is due."""
    delivering = Delivering(house.database.unit, receiver, DeliveryRules())
    while found := delivering.claim(9):
        for each in found:
            delivering.deliver(each)


@contextmanager
def delivered(house: House, receiver: Receiver) -> Iterator[None]:
    """By a thread, as long as the block lasts."""
    with again_and_again(lambda: deliver(house, receiver)):
        yield


@contextmanager
def again_and_again(do: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.01):
            do()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


def submit(client: TestClient, **fields: str) -> str:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, data=fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def deliveries(client: TestClient, job_id: str) -> list[dict[str, Any]]:
    answer = client.get(f"/jobs/{job_id}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def test_a_jobs_receiver_is_told_of_its_end(house: House, client: TestClient) -> None:
    job_id = submit(client, webhook=json.dumps({"url": URL, "events": ["job.started", "job.completed"]}))
    assert deliveries(client, job_id) == []
    house.work()
    receiver = Receiver(Reply(status_code=500, response="no"))
    deliver(house, receiver)
    first, second = deliveries(client, job_id)
    assert (first["event"], first["status"], first["ended_at"]) == ("job.started", "pending", None)
    assert [(done["status_code"], done["response"]) for done in first["attempts"]] == [(500, "no")]
    assert first["next_attempt_at"] > first["created_at"]
    assert (second["event"], second["attempts"]) == ("job.completed", [])
    house.clock.advance(10)
    deliver(house, receiver)
    assert [each["status"] for each in deliveries(client, job_id)] == ["delivered", "delivered"]
    assert receiver.bodies[-1] == {
        "type": "job.completed",
        "timestamp": receiver.bodies[-1]["timestamp"],
        "data": client.get(f"/jobs/{job_id}").json(),
    }


def test_what_was_delivered_can_be_sent_again(house: House, client: TestClient) -> None:
    job_id = submit(client, webhook=json.dumps({"url": URL}))
    house.work()
    receiver = Receiver()
    deliver(house, receiver)
    (sent,) = deliveries(client, job_id)
    answer = client.post(sent["links"]["redeliver"])
    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["status"]) == (sent["id"], "pending")
    assert house.dispatcher.calls == 1
    deliver(house, receiver)
    assert receiver.bodies[0] == receiver.bodies[1]
    assert len(deliveries(client, job_id)[0]["attempts"]) == 2


def test_a_queue_that_is_away_does_not_hinder_it(house: House, client: TestClient) -> None:
    job_id = submit(client, webhook=json.dumps({"url": URL}))
    house.work()
    house.dispatcher.away = True
    assert client.post(deliveries(client, job_id)[0]["links"]["redeliver"]).status_code == 202


@pytest.mark.parametrize("delivery_id", [NO_SUCH, "dlv_1", "x'"])
def test_a_delivery_that_is_not_there_is_not_found(client: TestClient, delivery_id: str) -> None:
    answer = client.post(f"/deliveries/{delivery_id}/redeliver")
    assert (answer.status_code, answer.json()["code"]) == (404, "delivery_not_found")


def test_deliveries_come_in_pages(house: House, client: TestClient) -> None:
    job_id = submit(client, webhook=json.dumps({"url": URL, "events": ["job.started", "job.completed"]}))
    house.work()
    first = client.get(f"/jobs/{job_id}/deliveries", params={"limit": 1}).json()
    second = client.get(f"/jobs/{job_id}/deliveries", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [each["event"] for page in (first, second) for each in page["items"]] == ["job.started", "job.completed"]
    assert second["next_cursor"] is None
    for cursor in ("x", "-1", "９", "1" * 15):
        answer = client.get(f"/jobs/{job_id}/deliveries", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")
    assert client.get("/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/deliveries").json()["code"] == "job_not_found"


@pytest.mark.parametrize("url", ["http://127.0.0.1/hook", "http://[::1]:9/", "http://169.254.169.254/", "nonsense"])
def test_a_private_receiver_is_refused_and_leaves_nothing(house: House, client: TestClient, url: str) -> None:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"webhook": json.dumps({"url": url})})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "webhook.url")
    assert client.get("/jobs").json()["items"] == []
    assert house.objects.contents == {}
    for method, path in (("PUT", "/webhook"), ("POST", "/webhooks/test")):
        answer = client.request(method, path, json={"url": url})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")


def test_a_server_may_allow_private_receivers(house: House, open_client: Callable[[House], TestClient]) -> None:
    house.settings = ApiSettings(allow_private_addresses=True)
    client = open_client(house)
    submit(client, webhook=json.dumps({"url": "http://127.0.0.1:9/"}))
    assert client.put("/webhook", json={"url": "http://localhost:9/"}).status_code == 200


def test_jobs_that_name_no_receiver_have_the_tenants(house: House, client: TestClient) -> None:
    assert client.get("/webhook").json()["code"] == "webhook_not_found"
    before = submit(client)
    answer = client.put("/webhook", json={"url": URL, "events": ["job.completed"]})
    assert answer.json() == {"url": URL, "events": ["job.completed"], "gone_at": None}
    assert client.get("/webhook").json() == answer.json()
    job_id, own = submit(client), submit(client, webhook=json.dumps({"url": "https://example.org/own"}))
    assert client.delete("/webhook").status_code == 204
    assert client.get("/webhook").status_code == 404
    after = submit(client)
    house.work()
    assert [each["url"] for each in deliveries(client, job_id)] == [URL]
    assert [each["url"] for each in deliveries(client, own)] == ["https://example.org/own"]
    assert deliveries(client, before) == deliveries(client, after) == []
    told = {"url": "https://example.org/***", "events": ["job.completed"]}
    assert client.get(f"/jobs/{job_id}").json()["options"]["webhook"] == told


@pytest.mark.parametrize(
    "body", [{}, {"url": 5}, {"url": URL, "events": []}, {"url": URL, "events": ["x"]}, {"url": URL, "x": 1}, [], None]
)
def test_a_default_that_makes_no_sense_is_refused(client: TestClient, body: Any) -> None:
    assert client.put("/webhook", json=body).status_code == 422


def test_the_secret_is_made_once_and_changes_when_asked_to(client: TestClient) -> None:
    first = client.get("/webhook-secret")
    assert first.headers["cache-control"] == "no-store"
    assert first.json()["secret"].startswith("whsec_")
    assert first.json()["previous_until"] is None
    assert client.get("/webhook-secret").json() == first.json()
    second = client.post("/webhook-secret/rotate").json()
    assert second["secret"] != first.json()["secret"]
    assert second["previous_until"] is not None
    assert client.get("/webhook-secret").json() == second


def test_a_ping_tells_what_came_back(house: House, client: TestClient) -> None:
    receiver = Receiver()
    with delivered(house, receiver):
        answer = client.post("/webhooks/test", json={"url": URL})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["delivered"], told["status_code"], told["response"], told["error"]) == (True, 204, "thanks", None)
    assert receiver.bodies[0]["type"] == "ping"
    with delivered(house, Receiver(Reply(error="the connection failed"))):
        told = client.post("/webhooks/test", json={"url": URL}).json()
    assert (told["delivered"], told["status_code"], told["error"]) == (False, None, "the connection failed")
    with house.database.unit() as unit:
        assert unit.deliveries.backlog().pending == 0


def test_a_ping_that_nobody_sends_is_told_so(house: House, open_client: Callable[[House], TestClient]) -> None:
    house.settings = ApiSettings(webhook_wait_s=0.15)
    answer = open_client(house).post("/webhooks/test", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (503, "webhooks_unavailable")
    with house.database.unit() as unit:
        assert unit.deliveries.backlog().pending == 0


def test_a_ping_that_does_not_end_in_time_is_not_said_to_be_sent_by_nobody(
    house: House, open_client: Callable[[House], TestClient]
) -> None:
    house.settings = ApiSettings(webhook_wait_s=0.15)
    delivering = Delivering(house.database.unit, Receiver(), DeliveryRules())
    with again_and_again(lambda: delivering.claim(9)):
        answer = open_client(house).post("/webhooks/test", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (503, "webhooks_unavailable")
    assert answer.json()["detail"] == "it is being sent, and did not end within 0.15 s"


def test_who_may_read_jobs_is_not_told_where_their_webhooks_go(house: House, client: TestClient) -> None:
    client.put("/webhook", json={"url": "https://hooks.example.org/T0/secret?token=1"})
    submitted = client.post("/jobs", files=[("files", ("a.png", picture(), "image/png"))])
    job_id = submitted.json()["id"]
    house.work()
    answers = [submitted, client.get("/jobs"), client.get(f"/jobs/{job_id}"), client.get(f"/jobs/{job_id}/events")]
    for answer in answers:
        assert "hooks.example.org/***" in answer.text
        assert "secret" not in answer.text


def test_a_receiver_is_not_told_in_the_archive(house: House, client: TestClient) -> None:
    job_id = submit(client, webhook=json.dumps({"url": URL}))
    house.work()
    assert b"example.org" not in client.get(f"/jobs/{job_id}/archive").content


def test_where_webhooks_go_is_told_in_full_to_admins_alone(house: House, client: TestClient) -> None:
    house.settings = house.settings.model_copy(update={"key_memory_s": 1e-9})
    client.put("/webhook", json={"url": "https://hooks.example.org:8443/T0/secret?token=1"})
    job_id = submit(client)
    house.work()
    keyring = Keyring(house.database.unit)
    seen = {}
    for scope in SCOPES:
        _, key = keyring.create("default", scope, Limits())
        answer = client.get(f"/jobs/{job_id}/deliveries", headers={"X-API-Key": key})
        seen[scope] = answer.json()["items"][0]["url"]
    hidden = "https://hooks.example.org:8443/***"
    assert seen == {"read": hidden, "submit": hidden, "admin": "https://hooks.example.org:8443/T0/secret?token=1"}
