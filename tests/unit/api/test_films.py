"""Films over HTTP: their frames are the images of the job, whichever part of the form comes first."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.films import film


def test_a_film_is_a_job_of_its_frames(client: TestClient) -> None:
    answer = client.post(
        "/jobs", files={"files": ("drive.mkv", film(seconds=1.0, container="matroska"))}, data={"every": "500ms"}
    )
    assert answer.status_code == 202, answer.text
    rows = client.get(f"/jobs/{answer.json()['id']}/images").json()["items"]
    assert [row["name"] for row in rows] == ["drive/00-00-00.000.jpg", "drive/00-00-00.500.jpg"]
    assert answer.json()["options"]["every"] == 0.5


def test_a_damaged_film_is_a_422_with_a_code(client: TestClient) -> None:
    answer = client.post("/jobs", files={"files": ("drive.mp4", film(seconds=1.0)[:300])})
    assert (answer.status_code, answer.json()["code"]) == (422, "film_unreadable")


def test_one_picture_is_no_film(client: TestClient) -> None:
    answer = client.post("/predict", files={"file": ("drive.mp4", film(seconds=1.0))})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")
