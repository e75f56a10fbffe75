"""What a `Prefer` header asks for, in one line or several."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from api.live.preferences import Preference, parse_preference
from jobs.errors import InvalidOptions
from tests.factories import picture


@pytest.mark.parametrize(
    ("header", "wait_s", "respond_async"),
    [
        ("", None, False),
        ("wait=5", 5, False),
        ('foo, WAIT = "5"; bar', 5, False),
        ("wait=5, wait=9", 5, False),
        ("respond-async,wait=5", 5, True),
        ('handling="a, wait=99", wait=5', 5, False),
        (r'note="a\", wait=99", wait=5', 5, False),
        ('note="never closed, wait=5', None, False),
    ],
)
def test_a_preference_is_read_as_it_is_written(header: str, wait_s: int | None, respond_async: bool) -> None:
    assert parse_preference(header, limit_s=60) == Preference(wait_s, respond_async)


@pytest.mark.parametrize("header", ["wait", "wait=", "wait=1.5", "wait=-1", "wait=61", "wait=" + "9" * 5000])
def test_an_impossible_wait_is_a_field_fault(header: str) -> None:
    with pytest.raises(InvalidOptions, match="from 0 to 60"):
        parse_preference(header, limit_s=60)


def test_several_lines_say_the_same_as_one(client: TestClient) -> None:
    headers = [("Prefer", "handling=lenient"), ("Prefer", "wait=0")]
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers=headers)
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")
