"""Keys over HTTP: who is let in, what is refused and how it is told, and that no key is ever repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import pytest
from fastapi.testclient import TestClient

from api.edge.addresses import is_loopback
from api.edge.gate import came_from_here, shown_key
from jobs.callers import Limits
from jobs.job import Slice
from jobs.tenants.keyring import Keyring
from tests.factories import picture
from tests.unit.api.house import House

OpenClient = Callable[[House], TestClient]
AT_ONCE = 1e-9


@pytest.fixture
def house(house: House) -> House:
    house.settings = house.settings.model_copy(update={"key_memory_s": AT_ONCE})
    return house


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_any_key_none_is_asked_for_on_this_machine(client: TestClient) -> None:
    assert client.get("/jobs").status_code == 200
    assert client.get("/jobs", headers=bearer("whatever")).status_code == 200


def test_with_one_key_everybody_needs_one(client: TestClient, keyring: Keyring) -> None:
    _, key = keyring.create("acme", "read", Limits())
    answer = client.get("/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="maskmill"'
    assert client.get("/jobs", headers=bearer(key)).status_code == 200
    assert client.get("/jobs", headers={"X-API-Key": key}).status_code == 200
    assert client.get("/jobs", headers={"Authorization": f"bearer  {key} "}).status_code == 200
    for path in ("/health", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert client.get("/ready").status_code in (200, 503)


@pytest.mark.parametrize("shown", ["x", "mm_" + "a" * 12 + "_" + "b" * 43, "é"])
def test_a_key_that_is_not_known_is_refused_and_not_repeated(client: TestClient, keyring: Keyring, shown: str) -> None:
    keyring.create("acme", "read", Limits())
    answer = client.get("/jobs", headers={b"X-API-Key": shown.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="maskmill", error="invalid_token"'
    assert shown not in answer.json()["detail"]


def test_another_secret_with_a_known_id_is_refused(client: TestClient, keyring: Keyring) -> None:
    _, key = keyring.create("acme", "read", Limits())
    assert client.get("/jobs", headers=bearer(key[:-43] + "A" * 43)).status_code == 401


def test_a_revoked_key_is_refused_and_the_last_one_leaves_the_door_shut(client: TestClient, keyring: Keyring) -> None:
    made, key = keyring.create("acme", "read", Limits())
    assert client.get("/jobs", headers=bearer(key)).status_code == 200
    keyring.revoke(made.id)
    assert client.get("/jobs", headers=bearer(key)).status_code == 401
    assert client.get("/jobs").status_code == 401


def test_a_scope_allows_what_those_before_it_do_and_no_more(client: TestClient, keyring: Keyring) -> None:
    _, reads = keyring.create("acme", "read", Limits())
    _, submits = keyring.create("acme", "submit", Limits())
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers=bearer(reads))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    told = answer.json()["detail"]
    assert told.startswith("this needs a key of scope submit, which whoever runs the service can make")
    assert told.endswith("; the key has read")
    assert answer.headers["www-authenticate"].endswith('error="insufficient_scope", scope="submit"')
    job = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers=bearer(submits))
    assert job.status_code == 202
    assert client.get(f"/jobs/{job.json()['id']}", headers=bearer(reads)).status_code == 200
    assert client.delete(f"/jobs/{job.json()['id']}", headers=bearer(reads)).status_code == 403


def test_who_may_not_call_learns_nothing_of_the_request(client: TestClient, keyring: Keyring) -> None:
    keyring.create("acme", "read", Limits())
    for method, path in (("GET", "/jobs/nonsense"), ("GET", "/jobs?limit=x"), ("POST", "/jobs"), ("POST", "/predict")):
        assert client.request(method, path).status_code == 401


def test_requests_are_limited_and_each_answer_says_how_many_are_left(client: TestClient, keyring: Keyring) -> None:
    _, key = keyring.create("acme", "read", Limits(requests_per_minute=2))
    answers = [client.get("/jobs", headers=bearer(key)) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert [each.headers["ratelimit"].partition(";t=")[0] for each in answers] == [
        '"requests";r=1',
        '"requests";r=0',
        '"requests";r=0',
    ]
    last = answers[2]
    assert last.json()["code"] == "rate_limited"
    assert last.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert 1 <= int(last.headers["retry-after"]) <= 63
    assert client.get("/health").status_code == 200


def test_images_beyond_the_quota_are_refused_and_leave_nothing(
    client: TestClient, keyring: Keyring, house: House
) -> None:
    _, key = keyring.create("acme", "submit", Limits(images_per_day=2))
    files = [("files", (f"{n}.jpg", picture())) for n in range(3)]
    answer = client.post("/jobs", files=files, headers=bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_images")
    assert "retry-after" not in answer.headers  # it would be waited in vain
    assert "2 images within 24 hours, and 3 come" in answer.json()["detail"]
    assert not house.objects.contents
    assert client.get("/jobs", headers=bearer(key)).json()["items"] == []
    again = {**bearer(key), "Idempotency-Key": "k"}
    first = client.post("/jobs", files=files[:2], headers=again)
    assert first.status_code == 202
    assert client.post("/jobs", files=files[:2], headers=again).json()["id"] == first.json()["id"]
    refused = client.post("/jobs", files=files[:1], headers=bearer(key))
    assert refused.json()["code"] == "quota_exceeded"
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["ratelimit"].startswith('"images";r=0;t=')
    assert (refused.status_code, refused.headers["ratelimit-policy"]) == (429, '"images";q=2;w=86400')


def test_images_that_are_tried_again_count_as_if_they_were_submitted(
    client: TestClient, house: House, keyring: Keyring
) -> None:
    _, key = keyring.create("acme", "submit", Limits(images_per_day=3))
    files = [("files", (f"{n}.jpg", b"no picture")) for n in range(2)]
    job_id = client.post("/jobs", files=files, headers=bearer(key)).json()["id"]
    house.work()
    answer = client.post(f"/jobs/{job_id}/retry", headers=bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert client.get(f"/jobs/{job_id}", headers=bearer(key)).json()["status"] == "failed"


def test_more_failed_images_than_a_key_may_ever_have_are_refused_with_what_can_be_done(
    client: TestClient, house: House, keyring: Keyring
) -> None:
    _, larger = keyring.create("acme", "submit", Limits(images_per_day=9))
    _, smaller = keyring.create("acme", "submit", Limits(images_per_day=2))
    files = [("files", (f"{n}.jpg", b"no picture")) for n in range(3)]
    job_id = client.post("/jobs", files=files, headers=bearer(larger)).json()["id"]
    house.work()
    answer = client.post(f"/jobs/{job_id}/retry", headers=bearer(smaller))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_images")
    assert "with a key that may have as many, or submit the failed ones anew in smaller jobs" in answer.json()["detail"]
    assert client.post(f"/jobs/{job_id}/retry", headers=bearer(larger)).status_code == 202


def test_a_caller_is_told_its_own_quotas(client: TestClient, keyring: Keyring) -> None:
    assert client.get("/limits").json()["caller"] == {
        "tenant": "default",
        "scope": "admin",
        "key": None,
        "quotas": {"requests_per_minute": None, "images_per_day": None, "queued_images": None},
    }
    made, key = keyring.create("acme", "submit", Limits(requests_per_minute=9, queued_images=7))
    client.post("/jobs", files={"files": ("a.jpg", picture())}, headers=bearer(key))
    told = client.get("/limits", headers=bearer(key)).json()["caller"]
    assert (told["tenant"], told["scope"], told["key"]) == ("acme", "submit", made.id)
    assert told["quotas"]["queued_images"] == {"limit": 7, "used": 1, "remaining": 6, "resets_in_seconds": None}
    assert told["quotas"]["requests_per_minute"]["remaining"] == 7


@pytest.mark.parametrize(("path", "field"), [("/jobs", "files"), ("/predict", "file")])
def test_who_waited_gets_no_answer_with_a_key_that_was_revoked_meanwhile(
    house: House, open_client: OpenClient, keyring: Keyring, path: str, field: str
) -> None:
    made, key = keyring.create("acme", "submit", Limits())
    send = house.dispatcher.dispatch

    def send_revoke_and_work(pieces: Iterable[Slice]) -> None:
        send(pieces)
        keyring.revoke(made.id)
        house.work()

    house.dispatcher.dispatch = send_revoke_and_work  # type: ignore[method-assign]
    headers = {**bearer(key), "Prefer": "wait=30"}
    answer = open_client(house).post(path, files={field: ("a.jpg", picture())}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(("is_open", "status"), [(False, 401), (True, 200)])
def test_from_elsewhere_nobody_is_answered_without_a_key_unless_a_setting_says_so(
    house: House, open_client: OpenClient, is_open: bool, status: int
) -> None:
    names = {"allowed_hosts": ["192.0.2.1"], "trust_network": is_open}
    house.settings = house.settings.model_copy(update=names)
    answer = open_client(house).get("http://192.0.2.1/jobs")
    assert answer.status_code == status
    assert is_open or "maskmill keys create" in answer.json()["detail"]


def test_no_key_is_ever_written_down(
    client: TestClient, keyring: Keyring, caplog: pytest.LogCaptureFixture, house: House
) -> None:
    caplog.set_level(logging.DEBUG)
    made, key = keyring.create("acme", "read", Limits(requests_per_minute=3))
    answers = [client.get(path, headers=bearer(key)) for path in ("/jobs", "/jobs?limit=x", "/models/none", "/jobs")]
    answers += [client.post("/jobs", headers=bearer(key)), client.get("/jobs", headers=bearer(key + "x"))]
    keyring.revoke(made.id)
    answers.append(client.get("/jobs", headers=bearer(key)))
    secret = key[-43:]
    assert secret not in caplog.text
    assert not any(secret in each.text or secret in str(each.headers) for each in answers)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": "Basic eA=="}, None),
        ({"authorization": "Basic eA==", "x-api-key": "k"}, "k"),
        ({"authorization": "Bearer a", "x-api-key": "k"}, "a"),
        ({"authorization": "Bearer"}, ""),
    ],
)
def test_where_a_key_is_shown(headers: dict[str, str], key: str | None) -> None:
    assert shown_key(headers) == key


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"])
def test_addresses_that_only_this_machine_has(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "", "::ffff:10.0.0.1"])  # noqa: S104
def test_addresses_that_others_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("server", "here"),
    [(("127.0.0.1", 1), True), (("/run/x.sock", None), True), (("10.0.0.1", 1), False), (None, False)],
)
def test_a_connection_tells_to_which_address_it_was_made(server: object, here: bool) -> None:
    assert came_from_here({"server": server}) is here
