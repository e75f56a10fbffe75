"""Where webhooks may go, as options of a job say it and as a tenant's default."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.deliveries.endpoint import COMPLETED, EVENTS, Endpoint, parse_endpoint, refuse_private
from jobs.errors import InvalidOptions
from jobs.options import JobOptions, parse_option_fields, parse_options

URL = "https://example.org/hook?token=1"


def faults(value: Any) -> dict[str, str]:
    with pytest.raises(InvalidOptions) as caught:
        parse_options({"webhook": value})
    return {fault.field: fault.message for fault in caught.value.faults}


def test_a_job_may_name_a_receiver():
    options = parse_options({"webhook": {"url": URL}})
    assert options.webhook == Endpoint(url=URL, events=(COMPLETED,))
    assert parse_options(options.to_dict()) == options
    assert parse_options({"webhook": None}).webhook is None
    assert "webhook" not in JobOptions().to_dict()


def test_events_come_in_their_order_and_once():
    options = parse_options({"webhook": {"url": URL, "events": [COMPLETED, "job.started", COMPLETED]}})
    assert options.webhook is not None
    assert options.webhook.events == ("job.started", COMPLETED)


def test_a_form_may_name_a_receiver_too():
    options = parse_option_fields({"webhook": '{"url": "http://a.example"}'}, options=None)
    assert options.webhook == Endpoint(url="http://a.example")


@pytest.mark.parametrize(
    "url",
    [
        *("", None, 5, "example.org", "ftp://example.org", "https://", "https://user:pass@example.org", "https://@a/"),
        *("https://example.org/a b", "https://example.org/\n", "https://[::1", "http://a:0/", "http://a:99999/"),
        *("https://example.org/" + "a" * 2048, "https://example.org/" + "é" * 1024, "https://example.org/\ud800"),
    ],
)
def test_what_is_no_address_is_refused(url: Any):
    assert list(faults({"url": url})) == ["webhook.url"]


@pytest.mark.parametrize("events", [[], "job.completed", 3, ["job.completed", "other"], [["job.completed"]]])
def test_what_are_no_events_is_refused(events: Any):
    assert list(faults({"url": URL, "events": events})) == ["webhook.events"]


def test_every_fault_is_told_at_once():
    assert faults({"url": "x", "events": [], "other": 1}).keys() == {"webhook.url", "webhook.events", "webhook.other"}
    assert list(faults("https://example.org")) == ["webhook"]


def test_a_default_receiver_is_read_the_same_way():
    assert parse_endpoint(URL, list(EVENTS)) == Endpoint(url=URL, events=EVENTS)
    with pytest.raises(InvalidOptions) as caught:
        parse_endpoint("x", [])
    assert [fault.field for fault in caught.value.faults] == ["url", "events"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "[::1]", "[fd00::1]", "[fe80::1%25eth0]"),
        *("[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "localhost", "a.localhost", "LOCALHOST.", "0.0.0.0"),  # noqa: S104
    ],
)
def test_an_address_that_says_itself_that_it_is_private_is_refused(host: str):
    endpoint = Endpoint(url=f"http://{host}:8080/hook")
    with pytest.raises(InvalidOptions, match="private"):
        refuse_private(endpoint, allowed=False)
    refuse_private(endpoint, allowed=True)


@pytest.mark.parametrize("host", ["example.org", "93.184.215.14", "[2606:2800::1]", "localhost.example.org"])
def test_any_other_name_is_looked_at_when_it_is_sent(host: str):
    refuse_private(Endpoint(url=f"http://{host}/"), allowed=False)
