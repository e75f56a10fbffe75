"""Two tenants on one service: whatever route one of them calls with what is the other's, it is as if that never was.

Generated from the route table: a route with a parameter, or a body, that nobody has thought about here fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from api.access import declared
from api.main import create_app
from api.settings import ApiSettings
from jobs.callers import Limits
from jobs.tenants.keyring import Keyring
from tests.factories import make_card, mask, picture, zip_of
from tests.fakes import FakeCatalog
from tests.unit.api.house import LOCAL, House
from tests.unit.api.live import serving

MARK = "acmesecret"  # in whatever the first tenant names itself
DRAWN = mask(np.zeros((24, 32), np.uint8))
HOOK = {"url": f"https://{MARK}.example/hook", "events": ["job.completed"]}
NEVER = {  # what nobody has
    "job_id": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "delivery_id": "dlv_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "upload_id": "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "key_id": "key_000000000000",
}
OF_NOBODY = {  # parameters that name what the service itself has, the same for all
    "index": "0",
    "artifact": "mask",
    "name": "tiny",
    "sample_id": "market",
    "image_id": "market",
}
OF_THE_OPERATOR = {("PUT", "/keys/{key_id}/limits")}  # whosever it is
ENDLESS = {"/events"}  # below, in a test of its own
BODIES: Mapping[tuple[str, str], Callable[[Mapping[str, str]], dict[str, Any]]] = {
    ("POST", "/jobs"): lambda ids: {"json": {"inputs": [{"upload": ids["upload_id"]}]}},
    ("POST", "/predict"): lambda ids: {"files": {"other": ("a.jpg", b"")}},
    ("PUT", "/jobs/{job_id}/images/{index}/correction"): lambda ids: {"content": DRAWN},
    ("POST", "/jobs/{job_id}/corrections"): lambda ids: {"content": zip_of({"masks/x.png": DRAWN})},
    ("PUT", "/webhook"): lambda ids: {"json": {"url": "not an address"}},
    ("POST", "/webhooks/test"): lambda ids: {"json": {"url": "not an address"}},
    ("POST", "/predict/"): lambda ids: {"files": {"other": ("a.jpg", b"")}},
    ("POST", "/predict_from_file/"): lambda ids: {"files": {"other": ("a.jpg", b"")}},
    ("POST", "/predict_from_id/"): lambda ids: {"json": {"image_id": ids["job_id"], "model_name": "tiny"}},
    ("POST", "/keys"): lambda ids: {"json": {"scope": "read", "tenant": "no tenant"}},
    ("PUT", "/keys/{key_id}/limits"): lambda ids: {"json": {"images_per_day": 1}},
    ("POST", "/uploads"): lambda ids: {"json": {"files": "none"}},
    ("PUT", "/uploads/{upload_id}/content"): lambda ids: {
        "content": b"x",
        "params": {"expires": 2**40, "signature": "0" * 64},
    },
}

APP = create_app(compat=True)  # for its table


def table(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    for route in app.state.routes:
        access = declared(route)
        is_told_to_all = access is None or (access.scope is None and "_id}" not in route.path)
        if isinstance(route, APIRoute) and not is_told_to_all:
            yield from ((method, route.path, route) for method in sorted(route.methods or ()))


ROUTES = [(method, path) for method, path, _ in table(APP) if path not in ENDLESS]


class Tenants:
    """The first has all that a tenant can have; the second calls."""

    def __init__(self, house: House, client: TestClient) -> None:
        self.house, self.client = house, client
        keyring = Keyring(house.database.unit)
        self.keys = {name: keyring.create(name, "admin", Limits())[1] for name in ("acme", "zeta")}
        self.ids = self._settle()

    def call(self, tenant: str, method: str, path: str, **content: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[tenant]}", **content.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **content)

    def _settle(self) -> dict[str, str]:
        assert self.call("acme", "PUT", "/webhook", json=HOOK).status_code == 200
        self.secret = self.call("acme", "GET", "/webhook-secret").json()["secret"]
        named = {"metadata": json.dumps({"who": MARK}), "models": "tiny,other"}
        files = {"files": (f"{MARK}.jpg", picture())}
        job = self.call("acme", "POST", "/jobs", files=files, data=named, headers={"Idempotency-Key": MARK})
        assert job.status_code == 202, job.text
        self.house.work()
        assert self.call("acme", "POST", "/jobs", files=files, data=named).status_code == 202  # which waits
        drawn = self.call("acme", "PUT", f"/jobs/{job.json()['id']}/images/0/correction", content=DRAWN)
        assert drawn.status_code == 200, drawn.text
        deliveries = self.call("acme", "GET", f"/jobs/{job.json()['id']}/deliveries").json()["items"]
        file = {"name": f"{MARK}.jpg", "size": 9, "content_type": "image/jpeg"}
        upload = self.call("acme", "POST", "/uploads", json={"files": [file]}).json()["uploads"][0]
        key = self.call("acme", "GET", "/keys").json()["items"][0]
        ids = {"job_id": job.json()["id"], "delivery_id": deliveries[0]["id"], "upload_id": upload["upload"]}
        return {**ids, "key_id": key["id"]}

    def state(self) -> dict[str, Any]:
        """All that the first tenant sees of itself."""
        job = f"/jobs/{self.ids['job_id']}"
        seen = {
            path: self.call("acme", "GET", path).json()
            for path in (
                *(job, f"{job}/images", f"{job}/deliveries", "/jobs", "/webhook", "/webhook-secret", "/limits"),
                "/keys",
                f"/uploads/{self.ids['upload_id']}",
            )
        }
        return {**seen, "objects": sorted(self.house.objects.contents)}

    @property
    def traces(self) -> list[str]:
        """What would tell of the first tenant."""
        with self.house.database.unit("acme") as unit:
            keys = [each.id for each in unit.credentials.all()]
        jobs = [job["id"] for job in self.call("acme", "GET", "/jobs").json()["items"]]
        return [MARK, "acme", self.secret, *self.ids.values(), *keys, *jobs]


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    settings = ApiSettings(key_memory_s=60, compat_models={"deeplab": "tiny"}, compat_wait_s=1)
    cards = FakeCatalog([make_card(), make_card("other")])
    house = House(Path(tmp_path_factory.mktemp("house")), settings, catalog=cards)
    with TestClient(
        create_app(lambda: nullcontext(house.services()), compat=True), base_url=LOCAL, raise_server_exceptions=False
    ) as client:
        yield Tenants(house, client)


def asked(method: str, path: str, ids: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The call of a route with these ids, and what goes with it."""
    names = re.findall(r"{(\w+)(?::\w+)?}", path)
    unknown = [name for name in names if name not in {**NEVER, **OF_NOBODY}]
    assert not unknown, f"say in NEVER or OF_NOBODY whose {unknown} are"
    values = {**OF_NOBODY, **NEVER, **ids}
    address = re.sub(r"{(\w+)(?::\w+)?}", lambda found: values[found[1]], path)
    body = BODIES.get((method, path))
    content = {} if body is None else body(values)
    return address, content


def told(answer: Any, ids: Mapping[str, str]) -> tuple[int, str]:
    """Without what is of the call itself: the ids that it named and the name of the request."""
    text = answer.text.replace(answer.headers["x-request-id"], "")
    for name, value in ids.items():
        text = text.replace(value, name)
    return answer.status_code, text


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[" ".join(each) for each in ROUTES])
def test_what_is_another_tenants_is_as_if_it_never_was(tenants: Tenants, method: str, path: str) -> None:
    before, traces = tenants.state(), tenants.traces
    theirs, content = asked(method, path, tenants.ids)
    never, as_content = asked(method, path, NEVER)
    answer = tenants.call("zeta", method, theirs, **content)
    if (theirs, content) != (never, as_content):
        assert told(answer, tenants.ids) == told(tenants.call("zeta", method, never, **as_content), NEVER)
    sent = json.dumps(content, default=str) + theirs
    shown = answer.text + str(answer.headers)
    assert [trace for trace in traces if trace in shown and trace not in sent] == []
    assert tenants.state() == before
    if any(f"{{{name}}}" in path for name in NEVER):
        assert answer.status_code in ((403,) if (method, path) in OF_THE_OPERATOR else (404, 422))


def test_every_body_that_a_route_reads_was_thought_about() -> None:
    document = APP.openapi()
    reading = [
        (method, path)
        for method, path, route in table(APP)
        if route.include_in_schema and "requestBody" in document["paths"][route.path_format][method.lower()]
    ]
    assert [each for each in reading if each not in BODIES] == [], "say in BODIES what would name another tenant's"


def test_the_first_tenant_sees_what_the_second_does_not(tenants: Tenants) -> None:
    """Or the test above would prove nothing."""
    for method, path in ROUTES:
        if method == "GET" and any(f"{{{name}}}" in path for name in NEVER):
            address, content = asked(method, path, tenants.ids)
            assert tenants.call("acme", method, address, **content).status_code in (200, 204), path
    assert len(tenants.call("acme", "GET", "/jobs").json()["items"]) == 2
    assert tenants.call("zeta", "GET", "/jobs").json()["items"] == []
    assert tenants.call("zeta", "GET", "/webhook-secret").json()["secret"] != tenants.secret


def test_a_cursor_or_an_idempotency_key_of_the_other_leads_to_nothing(tenants: Tenants) -> None:
    after = {"cursor": "job_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}  # behind which all jobs are
    assert tenants.call("zeta", "GET", "/jobs", params=after).json()["items"] == []
    files = {"files": ("own.jpg", picture())}
    own = tenants.call("zeta", "POST", "/jobs", files=files, headers={"Idempotency-Key": MARK})
    assert (own.status_code, own.json()["images"]["total"]) == (202, 1)
    assert own.json()["id"] != tenants.ids["job_id"]
    assert own.json()["queue_position"] == 0  # although the other's waits
    tenants.call("zeta", "POST", f"/jobs/{own.json()['id']}/cancel")
    assert tenants.call("zeta", "DELETE", f"/jobs/{own.json()['id']}").status_code == 204


@pytest.mark.parametrize("form", ["input", "mask"])
def test_the_others_objects_are_no_inputs(tenants: Tenants, form: str) -> None:
    before = tenants.state()
    key = f"acme/jobs/{tenants.ids['job_id']}/inputs/000000"
    jobs = [{"job": tenants.ids["job_id"]}] if form == "input" else []
    for source in ({"object": key}, {"object": f"maskmill/{key}"}, {"upload": tenants.ids["upload_id"]}, *jobs):
        named = source if form == "input" else {"sample": "market", "mask": source}
        answer = tenants.call("zeta", "POST", "/jobs", json={"inputs": [named]})
        assert 400 <= answer.status_code < 500, answer.text
    assert tenants.state() == before


def test_a_stream_of_all_jobs_tells_of_the_callers_own(tmp_path: Path) -> None:
    house = House(tmp_path)
    keyring = Keyring(house.database.unit)
    acme, zeta = (
        {"Authorization": f"Bearer {keyring.create(name, 'submit', Limits())[1]}"} for name in ("acme", "zeta")
    )
    with serving(house) as http, http.stream("GET", "/events", headers=zeta) as stream:
        files = {"files": ("a.jpg", picture())}
        theirs = http.post("/jobs", files=files, headers=acme).json()["id"]
        own = http.post("/jobs", files=files, headers=zeta).json()["id"]
        for line in stream.iter_lines():
            assert theirs not in line
            if own in line:
                break
