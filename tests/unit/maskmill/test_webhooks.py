"""Webhooks for whoever receives them: verifying, listening, and asking the server about them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from typer.testing import Result

from maskmill import Maskmill
from maskmill.cli.exits import REFUSED
from maskmill.errors import NotFound
from maskmill.webhooks import WebhookInvalid, verify
from tests.services.processes import free_port, wait_for
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem

Run = Callable[..., Result]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
BODY = '{"type":"job.completed","data":{"id":"job_1","status":"succeeded","name":"größe"}}'
DELIVERY = {
    "id": "dlv_1",
    "event": "job.completed",
    "url": "https://example.org/hook",
    "status": "pending",
    "attempts": [
        {"at": "2026-01-01T00:00:00Z", "status_code": 500, "duration_ms": 3.5, "error": None, "response": "no"},
    ],
}


def signed(body: str = BODY, *, secret: str = SECRET, name: str = "dlv_1", late_s: float = 0) -> dict[str, str]:
    """As the public library signs it."""
    now = datetime.now(UTC) - timedelta(seconds=late_s)
    signature = Webhook(secret).sign(name, now, body)
    timestamp = str(int(now.timestamp()))
    return {"Webhook-Id": name, "webhook-timestamp": timestamp, "webhook-signature": signature}


def test_what_the_public_library_signs_is_verified() -> None:
    assert verify(signed(), BODY, SECRET) == json.loads(BODY)
    assert verify(signed(), BODY.encode(), SECRET.removeprefix("whsec_")) == json.loads(BODY)


def test_one_signature_of_several_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = (
        f"v1a,xx v1,??? {signed(secret=OTHER)['webhook-signature']} {headers['webhook-signature']}"
    )
    assert verify(headers, BODY, SECRET)["type"] == "job.completed"


NOT_RIGHT: dict[str, tuple[Callable[[], dict[str, str]], str, str, str]] = {
    "another body": (signed, BODY.replace("succeeded", "failed"), SECRET, "no signature fits"),
    "another secret": (signed, BODY, OTHER, "no signature fits"),
    "another id": (lambda: {**signed(), "Webhook-Id": "dlv_2"}, BODY, SECRET, "no signature fits"),
    "no headers": (dict, BODY, SECRET, "webhook-id"),
    "no time": (lambda: {**signed(), "webhook-timestamp": "soon"}, BODY, SECRET, "no time"),
    "no time of ours": (lambda: {**signed(), "webhook-timestamp": "9" * 40}, BODY, SECRET, "no time"),
    "old": (lambda: signed(late_s=301), BODY, SECRET, "300 s"),
    "early": (lambda: signed(late_s=-330), BODY, SECRET, "300 s"),
    "no base64": (signed, BODY, "whsec_?", "secret"),
    "no secret": (signed, BODY, "", "secret"),
    "no object": (lambda: signed("[]"), "[]", SECRET, "object"),
    "no JSON": (lambda: signed("soon"), "soon", SECRET, "object"),
}


@pytest.mark.parametrize("name", NOT_RIGHT)
def test_what_is_not_right_is_refused(name: str) -> None:
    headers, body, secret, said = NOT_RIGHT[name]
    with pytest.raises(WebhookInvalid, match=said):
        verify(headers(), body, secret)


def test_an_old_one_may_be_verified_on_purpose() -> None:
    assert verify(signed(late_s=3600), BODY, SECRET, tolerance_s=4000)


def test_verifying_needs_no_library() -> None:
    code = "import sys; sys.modules['httpx'] = None; from maskmill.webhooks import verify"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_client_asks_about_its_webhooks(server: ToyServer) -> None:
    server.on("GET", "/webhook-secret", as_json({"secret": SECRET}))
    server.on("POST", "/webhook-secret/rotate", as_json({"secret": OTHER}))
    server.on("POST", "/webhooks/test", as_json({"delivered": True}))
    server.on("GET", "/webhook", problem(404, "webhook_not_found"))
    server.on("PUT", "/webhook", as_json({"url": "https://example.org/"}))
    server.on("DELETE", "/webhook", Answer(204))
    server.on("POST", "/deliveries/dlv_1/redeliver", as_json(DELIVERY, 202))
    with Maskmill(server.url) as client:
        assert (client.webhooks.secret(), client.webhooks.rotate()) == (SECRET, OTHER)
        assert client.webhooks.test("https://example.org/") == {"delivered": True}
        with pytest.raises(NotFound):
            client.webhooks.default()
        client.webhooks.set_default("https://example.org/", events=("job.started",))
        client.webhooks.set_default("https://example.org/")
        client.webhooks.remove_default()
        assert client.webhooks.redeliver("dlv_1")["id"] == "dlv_1"
    sent = [json.loads(each.body) for each in server.seen("PUT", "/webhook")]
    assert sent == [{"url": "https://example.org/", "events": ["job.started"]}, {"url": "https://example.org/"}]


def test_a_job_lists_its_deliveries_over_pages(server: ToyServer, job_state: Callable[..., dict[str, Any]]) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state()))
    pages = [{"items": [{"id": "dlv_1"}], "next_cursor": "2"}, {"items": [{"id": "dlv_2"}], "next_cursor": None}]
    server.on("GET", "/jobs/job_1/deliveries", *map(as_json, pages))
    with Maskmill(server.url) as client:
        assert [each["id"] for each in client.job("job_1").deliveries()] == ["dlv_1", "dlv_2"]
    assert server.seen("GET", "/jobs/job_1/deliveries")[1].query["cursor"] == "2"


@pytest.fixture
def listening(run: Run, server: ToyServer) -> Callable[..., Callable[[], Result]]:
    """`maskmill webhooks listen` in a thread, on a port of its own; call it for what it said."""

    def start(port: int, *words: str) -> Callable[[], Result]:
        server.on("GET", "/webhook-secret", as_json({"secret": SECRET}))
        results: list[Result] = []
        thread = threading.Thread(
            target=lambda: results.append(run("webhooks", "listen", "--port", str(port), *words)), daemon=True
        )
        thread.start()

        def ended() -> Result:
            thread.join(60)
            return results[0]

        return ended

    return start


def post(port: int, body: str, headers: dict[str, str]) -> int:
    answers: list[int] = []

    def try_once() -> bool:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/", content=body.encode(), headers=headers, timeout=60)
        except httpx.ConnectError:
            return False
        answers.append(answer.status_code)
        return True

    wait_for(try_once, what="the listener")
    return answers[0]


def test_a_listener_prints_what_arrives_and_whether_it_is_right(listening: Callable[..., Callable[[], Result]]) -> None:
    port = free_port()
    ended = listening(port, "--count", "3")
    assert post(port, BODY, signed()) == 204
    assert post(port, BODY, signed()) == 204
    assert post(port, BODY, signed(secret=OTHER, name="dlv_2")) == 401
    result = ended()
    assert result.exit_code == REFUSED
    assert f"Listening on http://127.0.0.1:{port}/" in result.stdout
    lines = result.stdout.strip().splitlines()[-3:]
    assert lines[0] == "dlv_1 verified job.completed job_1 succeeded"
    assert lines[1].endswith("(again)")
    assert lines[2].startswith("dlv_2 refused: no signature fits")


def test_a_listener_for_programs_gives_json_and_answers_as_it_is_told(
    listening: Callable[..., Callable[[], Result]],
) -> None:
    port = free_port()
    ended = listening(port, "--json", "--count", "1", "--answer", "503", "--secret", SECRET)
    assert post(port, BODY, signed()) == 503
    first, told = map(json.loads, ended().stdout.strip().splitlines())
    assert first == {"listening": f"http://127.0.0.1:{port}/"}
    assert (told["verified"], told["again"], told["body"]) == (True, False, json.loads(BODY))


def test_a_ping_is_told_in_words(run: Run, server: ToyServer) -> None:
    told = {"delivered": True, "status_code": 204, "duration_ms": 31.5, "error": None, "response": ""}
    lost = {**told, "delivered": False, "status_code": None, "error": "the connection failed"}
    server.on("POST", "/webhooks/test", as_json(told), as_json(lost), as_json(lost))
    assert run("webhooks", "test", "https://example.org/").stdout.strip() == "taken: 204 after 32 ms"
    result = run("webhooks", "test", "https://example.org/")
    assert (result.exit_code, result.stdout.strip()) == (REFUSED, "not taken: the connection failed after 32 ms")
    assert json.loads(run("webhooks", "test", "https://example.org/", "--json").stdout) == lost


def test_the_secret_is_printed_alone(run: Run, server: ToyServer) -> None:
    server.on("GET", "/webhook-secret", as_json({"secret": SECRET}))
    server.on("POST", "/webhook-secret/rotate", as_json({"secret": OTHER}))
    assert run("webhooks", "secret").stdout == f"{SECRET}\n"
    assert json.loads(run("webhooks", "rotate", "--json").stdout) == {"secret": OTHER}


def test_the_default_is_shown_set_and_removed(run: Run, server: ToyServer) -> None:
    told = {"url": "https://example.org/", "events": ["job.completed"], "gone_at": "2026-01-01T00:00:00Z"}
    server.on("GET", "/webhook", problem(404, "webhook_not_found"), as_json(told))
    server.on("PUT", "/webhook", as_json({**told, "gone_at": None}))
    server.on("DELETE", "/webhook", Answer(204))
    assert "tell nobody" in run("webhooks", "default").stdout
    assert "answered 410" in run("webhooks", "default").stdout
    result = run("webhooks", "default", "https://example.org/", "--events", "job.started, job.completed")
    assert result.stdout.strip() == "https://example.org/: job.completed"
    (sent,) = server.seen("PUT", "/webhook")
    assert json.loads(sent.body)["events"] == ["job.started", "job.completed"]
    assert json.loads(run("webhooks", "default", "--remove", "--json").stdout) == {"webhook": None}


@pytest.mark.parametrize(
    "words",
    [("--events", "job.started"), ("https://example.org/", "--remove"), ("--remove", "--events", "job.started")],
)
def test_a_default_that_is_half_said_changes_and_shows_nothing(run: Run, server: ToyServer, words: tuple[str]) -> None:
    result = run("webhooks", "default", *words)
    assert (result.exit_code, result.stdout) == (REFUSED, "")
    assert not server.requests


def test_an_empty_address_is_not_taken_for_none(run: Run, server: ToyServer) -> None:
    server.on("PUT", "/webhook", problem(422, "invalid_options"))
    assert run("webhooks", "default", "").exit_code == REFUSED


def test_deliveries_are_a_table(run: Run, server: ToyServer, job_state: Callable[..., dict[str, Any]]) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state()))
    page = {"items": [DELIVERY, {**DELIVERY, "id": "dlv_2", "attempts": []}], "next_cursor": None}
    empty: dict[str, Any] = {"items": [], "next_cursor": None}
    server.on("GET", "/jobs/job_1/deliveries", as_json(page), as_json(page), as_json(empty))
    lines = run("webhooks", "deliveries", "job_1").stdout.splitlines()
    assert re.match(r"dlv_1 +job\.completed +pending +1 .* ago +500", lines[1])
    assert json.loads(run("webhooks", "deliveries", "job_1", "--json").stdout)["items"][0] == DELIVERY
    assert "nothing was sent" in run("webhooks", "deliveries", "job_1").stdout


def test_a_delivery_is_sent_again(run: Run, server: ToyServer) -> None:
    server.on("POST", "/deliveries/dlv_1/redeliver", as_json(DELIVERY, 202))
    assert run("webhooks", "redeliver", "dlv_1").stdout.strip() == "dlv_1 (job.completed) is sent again"
    assert json.loads(run("webhooks", "redeliver", "dlv_1", "--json").stdout) == DELIVERY


def test_a_job_may_name_a_receiver(run: Run, server: ToyServer, job_state: Callable[..., dict[str, Any]]) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    assert run("submit", "sample:street_01", "--webhook", "https://example.org/").exit_code == 0
    assert json.loads(server.requests[0].body)["webhook"] == {"url": "https://example.org/"}


def test_a_listener_without_its_port_says_which(run: Run, server: ToyServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("webhooks", "listen", "--port", str(port), "--secret", SECRET)
    assert ended.exit_code == REFUSED
    assert f"port {port} is not to be had (Address already in use); choose another with --port" in ended.stderr
