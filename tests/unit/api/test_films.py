"""Films over HTTP: their frames are the images of the job, whichever part of the form comes first."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient

from maskmill.handle import JobHandle
from maskmill.transport import Transport
from tests.films import film
from tests.unit.api.house import LOCAL, House


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


def reaching(client: TestClient) -> httpx.Client:
    """What our own client calls with, in the place of sockets."""

    def answer(request: httpx.Request) -> httpx.Response:
        told = client.request(request.method, request.url.raw_path.decode(), headers=dict(request.headers))
        return httpx.Response(told.status_code, headers=dict(told.headers), content=told.content)

    return httpx.Client(transport=httpx.MockTransport(answer), base_url=LOCAL)


def test_a_film_comes_back_as_long_as_it_was(client: TestClient, house: House, tmp_path: Path) -> None:
    answer = client.post("/jobs", files={"files": ("drive.mp4", film(seconds=2.0))}, data={"every": "500ms"})
    house.work()
    with reaching(client) as http:
        (made,) = JobHandle(Transport(http=http), http.get(f"/jobs/{answer.json()['id']}")).film(tmp_path)
    assert (made.path.name, made.frames, made.seconds, made.missing) == ("drive-overlay.mp4", 4, 2.0, [])
    av: Any = importlib.import_module("av")
    with av.open(str(made.path)) as found:
        assert [float(frame.time) for frame in found.decode(video=0)] == [0.0, 0.5, 1.0, 1.5]
        assert (found.duration, found.streams.video[0].width, found.streams.video[0].height) == (2_000_000, 64, 48)
