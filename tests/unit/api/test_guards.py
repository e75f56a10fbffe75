"""Names that are not ours, pages of other sites, and what the documentation's page may load."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from api.edge.guards import host_name
from api.settings import ApiSettings
from tests.factories import picture
from tests.unit.api.house import House

FILES = {"files": ("a.jpg", picture())}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8008", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:8008", "localhost."]
)
def test_the_machines_own_names_are_known_with_any_port(client: TestClient, host: str) -> None:
    assert client.get("/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8008", "[::2]", "10.0.0.1", ""]
)
def test_a_name_that_nobody_configured_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/jobs", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_probe_may_ask_for_health_by_any_name(client: TestClient) -> None:
    assert client.get("/health", headers={"Host": "10.1.2.3:8008"}).status_code == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        (["seg.example.org"], "seg.example.org:443", 200),
        (["seg.example.org"], "localhost", 421),
        (["*.example.org"], "a.b.example.org", 200),
        (["*.example.org"], "example.org", 421),
        (["*.example.org"], "badexample.org", 421),
        (["*"], "whatever", 200),
    ],
)
def test_configured_names_are_known(
    house: House, open_client: Callable[[House], TestClient], allowed: list[str], host: str, status: int
) -> None:
    house.settings = ApiSettings(allowed_hosts=allowed)
    assert open_client(house).get("/jobs", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost:99999"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:8008", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(client: TestClient, house: House, headers: dict[str, str]) -> None:
    job = client.post("/jobs", files=FILES).json()["links"]["self"]
    named = {**headers, "Host": "localhost:8008"}
    for method, path in (("POST", "/jobs"), ("POST", "/predict"), ("POST", f"{job}/cancel"), ("DELETE", job)):
        answer = client.request(method, path, headers=named, files=FILES if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
    assert len(client.get("/jobs", headers=named).json()["items"]) == 1
    assert client.get(job).json()["status"] == "queued"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8008", "http://localhost:8008"),
        ("localhost", "http://localhost:80"),
        ("localhost:443", "https://localhost"),
        ("[::1]:8008", "http://[::1]:8008"),
    ],
)
def test_our_own_page_may_change_things(client: TestClient, host: str, origin: str) -> None:
    headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/jobs", files=FILES, headers=headers).status_code == 202


def test_what_is_typed_in_is_nobody_elses(client: TestClient) -> None:
    assert client.post("/jobs", files=FILES, headers={"Sec-Fetch-Site": "none"}).status_code == 202


def test_a_host_is_read_without_its_port() -> None:
    assert [host_name(each) for each in ("A.b:80", "[::1]:80", "[::1]", "x.", "")] == ["a.b", "[::1]", "[::1]", "x", ""]


def test_the_documentation_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        asset = client.get(f"/{address}")
        assert (asset.status_code, asset.headers["x-content-type-options"]) == (200, "nosniff")
        assert len(asset.content) > 200
    assert "<script>" not in page.text


def test_the_documentation_is_not_framed_and_runs_scripts_of_its_own_alone(client: TestClient) -> None:
    headers = client.get("/docs").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["script-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert headers["x-frame-options"] == "DENY"


def test_there_is_no_other_file_beside_the_documentation(client: TestClient) -> None:
    for name in ("redoc.standalone.js", "..%2fcore.py", "x"):
        assert client.get(f"/docs/assets/{name}").status_code == 404


def test_a_wrong_method_is_told_all_that_there_are(client: TestClient) -> None:
    job = client.post("/jobs", files=FILES).json()["links"]["self"]
    assert client.put("/jobs").headers["allow"] == "GET, POST"
    assert client.patch(job).headers["allow"] == "DELETE, GET"
    assert client.post(f"{job}/images/0/mask").headers["allow"] == "GET, HEAD"
