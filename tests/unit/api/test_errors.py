"""Errors: each has a status, and all have one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.errors import FAILURE_STATUS, families, status_of
from jobs import errors as job_errors
from jobs.errors import DatabaseUnavailable, DownloadFailed, FieldFault, InvalidOptions, JobsError
from jobs.processing.retry import WORKER_LOST
from maskmill.errors import image_error
from segmentation import errors as segmentation_errors
from segmentation.errors import SegmentationError
from tests.factories import picture
from tests.unit.api.house import House


def every(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


ALL = [each for family in families() for each in every(family)]
IMAGE_CODES = ["unreadable_image", "unsupported_image", "image_too_large", "download_failed", "mask_mismatch",
               "model_failed", "out_of_memory", "timed_out", "worker_lost"]  # fmt: skip


def test_the_table_knows_the_families_of_both_packages() -> None:
    assert job_errors.JobsError in families()
    assert segmentation_errors.SegmentationError in families()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[Exception]) -> None:
    assert 400 <= status_of(kind.__new__(kind)) < 600


@pytest.mark.parametrize("kind", [each for each in ALL if issubclass(each, JobsError)], ids=lambda kind: kind.__name__)
def test_only_errors_of_our_own_making_are_a_500(kind: type[Exception]) -> None:
    ours = (job_errors.ImageFailure,)
    assert (status_of(kind.__new__(kind)) == 500) <= (kind is JobsError or issubclass(kind, ours))


@pytest.mark.parametrize("code", IMAGE_CODES)
def test_every_reason_why_an_image_fails_has_a_status(code: str) -> None:
    assert code in FAILURE_STATUS


def test_the_reasons_are_those_of_the_classes() -> None:
    kinds = [*every(job_errors.ImageFailure), *every(SegmentationError)]
    assert set(IMAGE_CODES) <= {str(vars(kind).get("code")) for kind in kinds} | {WORKER_LOST.code}


@pytest.mark.parametrize("code", [*IMAGE_CODES, "input_not_found"])
def test_the_client_gives_a_late_failure_the_status_of_an_early_one(code: str) -> None:
    assert image_error({"error": {"code": code, "message": "so"}}).status == FAILURE_STATUS[code]


def raising(house: House, error: Exception) -> None:
    def fail(*args: object, **names: object) -> None:
        raise error

    house.catalog.card = fail  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidOptions([FieldFault("tile.size", "too small")]), 422, "invalid_options"),
        (DatabaseUnavailable("the database is away"), 503, "database_unavailable"),
        (DownloadFailed("no answer", retryable=True), 502, "download_failed"),
    ],
)
def test_an_error_becomes_a_problem_document(
    client: TestClient, house: House, error: Exception, status: int, code: str
) -> None:
    raising(house, error)
    answer = client.get("/models/tiny")
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"].endswith(code)
    assert problem["detail"] == str(error)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (status == 503)


def test_field_faults_are_listed(client: TestClient, house: House) -> None:
    raising(house, InvalidOptions([FieldFault("a", "one"), FieldFault("b.c", "two")]))
    faults = client.get("/models/tiny").json()["errors"]
    assert faults == [{"field": "a", "message": "one"}, {"field": "b.c", "message": "two"}]


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), JobsError("secret"), SegmentationError("secret")])
def test_what_nobody_expected_says_nothing_of_itself(
    client: TestClient, house: House, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    raising(house, error)
    answer = client.get("/models/tiny", headers={"X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    logged = [record for record in caplog.records if record.exc_info]
    assert [getattr(record, "request_id", None) for record in logged] == ["mine-1"]


def test_the_routers_own_errors_have_the_same_shape(client: TestClient) -> None:
    missing, wrong = client.get("/nowhere"), client.put("/jobs")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "allow" in wrong.headers


def test_every_answer_has_a_request_id(client: TestClient) -> None:
    assert client.get("/health", headers={"X-Request-Id": "abc"}).headers["x-request-id"] == "abc"
    made = client.get("/health", headers={"X-Request-Id": "no\tgood id"}).headers["x-request-id"]
    assert len(made) == 32


def test_a_limit_of_bytes_is_a_413(house: House, open_client: Callable[[House], TestClient]) -> None:
    house.settings = house.settings.model_copy(update={"max_request_bytes": 1000})
    client = open_client(replace(house))
    answer = client.post("/jobs", files={"files": ("a.jpg", picture() * 10)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert not house.objects.contents
