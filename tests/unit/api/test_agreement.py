"""Whatever is sent, the answer is one that the OpenAPI document names, and never an accident."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.main import create_app
from tests.factories import picture
from tests.unit.api.house import LOCAL, House

JOB = "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"
DOCUMENT: dict[str, Any] = create_app().openapi()
READING = [
    (path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if method == "get" and path != "/events"  # which does not end; test_events.py reads it
]
# Waits would only make the test slow.
ODD = st.one_of(
    st.text(max_size=20), st.sampled_from([JOB, "0", "-1", "1", "tiny", "cityscapes-8", "mask", "\x00", "%"])
)
# The first text drawn in a fresh clone builds Hypothesis' table of characters: slow once, whatever the strategy.
RELAXED = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str]]:
    """A house with one finished job."""
    house = House(Path(tmp_path_factory.mktemp("house")))
    with TestClient(
        create_app(lambda: nullcontext(house.services())), base_url=LOCAL, raise_server_exceptions=False
    ) as client:
        job_id = client.post("/jobs", files={"files": ("a.jpg", picture())}).json()["id"]
        house.work()
        yield client, str(job_id)


def agree(answer: Any, operation: dict[str, Any]) -> None:
    assert str(answer.status_code) in operation["responses"], (answer.status_code, answer.text[:300])
    assert answer.status_code != 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(("path", "operation"), READING, ids=[path for path, _ in READING])
@RELAXED
@given(data=st.data())
def test_reading_answers_as_documented(
    served: tuple[TestClient, str], path: str, operation: dict[str, Any], data: st.DataObject
) -> None:
    client, job_id = served
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for parameter in operation.get("parameters", []):
        name, place = parameter["name"], parameter["in"]
        if place == "path":
            known = {"job_id": job_id, "index": "0"}.get(name, "0")
            value = data.draw(st.one_of(st.just(known), ODD.filter(lambda text: bool(text.strip("./")))))
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        elif place == "query" and name != "wait" and data.draw(st.booleans()):
            query[name] = data.draw(ODD)
    if data.draw(st.booleans()):
        headers["Range"] = data.draw(st.sampled_from(["bytes=0-3", "bytes=-9", "bytes=99999999-", "bytes=x"]))
    answer = client.get(path, params=query, headers=headers, follow_redirects=False)
    if answer.status_code == 404 and answer.json()["code"] == "not_found":
        return  # a name with a slash in it led to no route at all
    agree(answer, operation)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
OPTIONS = (
    "model",
    "label_space",
    "mask_label_space",
    "mask_suffix",
    "artifacts",
    "overlay",
    "tile",
    "priority",
    "expires_in",
    "metadata",
)


@RELAXED
@given(options=st.dictionaries(st.sampled_from([*OPTIONS, "other"]), VALUES, max_size=3), inputs=VALUES)
def test_any_json_is_answered_as_documented(
    served: tuple[TestClient, str], options: dict[str, Any], inputs: Any
) -> None:
    client, _ = served
    for given_inputs in (inputs, [{"sample": "market"}]):
        body = json.dumps({**options, "inputs": given_inputs}).encode()
        answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
        agree(answer, DOCUMENT["paths"]["/jobs"]["post"])
        if answer.status_code == 202:
            assert client.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize("path", ["/jobs", "/predict"])
@RELAXED
@given(body=st.binary(max_size=200), fields=st.dictionaries(st.sampled_from(OPTIONS), st.text(max_size=12), max_size=2))
def test_any_form_is_answered_as_documented(
    served: tuple[TestClient, str], path: str, body: bytes, fields: dict[str, str]
) -> None:
    client, _ = served
    operation = DOCUMENT["paths"][path]["post"]
    agree(client.post(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=B"}), operation)
    head = b'--B\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
    agree(
        client.post(path, content=head + body, headers={"Content-Type": "multipart/form-data; boundary=B"}), operation
    )
    file = {"files" if path == "/jobs" else "file": ("a.jpg", picture())}
    agree(client.post(path, files=file, data=fields, headers={"Prefer": "wait=0"}), operation)


@pytest.mark.parametrize(
    "body",
    [
        '{"inputs": [{"sample": "market"}], "overlay": {"opacity": %s}}' % ("[" * 900 + "]" * 900),
        '{"inputs": [{"sample": "market"}], "metadata": {"a": %s}}' % ("[" * 900 + "]" * 900),
        '{"inputs": %s}' % ("[" * 900 + "]" * 900),
        '{"inputs": [{"sample": "market"}], "label_space": "%s"}' % ("x" * 1_000_000),
        '{"inputs": [{"sample": "market"}], "\\ud800": 1}',
        '{"inputs": [{"sample": "market"}], "metadata": {"a": "\\ud800"}}',
    ],
    ids=["deep option", "deep metadata", "deep inputs", "long", "half a pair as a name", "half a pair"],
)
def test_a_body_beyond_reason_is_refused_in_few_words(served: tuple[TestClient, str], body: str) -> None:
    client, _ = served
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert len(answer.content) < 10_000
