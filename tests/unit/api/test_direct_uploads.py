"""Files that come before their job: announced, sent to a signed address, broken off and gone on with."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from jobs.callers import SCOPES, Limits
from jobs.tenants.keyring import Keyring
from tests.unit.api.house import House

JPEG = {"Content-Type": "image/jpeg"}


def announce(client: TestClient, *files: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post("/uploads", json={"files": list(files)})
    assert answer.status_code == 201, answer.text
    found: list[dict[str, Any]] = answer.json()["uploads"]
    return found


def announce_jpeg(client: TestClient, data: bytes, name: str = "a.jpg") -> dict[str, Any]:
    return announce(client, {"name": name, "size": len(data), "content_type": "image/jpeg"})[0]


def put(client: TestClient, ticket: dict[str, Any], data: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(ticket["url"], content=data, headers={**ticket["headers"], **named})


def state(client: TestClient, ticket: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/uploads/{ticket['upload']}").json()
    return found


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {fault["field"]: fault["message"] for fault in answer.json()["errors"]}


def test_a_file_is_announced_and_sent_to_the_address_that_it_gets(client: TestClient, house: House) -> None:
    ticket = announce_jpeg(client, b"bytes")
    assert (ticket["method"], ticket["headers"]) == ("PUT", JPEG)
    assert re.fullmatch(r"http://localhost/uploads/upl_\w{26}/content\?expires=\d+&signature=\w{64}", ticket["url"])
    assert state(client, ticket)["state"] == "open"
    answer = put(client, ticket, b"bytes")
    assert (answer.status_code, answer.json()) == (200, {"upload": ticket["upload"], "state": "stored", "received": 5})
    told = state(client, ticket)
    assert (told["state"], told["received"], "url" in told) == ("stored", 5, False)
    assert house.objects.get(f"default/uploads/5/{ticket['upload']}") == b"bytes"


def test_who_may_only_read_is_told_no_address_that_takes_bytes(client: TestClient, house: House) -> None:
    house.settings = house.settings.model_copy(update={"key_memory_s": 1e-9})
    path = f"/uploads/{announce_jpeg(client, b'bytes')['upload']}"
    keyring = Keyring(house.database.unit)
    keys = {scope: keyring.create("default", scope, Limits())[1] for scope in SCOPES}
    told = {scope: client.get(path, headers={"X-API-Key": key}).json() for scope, key in keys.items()}
    assert {scope: (each["received"], "url" in each) for scope, each in told.items()} == {
        "read": (0, False),
        "submit": (0, True),
        "admin": (0, True),
    }
    assert "signature" not in str(told["read"])


def test_several_files_come_back_in_their_order(client: TestClient) -> None:
    tickets = announce(
        client,
        {"name": "b.zip", "size": 2**31, "content_type": "application/zip; charset=x"},
        {"name": "cam/a.png", "size": 9},
        {"name": "list.jsonl", "size": 9, "content_type": "application/octet-stream"},
    )
    kinds = [ticket["headers"]["Content-Type"] for ticket in tickets]
    assert kinds == ["application/zip", "application/octet-stream", "application/octet-stream"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"size": -1}, "files.0.size"),
        ({"size": 0, "content_type": "application/zip"}, "files.0.size"),
        ({"size": 65 * 2**20}, "files.0.size"),
        ({"size": "5"}, "files.0.size"),
        ({"content_type": "text/html"}, "files.0.content_type"),
        ({"content_type": "image"}, "files.0.content_type"),
        ({"name": ""}, "files.0.name"),
        ({"name": "a\n.jpg"}, "files.0.name"),
        ({"sha": "x"}, "files.0.sha"),
    ],
)
def test_what_may_not_come_is_refused_with_its_field(client: TestClient, changes: dict[str, Any], field: str) -> None:
    file = {"name": "a.jpg", "size": 5, "content_type": "image/jpeg", **changes}
    assert list(faults(client.post("/uploads", json={"files": [file]}))) == [field]


def test_an_empty_picture_has_arrived_as_soon_as_it_is_announced(client: TestClient, house: House) -> None:
    (ticket,) = announce(client, {"name": "a.jpg", "size": 0, "content_type": "image/jpeg"})
    told = client.get(f"/uploads/{ticket['upload']}").json()
    assert (told["state"], told["received"]) == ("stored", 0)
    assert house.objects.get(f"default/uploads/0/{ticket['upload']}") == b""
    sent = put(client, ticket, b"")
    assert (sent.status_code, sent.json()["state"]) == (200, "stored")


@pytest.mark.parametrize("text", ["{}", "[]", '{"files": []}', "{", '{"files": [{"name": "a.txt", "size": 5}]}'])
def test_a_request_that_announces_nothing_is_refused(client: TestClient, text: str) -> None:
    assert client.post("/uploads", content=text).status_code == 422


def test_size_and_type_are_those_that_were_announced(client: TestClient, house: House) -> None:
    ticket = announce_jpeg(client, b"bytes")
    assert list(faults(put(client, ticket, b"bytes!"))) == ["Content-Length"]
    assert list(faults(put(client, ticket, b"byte"))) == ["Content-Length"]
    assert list(faults(client.put(ticket["url"], content=b"bytes", headers={"Content-Type": "image/png"}))) == [
        "Content-Type"
    ]
    assert client.put(ticket["url"], content=iter([b"byt", b"es!"]), headers=JPEG).status_code == 413
    assert house.objects.contents == {}


def test_an_address_that_was_changed_or_is_old_takes_nothing(client: TestClient, house: House) -> None:
    ticket = announce_jpeg(client, b"bytes")
    url = ticket["url"]
    later = re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", url)
    for wrong in (later, url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("/upl_", "/upl_x")):
        answer = client.put(wrong, content=b"bytes", headers=JPEG)
        assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")
    house.clock.advance(24 * 3600)
    assert put(client, ticket, b"bytes").status_code == 404
    assert client.get(f"/uploads/{ticket['upload']}").status_code == 404
    assert client.get("/uploads/nonsense").status_code == 404


def test_a_broken_upload_tells_what_arrived_and_goes_on(client: TestClient, house: House) -> None:
    ticket = announce_jpeg(client, b"0123456789")
    first = put(client, ticket, b"0123", Content_Range="bytes 0-3/10")
    assert (first.status_code, first.headers["range"], first.json()["received"]) == (308, "bytes=0-3", 4)
    asked = put(client, ticket, b"", Content_Range="bytes */10")
    assert (asked.status_code, asked.headers["range"]) == (308, "bytes=0-3")
    assert state(client, ticket)["received"] == 4
    wrong = put(client, ticket, b"89", Content_Range="bytes 8-9/10")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "upload_conflict")
    assert put(client, ticket, b"456789", Content_Range="bytes 4-9/10").status_code == 200
    assert house.objects.get(f"default/uploads/10/{ticket['upload']}") == b"0123456789"
    assert put(client, ticket, b"", Content_Range="bytes */10").status_code == 200
    assert put(client, ticket, b"0123456789").status_code == 409


def test_a_file_of_which_nothing_arrived_says_so(client: TestClient) -> None:
    ticket = announce_jpeg(client, b"bytes")
    asked = put(client, ticket, b"", Content_Range="bytes */5")
    assert (asked.status_code, "range" in asked.headers) == (308, False)


def test_an_upload_whose_last_answer_was_lost_is_found_stored(client: TestClient, house: House) -> None:
    ticket = announce_jpeg(client, b"bytes")
    house.objects.put(f"default/uploads/5/{ticket['upload']}", b"bytes", media_type="image/jpeg")
    assert state(client, ticket)["state"] == "stored"
    assert put(client, ticket, b"", Content_Range="bytes */5").status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [("bytes 0-3", 400), ("bytes 3-1/5", 400), ("bytes 0-5/5", 400), ("items 0-1/5", 400), ("bytes 0-3/6", 422)],
)
def test_a_range_that_makes_no_sense_is_refused(client: TestClient, given: str, status: int) -> None:
    ticket = announce_jpeg(client, b"bytes")
    assert put(client, ticket, b"bytes", Content_Range=given).status_code == status


def test_how_long_an_address_is_good_is_a_setting(house: House, open_client: Callable[[House], TestClient]) -> None:
    house.settings = ApiSettings(upload_expires_s=60)
    client = open_client(house)
    ticket = announce_jpeg(client, b"bytes")
    house.clock.advance(61)
    assert put(client, ticket, b"bytes").status_code == 404
    assert client.get(f"/uploads/{ticket['upload']}").status_code == 404


def test_an_upload_that_expires_while_it_comes_leaves_nothing(client: TestClient, house: House) -> None:
    ticket = announce_jpeg(client, b"bytes")
    append = house.objects.append

    def late(*told: Any, **more: Any) -> int:
        with house.database.unit() as unit:
            unit.uploads.remove(ticket["upload"])
            unit.commit()
        return append(*told, **more)

    house.objects.append = late  # type: ignore[method-assign]
    assert put(client, ticket, b"bytes").status_code == 404
    assert house.objects.contents == {}
