"""One picture at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.errors import NotAcceptable
from api.routes import predict
from api.routes.predict import choose
from jobs.errors import DatabaseUnavailable, ModelFailed
from jobs.job import JobImage, Slice
from jobs.reporting.read import Reading
from maskmill.errors import image_error
from tests.factories import picture, zip_of
from tests.unit.api.house import House


@pytest.fixture
def busy(house: House, open_client: Callable[[House], TestClient]) -> TestClient:
    """A house whose worker does everything the moment it is sent."""
    send = house.dispatcher.dispatch

    def send_and_work(pieces: Iterable[Slice]) -> None:
        send(pieces)
        house.work()

    house.dispatcher.dispatch = send_and_work  # type: ignore[method-assign]
    return open_client(house)


@pytest.mark.parametrize(("accept", "form"), [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/*", "PNG")])
def test_the_answer_is_the_artifact_that_was_asked_for(busy: TestClient, accept: str, form: str) -> None:
    answer = busy.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Accept": accept})
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).format == form
    assert busy.get(f"/jobs/{answer.headers['x-job-id']}").json()["priority"] == "interactive"


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_json_gives_metrics_and_links(busy: TestClient, accept: str) -> None:
    answer = busy.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Accept": accept})
    row = answer.json()
    assert row["metrics"]["class_fractions"] == {"sky": 0.5, "building": 0.5}
    assert busy.get(row["artifacts"]["mask"]).status_code == 200


def test_a_large_artifact_is_sent_in_pieces(busy: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_HELD_BYTES", 0)
    answer = busy.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Accept": "image/png"})
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert Image.open(io.BytesIO(answer.content)).format == "PNG"


def test_an_artifact_that_the_options_leave_out_is_made_all_the_same(busy: TestClient) -> None:
    answer = busy.post(
        "/predict",
        files={"file": ("a.jpg", picture())},
        data={"artifacts": "mask", "overlay": '{"format": "png"}'},
        headers={"Accept": "image/jpeg"},
    )
    assert answer.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("accept", ["application/geo+json", "image/jpeg"])
def test_what_the_first_request_of_a_key_did_not_ask_for_is_a_406(busy: TestClient, accept: str) -> None:
    def send(accept: str) -> Any:
        headers = {"Accept": accept, "Idempotency-Key": "key"}
        data = {"overlay": '{"format": "png"}'}
        return busy.post("/predict", files={"file": ("a.jpg", picture())}, data=data, headers=headers)

    first = send("image/png")
    assert (first.status_code, send("image/png").content) == (200, first.content)
    assert send("application/json").status_code == 200
    refused = send(accept)
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    assert "Idempotency-Key" in refused.json()["detail"]


def test_a_picture_that_cannot_be_read_is_the_callers_fault(busy: TestClient) -> None:
    answer = busy.post("/predict", files={"file": ("a.jpg", b"no picture")})
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_image")
    assert answer.headers["x-job-id"].startswith("job_")


def test_a_model_that_fails_is_told_with_the_job(busy: TestClient, house: House) -> None:
    def broken(picture: object) -> None:
        raise ModelFailed("no numbers")

    house.segmenter.before = broken
    answer = busy.post("/predict", files={"file": ("a.jpg", picture())})
    assert (answer.status_code, answer.json()["code"]) == (500, "model_failed")
    assert answer.headers["x-job-id"].startswith("job_")


def test_after_the_wait_the_job_is_the_answer(client: TestClient) -> None:
    answer = client.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{answer.headers['x-job-id']}"
    assert answer.json()["status"] == "queued"


def test_respond_async_does_not_wait(client: TestClient) -> None:
    answer = client.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([("file", ("a.jpg", picture())), ("file", ("b.jpg", picture()))], 422, "invalid_options"),
        ([("file", ("a.zip", zip_of({"a.jpg": picture()})))], 422, "invalid_options"),
        ([("files", ("a.jpg", picture()))], 422, "invalid_options"),
        ([("file", (None, "a.jpg"))], 422, "invalid_options"),
        ([("model", (None, "tiny"))], 400, "no_images"),
        ([("file", ("a.txt", b"text"))], 415, "unsupported_media_type"),
    ],
    ids=["two", "archive", "other field", "text", "none", "no image"],
)
def test_exactly_one_picture_is_wanted(
    client: TestClient, house: House, files: list[tuple[str, tuple[str, bytes]]], status: int, code: str
) -> None:
    answer = client.post("/predict", files=files)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not house.objects.contents


def test_a_body_of_another_kind_is_unsupported(client: TestClient) -> None:
    assert client.post("/predict", content=picture(), headers={"Content-Type": "image/jpeg"}).status_code == 415


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("text/html, image/png;q=0.5, */*;q=0.1", "image/png"),
        ("image/png;q=0, image/jpeg", "image/jpeg"),
        ("image/jpeg;q=0.2, application/json;q=0.9", "application/json"),
    ],
)
def test_the_clients_wishes_are_weighed(accept: str | None, chosen: str) -> None:
    assert choose(accept) == chosen


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/png;q=x"])
def test_what_cannot_be_had_is_a_406(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(accept)


def test_a_database_that_is_away_for_a_moment_is_waited_for(busy: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    image, tries = Reading.image, []

    def away_at_first(reading: Reading, job_id: str, index: int) -> JobImage:
        tries.append(job_id)
        if len(tries) == 1:
            raise DatabaseUnavailable("away")
        return image(reading, job_id, index)

    monkeypatch.setattr(Reading, "image", away_at_first)
    answer = busy.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Accept": "image/png"})
    assert (answer.status_code, len(tries)) == (200, 2)


def test_a_picture_that_was_taken_is_told_even_when_nobody_can_read_the_job(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> NoReturn:
        raise DatabaseUnavailable("away")

    for way in ("image", "job", "progress"):
        monkeypatch.setattr(Reading, way, away)
    answer = client.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_a_picture_of_a_job_that_was_deleted_meanwhile_is_not_found(client: TestClient, house: House) -> None:
    send = house.dispatcher.dispatch

    def send_and_delete(pieces: Iterable[Slice]) -> None:
        pieces = list(pieces)
        send(pieces)
        with house.database.unit() as unit:
            unit.jobs.purge(pieces[0].job_id)
            unit.commit()

    house.dispatcher.dispatch = send_and_delete  # type: ignore[method-assign]
    answer = client.post("/predict", files={"file": ("a.jpg", picture())})
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


def test_the_row_of_an_image_that_failed_says_to_the_client_what_predict_would_have(busy: TestClient) -> None:
    early = busy.post("/predict", files={"file": ("a.jpg", b"no picture")})
    late = image_error(busy.get(f"/jobs/{early.headers['x-job-id']}/images/0").json())
    told = early.json()
    assert (late.status, late.code, late.detail) == (early.status_code, told["code"], told["detail"])
