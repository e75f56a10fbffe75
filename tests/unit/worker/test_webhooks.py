"""One webhook on its way: what is sent, what is kept of the answer, and what is refused. The receivers are real."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from jobs.addresses import is_any
from jobs.deliveries.delivery import RESPONSE_BYTES
from tests.services.processes import free_port
from tests.unit.worker.test_sources import Site, body, drip, redirect, site
from worker.web.safe_http import Guard
from worker.web.webhooks import WebhookSender, seconds_until

__all__ = ["site"]

OPEN = WebhookSender(Guard(allowed=is_any, timeout_s=60))
HURRIED = WebhookSender(Guard(allowed=is_any, timeout_s=0.3))
CLOSED = WebhookSender(Guard(timeout_s=60))
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def headers(site: Site) -> list[dict[str, str]]:
    """Of what arrives at /hook."""
    got: list[dict[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        got.append({name.lower(): value for name, value in request.headers.items()})
        body(b"thanks", status=202)(request)

    site.answers["/hook"] = answer
    return got


def test_what_is_sent_arrives_whole(site: Site, headers: list[dict[str, str]]) -> None:
    reply = OPEN.send(site.url("/hook"), {"webhook-id": "dlv_1"}, "größe".encode())
    assert (reply.status_code, reply.is_accepted, reply.response, reply.error) == (202, True, "thanks", None)
    assert reply.duration_ms > 0
    assert site.posted == ["größe".encode()]
    assert (headers[0]["webhook-id"], headers[0]["content-type"]) == ("dlv_1", "application/json")
    assert headers[0]["user-agent"].startswith("maskmill")


def test_a_redirect_is_not_followed(site: Site) -> None:
    site.answers["/hook"] = redirect(site.url("/other"), 308)
    reply = OPEN.send(site.url("/hook"), {}, b"{}")
    assert (reply.status_code, reply.is_accepted) == (308, False)
    assert [path for path, _ in site.requests] == ["/hook"]


def test_of_a_long_answer_the_first_kib_is_kept(site: Site) -> None:
    site.answers["/hook"] = body("é".encode() * 10_000, status=500)
    reply = OPEN.send(site.url("/hook"), {}, b"{}")
    assert reply.status_code == 500
    assert reply.response == "é" * (RESPONSE_BYTES // 2)


def test_a_receiver_may_ask_for_time(site: Site) -> None:
    site.answers["/hook"] = body(b"", status=503, Retry_After="90")
    assert OPEN.send(site.url("/hook"), {}, b"{}").retry_after_s == 90


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("", None), ("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("-5", None), ("soon", None), ("9" * 30, None)),
        (format_datetime(datetime(2026, 1, 1, 12, 1, tzinfo=UTC), usegmt=True), 60.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 01 Jan 99999999999999999999 12:00:30 GMT", None),
        ("Thu, 01 Jan 2026 12:00:30 +99999999999999999999", None),
    ],
)
def test_the_time_it_asks_for_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert seconds_until(text, now=NOW) == seconds


def test_an_answer_that_never_ends_is_given_up_and_its_status_counts(site: Site) -> None:
    site.answers["/hook"] = drip(headers_too=False)
    patient = WebhookSender(Guard(allowed=is_any, timeout_s=2))  # enough for a head, also on a busy machine
    reply = patient.send(site.url("/hook"), {}, b"{}")
    assert (reply.status_code, reply.error) == (200, None)


def test_a_receiver_that_does_not_answer_in_time_is_told_so(site: Site) -> None:
    site.answers["/hook"] = drip(headers_too=True)
    reply = HURRIED.send(site.url("/hook"), {}, b"{}")
    assert (reply.status_code, reply.error) == (None, "the other side took longer than 0.3 s")


def test_nobody_there_is_an_answer_too() -> None:
    reply = OPEN.send(f"http://127.0.0.1:{free_port()}/", {}, b"{}")
    assert (reply.status_code, reply.error, reply.is_accepted) == (None, "the connection failed", False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"])
def test_nothing_goes_into_a_private_network(site: Site, host: str) -> None:
    reply = CLOSED.send(site.url("/hook", host), {}, b"{}")
    assert (reply.status_code, reply.error) == (None, "addresses in private networks are refused")
    assert site.requests == []
