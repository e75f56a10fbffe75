"""Query parameters that there are not: refused wherever an answer without them would look right."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from api.known_query import refuse_unknown
from api.routes import ROUTERS
from tests.factories import picture
from tests.unit.api.house import House
from tests.unit.api.test_results import finished

OF_A_JOB = ["/images", "/images/0", "/images/0/corrections", "/corrections", "/deliveries", "/archive"]


def test_every_list_refuses_what_it_does_not_know() -> None:
    lists = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    careless = [
        route.path
        for route in lists
        if route.name.startswith("list_") and refuse_unknown not in [each.call for each in route.dependant.dependencies]
    ]
    assert careless == []


@pytest.mark.parametrize("path", ["/jobs", "/models", "/label-spaces", "/samples", "/keys"])
def test_a_filter_that_there_is_not_is_a_fault(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"class": "car", "limmit": "3"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")
    assert [fault["field"] for fault in answer.json()["errors"]] == ["class", "limmit"]
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", OF_A_JOB)
def test_so_it_is_of_what_belongs_to_a_job(client: TestClient, house: House, path: str) -> None:
    here = f"/jobs/{finished(client, house)}{path}"
    answer = client.get(here, params={"artefacts": "mask"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "artefacts")
    assert client.get(here).status_code == 200


@pytest.mark.parametrize(
    ("path", "query"), [("/archive", "artifacts=mask&artifacts=metrics"), ("/images", "status=failed&status=running")]
)
def test_of_two_values_none_is_chosen(client: TestClient, house: House, path: str, query: str) -> None:
    answer = client.get(f"/jobs/{finished(client, house)}{path}?{query}")
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["field"]) == (422, query.partition("=")[0])
    assert "more than once" in fault["message"]


def test_options_in_the_address_are_not_passed_over(client: TestClient, house: House) -> None:
    for path, field in (("/jobs", "files"), ("/predict", "file")):
        answer = client.post(path, params={"model": "other"}, files={field: ("a.jpg", picture())})
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["field"]) == (422, "model")
        assert fault["message"] == "is no parameter here; there is none; options of a job stand in the body"
    assert client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize("path", ["", "/images/0/mask", "/images/0/input", "/images/0/correction"])
def test_nor_is_whose_result_is_asked_for(client: TestClient, house: House, path: str) -> None:
    answer = client.get(f"/jobs/{finished(client, house)}{path}", params={"modle": "other"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "modle")


def test_a_mask_is_not_told_in_other_classes_than_were_asked_for(client: TestClient) -> None:
    answer = client.get("/samples/crossing/mask", params={"labelspace": "cityscapes-19"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "labelspace")


def test_the_known_ones_are_named(client: TestClient) -> None:
    said = client.get("/keys", params={"name": "a"}).json()["errors"][0]["message"]
    assert said == "is no parameter here; there are: tenant"
    assert "there is none" in client.get("/samples", params={"name": "a"}).json()["detail"]
