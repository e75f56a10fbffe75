"""Rows, artifacts and archives over HTTP."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.answers.ranges import matches, parse_range
from api.errors import RangeNotSatisfiable
from api.routes.images import content_disposition
from jobs.job import JobImage
from jobs.reporting.read import Reading
from tests.factories import picture
from tests.fakes import MemoryObjects
from tests.unit.api.house import House


def finished(client: TestClient, house: House, *names: str, **fields: str) -> str:
    files = [("files", (name, picture(seed=seed))) for seed, name in enumerate(names or ("a.jpg", "b.jpg"))]
    job_id = str(client.post("/jobs", files=files, data=fields).json()["id"])
    house.work()
    return job_id


def test_rows_come_in_pages_in_input_order(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "c.jpg", "a.jpg", "b.jpg")
    first = client.get(f"/jobs/{job_id}/images", params={"limit": 2}).json()
    rest = client.get(f"/jobs/{job_id}/images", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [row["name"] for row in first["items"] + rest["items"]] == ["c.jpg", "a.jpg", "b.jpg"]
    assert rest["next_cursor"] is None


def test_a_cursor_of_somebody_else_is_a_field_fault(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    answer = client.get(f"/jobs/{job_id}/images", params={"cursor": "????"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


def test_a_row_tells_what_was_measured_and_where_the_files_are(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    row = client.get(f"/jobs/{job_id}/images/1").json()
    assert (row["status"], row["width"], row["height"], row["attempts"]) == ("succeeded", 32, 24, 1)
    assert row["metrics"]["class_fractions"] == {"sky": 0.5, "building": 0.5}
    assert row["error"] is None
    assert set(row["artifacts"]) == {"input", "overlay", "mask"}
    for link in row["artifacts"].values():
        assert Image.open(io.BytesIO(client.get(link).content)).size == (32, 24)


def test_rows_tell_how_unusual_their_classes_are(client: TestClient, house: House) -> None:
    path = f"/jobs/{finished(client, house, 'a.jpg', 'b.jpg')}/images"
    assert client.get(f"{path}/0").json()["metrics"]["class_drift"] == 0  # both have the same shares
    page = client.get(path, params={"sort": "class_drift", "limit": 1}).json()
    rest = client.get(path, params={"sort": "class_drift", "cursor": page["next_cursor"]}).json()
    assert [row["index"] for row in page["items"] + rest["items"]] == [0, 1]
    assert client.get(path, params={"sort": "class_drift", "cursor": "AAAA"}).json()["errors"][0]["field"] == "cursor"


def test_rows_may_be_filtered_by_status(client: TestClient, house: House) -> None:
    files = [("files", ("good.jpg", picture())), ("files", ("bad.jpg", b"no picture"))]
    job_id = client.post("/jobs", files=files).json()["id"]
    house.work()
    rows = client.get(f"/jobs/{job_id}/images", params={"status": "failed"}).json()["items"]
    assert [(row["name"], row["error"]["code"]) for row in rows] == [("bad.jpg", "unreadable_image")]
    assert client.get(f"/jobs/{job_id}/images", params={"sort": "confidence"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/images/2", "image_not_found"),
        ("/images/0/coco", "artifact_not_found"),
        ("/images/0/nothing", "artifact_not_found"),
    ],
)
def test_what_is_not_there_is_a_404(client: TestClient, house: House, path: str, code: str) -> None:
    answer = client.get(f"/jobs/{finished(client, house)}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_an_artifact_is_served_as_what_it_is(client: TestClient, house: House) -> None:
    job_id = finished(client, house, 'zü"rich.jpg')
    answer = client.get(f"/jobs/{job_id}/images/0/mask")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline; filename=")
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_an_upload_that_a_browser_might_run_is_only_ever_saved(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    key = next(house.objects.keys(f"default/jobs/{job_id}/inputs/"))
    house.objects.put(key, b"<script>", media_type="text/html")
    answer = client.get(f"/jobs/{job_id}/images/0/input")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_the_way_to_a_result_takes_one_look_at_its_image(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = finished(client, house)
    look, looks = Reading.image, list[int]()

    def counted(reading: Reading, job_id: str, index: int) -> JobImage:
        looks.append(index)
        return look(reading, job_id, index)

    monkeypatch.setattr(Reading, "image", counted)
    monkeypatch.setattr(house.objects, "presigned_get", lambda key, *, expires_s: f"https://store/{key}?{expires_s}")
    assert client.get(f"/jobs/{job_id}/images/1/mask", follow_redirects=False).status_code == 307
    assert looks == [1]


def test_a_store_with_addresses_of_its_own_is_pointed_to(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = finished(client, house)
    monkeypatch.setattr(house.objects, "presigned_get", lambda key, *, expires_s: f"https://store/{key}?{expires_s}")
    answer = client.get(f"/jobs/{job_id}/images/0/mask", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == f"https://store/default/jobs/{job_id}/mask/000000.1?3600"
    head = client.head(f"/jobs/{job_id}/images/0/mask", follow_redirects=False)  # an address is signed for one method
    assert (head.status_code, head.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.png", "inline; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"),
        ('x"; y=\r\nz', "inline; filename=\"x_; y=__z\"; filename*=UTF-8''x%22%3B%20y%3D%0D%0Az"),
        ("ü.png", "inline; filename=\"_.png\"; filename*=UTF-8''%C3%BC.png"),
    ],
)
def test_a_name_cannot_break_out_of_its_header(name: str, header: str) -> None:
    assert content_disposition("inline", name) == header


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=50-500", (50, 100)),
        (None, None),
        ("bytes=5-3", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("rows=0-1", None),
    ],
)
def test_a_single_range_is_understood(header: str | None, part: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 100)


@pytest.mark.parametrize(
    ("header", "same"), [('"a"', True), ('W/"a", "b"', True), ("*", True), ('"b"', False), (None, False)]
)
def test_tags_are_compared_weakly(header: str | None, same: bool) -> None:
    assert matches(header, '"a"') is same


def test_an_archive_is_a_sound_zip_of_the_length_it_said(client: TestClient, house: House) -> None:
    answer = client.get(f"/jobs/{finished(client, house)}/archive")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert "mask/a.png" in archive.namelist()


def test_a_download_can_be_resumed(client: TestClient, house: House) -> None:
    path = f"/jobs/{finished(client, house)}/archive"
    whole = client.get(path)
    middle = len(whole.content) // 2
    headers = {"Range": f"bytes={middle}-", "If-Range": whole.headers["etag"]}
    rest = client.get(path, headers=headers)
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {middle}-{len(whole.content) - 1}/{len(whole.content)}"
    assert whole.content[:middle] + rest.content == whole.content


def test_a_download_of_something_else_begins_anew(client: TestClient, house: House) -> None:
    path = f"/jobs/{finished(client, house)}/archive"
    assert client.get(path, headers={"Range": "bytes=5-", "If-Range": '"other"'}).status_code == 200


def test_a_range_behind_the_end_of_an_archive_is_a_416(client: TestClient, house: House) -> None:
    path = f"/jobs/{finished(client, house)}/archive"
    length = client.head(path).headers["content-length"]
    answer = client.get(path, headers={"Range": f"bytes={length}-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{length}"


def test_a_known_archive_is_not_sent_again(client: TestClient, house: House) -> None:
    path = f"/jobs/{finished(client, house)}/archive"
    tag = client.head(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_an_archive_may_be_of_some_kinds_only(client: TestClient, house: House) -> None:
    answer = client.get(f"/jobs/{finished(client, house)}/archive", params={"artifacts": "mask,metrics"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert set(archive.namelist()) == {"manifest.json", "metrics.csv", "metrics.json", "mask/a.png", "mask/b.png"}


def test_who_takes_many_archives_at_once_is_told_when_to_come_again(
    house: House, open_client: Callable[[House], TestClient]
) -> None:
    limits = {"downloads_per_caller": 1, "download_wait_s": 0.05}
    house.settings = house.settings.model_copy(update=limits)
    house.objects = store = StuckReads()
    client = open_client(house)
    path = f"/jobs/{finished(client, house)}/archive"
    store.is_stuck = True
    answers: list[int] = []
    first = threading.Thread(target=lambda: answers.append(client.get(path).status_code))
    first.start()
    store.asked.wait(60)
    busy, export, head = client.get(path), client.get(path, params={"export": "voc"}), client.head(path)
    store.go.set()
    first.join(60)
    assert (busy.status_code, busy.json()["code"], export.status_code, answers) == (503, "downloads_busy", 503, [200])
    assert int(busy.headers["retry-after"]) > 0
    assert head.status_code == 200
    assert client.get(path).status_code == 200


class StuckReads(MemoryObjects):
    """A store that gives nothing, once it is stuck, until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stuck = False
        self.asked, self.go = threading.Event(), threading.Event()

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if self.is_stuck:
            self.asked.set()
            self.go.wait(60)
        return super().stream(key, start=start, length=length)


def test_an_archive_of_an_unknown_kind_names_the_kinds(client: TestClient, house: House) -> None:
    answer = client.get(f"/jobs/{finished(client, house)}/archive", params={"artifacts": "masks"})
    assert answer.status_code == 422
    assert "overlay, mask, metrics" in answer.json()["detail"]


def test_a_running_job_has_no_archive_yet(client: TestClient) -> None:
    job_id = client.post("/jobs", files={"files": ("a.jpg", picture())}).json()["id"]
    answer = client.get(f"/jobs/{job_id}/archive")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_finished")


def test_an_archive_whose_objects_are_gone_breaks_off(house: House, open_client: Callable[[House], TestClient]) -> None:
    client = open_client(house)
    job_id = finished(client, house)
    house.objects.delete(f"default/jobs/{job_id}/mask/000001.1")
    answer = client.get(f"/jobs/{job_id}/archive")
    assert len(answer.content) < int(client.head(f"/jobs/{job_id}/archive").headers["content-length"])
