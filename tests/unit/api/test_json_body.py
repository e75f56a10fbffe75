"""JSON bodies while they come, and what is not read of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.bodies.json_body import ITEM_EVENTS, LONGEST_RUN, OPTION_EVENTS, read_json
from api.errors import BadRequest

VALUES = {
    "model": "tiny",
    "metadata": {"a": [1, 2.5, {"b": None}], "c": "\u00e9\u6771\U0001f600", "deep": [[[]]], "big": 10**30},
    "inputs": [{"url": "https://example.org/a.jpg", "mask": {"url": "x"}}, 7, None, [], "text"],
    "expires_in": 60,
    "empty": {},
}


def read(*pieces: bytes) -> tuple[dict[str, Any], list[Any]]:
    items: list[Any] = []
    return read_json(iter(pieces), lists={"inputs": items.append}), items


@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_a_body_in_pieces_of_any_size_reads_as_json_does(size: int) -> None:
    for text in (json.dumps(VALUES), json.dumps(VALUES, ensure_ascii=False, indent=2)):
        body = b"\xef\xbb\xbf" * (size > 3) + text.encode()
        values, items = read(*(body[start : start + size] for start in range(0, len(body), size)))
        assert items == VALUES["inputs"]
        assert values == {**VALUES, "inputs": []}
        assert isinstance(values["metadata"]["a"][1], float)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_escapes_are_read_wherever_the_body_is_cut(size: int) -> None:
    body = rb'{"a": "\ud83d\ude00\\ud83d\"\n\u00e9\\\\", "\uD83D\uDE00": 1}'
    values, _ = read(*(body[start : start + size] for start in range(0, len(body), size)))
    assert values == json.loads(body)


@pytest.mark.parametrize("value", [None, {}, {"inputs": [1]}, "x", 3])
def test_inputs_that_are_no_list_are_left_to_be_refused(value: object) -> None:
    values, items = read(json.dumps({"inputs": value}).encode())
    assert (values, items) == ({"inputs": value}, [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not readable JSON"),
        (b"[]", "must be a JSON object"),
        (b"{", "not readable JSON"),
        (b'{"a": 1} x', "not readable JSON"),
        (b'{"a": NaN}', "not readable JSON"),
        (b'{"a": "\xff"}', "not readable JSON"),
        (b'{"inputs": [], "inputs": []}', "twice"),
        (rb'{"a": "x\ud83d"}', "surrogate"),
        (rb'{"a": "x\ud83dx\ude00"}', "surrogate"),
        (rb'{"a": "\ude00"}', "surrogate"),
        (rb'{"a": "\\\ude00"}', "surrogate"),
        (b'{"a": "' + b"x" * (LONGEST_RUN + 1), "text or number"),
        (b'{"a": ' + b"1" * (LONGEST_RUN + 1), "text or number|digits in a row"),
        (b'{"a": [' + b'"1",' * (OPTION_EVENTS + 1), "more values than any request needs"),
        (b'{"inputs": [[' + b'"1",' * (ITEM_EVENTS + 1), "more values than any request needs"),
        (b'{"inputs": [{' + b'"a":"1",' * ITEM_EVENTS, "more values than any request needs"),
        (b'{"a": ' + b"[" * 100_000, "more values|text or number"),
        (b'{"inputs": ' + b"9" * 5_000 + b"}", "digits in a row"),
        (b'{"inputs": [' + b"9" * 5_000 + b"]}", "digits in a row"),
    ],
)
def test_what_is_no_json_or_too_much_of_it_is_a_bad_request(body: bytes, words: str) -> None:
    for size in (1000, 7 if len(body) < 100 else 900, len(body) or 1):
        with pytest.raises(BadRequest, match=words):
            read(*(body[start : start + size] for start in range(0, len(body), size)))


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"nonsense", "bad_request"), (b'{"inputs": 7}', "invalid_options"), (b"{}", "invalid_options"),
     (b'{"inputs": []}', "no_images")],
)  # fmt: skip
def test_a_body_that_names_no_inputs_is_refused(client: TestClient, body: bytes, code: str) -> None:
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["code"] == code


def test_a_key_belongs_to_what_a_body_says_and_not_to_its_bytes(client: TestClient) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    bodies = [
        b'{"inputs": [{"sample": "market", "ref": "1"}], "expires_in": 60}',
        b'{"expires_in":60,"inputs":[{"ref":"1","sample":"market"}]}',
        b'{"expires_in":60,"inputs":[{"ref":"2","sample":"market"}]}',
    ]
    first, same, other = (client.post("/jobs", content=body, headers=headers) for body in bodies)
    assert first.json()["id"] == same.json()["id"]
    assert other.json()["code"] == "idempotency_key_reused"


PEAK = """
import tracemalloc
from api.errors import BadRequest
from api.bodies.inputs import InputReader
from api.bodies.json_body import read_json
from jobs.errors import JobsError
PIECE = 1 << 16
BODIES = [
    (b'{"inputs": [', b"{}," * (PIECE // 3)),
    (b'{"metadata": [', b"[]," * (PIECE // 3)),
    (b'{"metadata": "', "\U0001f600".encode() * (PIECE // 4)),
]
tracemalloc.start()
for start, piece in BODIES:
    reader = InputReader(frozenset(), limit=100_000)
    try:
        read_json((part for part in [start, *[piece] * 1024]), lists={"inputs": reader.take})
    except (BadRequest, JobsError):
        pass
print(tracemalloc.get_traced_memory()[1])
"""


def test_a_body_of_64_mib_is_not_held_whatever_it_consists_of() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * 2**20  # parsed whole: more than a gigabyte
