"""Inputs that are not in the store, looked at again: of buckets and of the sample library, never from the web."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.services import ARCHIVE_THREADS
from jobs.errors import StorageUnavailable
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog
from tests.unit.api.house import House
from tests.unit.api.test_exports import exported, turned_picture
from tests.unit.api.test_named_inputs import rows, submit

URL = "https://example.org/a.jpg"


@pytest.fixture(autouse=True)
def two_models(house: House) -> None:
    house.catalog = FakeCatalog([make_card(), make_card("other")])


def segmented(client: TestClient, house: House, *inputs: dict[str, Any], **more: Any) -> str:
    job_id = submit(client, *inputs, **more)
    house.work()
    return job_id


def ask(client: TestClient, job_id: str, index: int = 0, **more: Any) -> Any:
    return client.get(f"/jobs/{job_id}/images/{index}/input", **more)


def code(client: TestClient, job_id: str, index: int = 0) -> tuple[int, str]:
    answer = ask(client, job_id, index)
    return answer.status_code, answer.json()["code"]


def test_a_bucket_gives_the_picture_that_was_segmented_and_no_other(client: TestClient, house: House) -> None:
    house.buckets.contents["photos/cam/a.jpg"] = picture()
    job_id = segmented(client, house, {"prefix": "photos/cam/"})
    found = ask(client, job_id)
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, picture(), "image/jpeg")
    assert 'filename="a.jpg"' in found.headers["content-disposition"]
    part = ask(client, job_id, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, picture()[2:6])
    unchanged = ask(client, job_id, headers={"If-None-Match": found.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.head(f"/jobs/{job_id}/images/0/input").headers["content-length"] == str(len(picture()))

    house.buckets.contents["photos/cam/a.jpg"] = picture(seed=9)
    assert code(client, job_id) == (409, "input_changed")
    assert ask(client, job_id, headers={"If-None-Match": found.headers["etag"]}).status_code == 409
    del house.buckets.contents["photos/cam/a.jpg"]
    assert code(client, job_id) == (404, "artifact_not_found")


def test_the_ranges_of_a_picture_in_a_bucket_are_read_once(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.buckets.contents["photos/a.jpg"] = picture()
    job_id = segmented(client, house, {"object": "photos/a.jpg"})
    stream, reads = house.buckets.stream, list[str]()

    def counted(location: str, *, most: int) -> Iterator[bytes]:
        reads.append(location)
        return stream(location, most=most)

    monkeypatch.setattr(house.buckets, "stream", counted)
    whole, parts = ask(client, job_id), range(0, len(picture()), 300)
    for start in parts:
        part = ask(client, job_id, headers={"Range": f"bytes={start}-{start + 299}", "If-Range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, picture()[start : start + 300])
    assert (len(parts) > 1, len(reads)) == (True, 2)  # the whole, and once for all parts


def test_a_picture_that_nobody_has_read_yet_is_shown_as_it_lies_there(client: TestClient, house: House) -> None:
    house.buckets.contents["photos/a.jpg"] = b"no picture"
    job_id = submit(client, {"object": "photos/a.jpg"})
    found = ask(client, job_id)
    assert (found.content, found.headers["content-type"]) == (b"no picture", "application/octet-stream")
    assert found.headers["content-disposition"].startswith("attachment")


def test_a_right_that_was_withdrawn_holds_no_longer(client: TestClient, house: House) -> None:
    house.buckets.contents["photos/a.jpg"] = picture()
    job_id = segmented(client, house, {"object": "photos/a.jpg"})
    house.buckets.tenants = frozenset()
    assert code(client, job_id) == (404, "artifact_not_found")
    assert "not any more" in ask(client, job_id).json()["detail"]


def test_an_object_that_grew_beyond_what_is_taken_is_not_read(client: TestClient, house: House) -> None:
    house.buckets.contents["photos/a.jpg"] = picture()
    job_id = segmented(client, house, {"object": "photos/a.jpg"})
    house.buckets.contents["photos/a.jpg"] = bytes(house.settings.max_image_bytes + 1)
    assert code(client, job_id) == (404, "artifact_not_found")


def test_a_sample_is_shown_also_by_way_of_the_disk(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.objects.put("crossing", picture(), media_type="image/jpeg")
    job_id = segmented(client, house, {"sample": "crossing"})
    (row,) = rows(client, job_id)
    assert client.get(row["artifacts"]["input"]).content == picture()
    monkeypatch.setattr("api.routes.images.HELD_TO_SEND", 3)
    assert ask(client, job_id).content == picture()
    house.spool.rename(house.folder / "elsewhere")
    assert code(client, job_id) == (503, "storage_unavailable")


def test_what_came_from_an_address_is_not_fetched_again(client: TestClient, house: House) -> None:
    house.objects.put(URL, picture(), media_type="image/jpeg")
    job_id = segmented(client, house, {"url": URL})
    (row,) = rows(client, job_id)
    assert (row["status"], "input" in row["artifacts"]) == ("succeeded", False)
    assert code(client, job_id) == (404, "input_not_kept")
    assert ask(client, job_id, params={"upright": "true"}).json()["code"] == "input_not_kept"


def test_pictures_of_buckets_lie_as_their_masks_do_where_that_is_asked_for(client: TestClient, house: House) -> None:
    house.buckets.contents = {"photos/a.jpg": turned_picture(), "photos/b.jpg": picture()}
    job_id = segmented(client, house, {"prefix": "photos/"})
    turned, plain = (ask(client, job_id, index, params={"upright": "true"}) for index in range(2))
    assert turned.content != turned_picture()
    assert plain.content == picture()
    assert turned.headers["etag"] != ask(client, job_id).headers["etag"]


@pytest.mark.parametrize("models", [{}, {"models": ["tiny", "other"]}])
def test_an_export_brings_the_pictures_and_says_which_it_lacks(
    client: TestClient, house: House, models: dict[str, Any]
) -> None:
    house.objects.put(URL, picture(), media_type="image/jpeg")
    house.buckets.contents = {f"photos/{name}.jpg": picture(seed=seed) for seed, name in enumerate("bcd")}
    inputs = [{"object": f"photos/{name}.jpg"} for name in "bcd"]
    job_id = segmented(client, house, {"url": URL, "ref": "=r"}, *inputs, **models)
    house.buckets.contents["photos/c.jpg"] = picture(seed=9)
    del house.buckets.contents["photos/d.jpg"]
    with exported(client, job_id, export="voc", pictures="true") as archive:
        names = archive.namelist()
        table = list(csv.reader(io.StringIO(archive.read("pictures_missing.csv").decode())))
    assert [name.rpartition("/")[2] for name in names if name.endswith(".jpg")] == ["b.jpg"] * (2 if models else 1)
    assert names[-1] == "pictures_missing.csv"
    assert [line[:4] for line in table] == [
        ["index", "name", "ref", "code"],
        ["0", "a.jpg", "'=r", "input_not_kept"],
        ["2", "c.jpg", "", "input_changed"],
        ["3", "d.jpg", "", "artifact_not_found"],
    ]
    assert "pictures_missing.csv" not in exported(client, job_id, export="voc").namelist()


def test_a_job_that_goes_while_its_pictures_are_sent_breaks_the_export_off(client: TestClient, house: House) -> None:
    job_id = str(client.post("/jobs", files={"files": ("a.jpg", picture())}).json()["id"])
    house.work()
    for key in [key for key in house.objects.contents if "/inputs/" in key]:
        house.objects.delete(key)
    with pytest.raises(zipfile.BadZipFile):
        exported(client, job_id, export="voc", pictures="true")


def test_a_bucket_that_is_away_breaks_an_export_off(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.buckets.contents["photos/a.jpg"] = picture()
    job_id = segmented(client, house, {"object": "photos/a.jpg"})

    def away(location: str, *, most: int) -> Any:
        raise StorageUnavailable("the bucket cannot be read")

    monkeypatch.setattr(house.buckets, "stream", away)
    assert code(client, job_id) == (503, "storage_unavailable")
    with pytest.raises(zipfile.BadZipFile):
        exported(client, job_id, export="voc", pictures="true")


def test_a_comparison_asks_a_bucket_that_is_away_no_more(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.buckets.contents = {f"photos/{name}.jpg": picture(seed=seed) for seed, name in enumerate("abc")}
    house.buckets.contents["photos/a.png"] = mask(np.zeros((24, 32), np.uint8))
    inputs = [{"object": f"photos/{name}.jpg", "mask": {"object": "photos/a.png"}} for name in "abc"]
    job_id = segmented(client, house, *inputs, models=["tiny", "other"])
    asked = []

    def away(location: str, *, most: int) -> Any:
        asked.append(location)
        raise StorageUnavailable("the bucket cannot be read")

    monkeypatch.setattr(house.buckets, "stream", away)
    archive = client.get(f"/jobs/{job_id}/archive?artifacts=comparison")
    assert archive.status_code == 200
    page = zipfile.ZipFile(io.BytesIO(archive.content)).read("comparison.html").decode()
    assert "The mask of" in page
    assert "The picture a.jpg" not in page
    assert len(asked) == 1


def test_a_bucket_that_takes_its_time_holds_up_nobody_else(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.buckets.contents["photos/a.jpg"] = picture()
    job_id = segmented(client, house, {"object": "photos/a.jpg"})
    go, stream, waiting = threading.Event(), house.buckets.stream, []

    def slow(location: str, *, most: int) -> Iterator[bytes]:
        waiting.append(location)
        go.wait(60)
        return stream(location, most=most)

    monkeypatch.setattr(house.buckets, "stream", slow)
    with ThreadPoolExecutor(60) as threads:  # more than there are for everything
        answers = [threads.submit(ask, client, job_id) for _ in range(60)]
        for _ in range(20):
            assert client.get(f"/jobs/{job_id}").status_code == 200
        assert len(waiting) <= ARCHIVE_THREADS
        go.set()
        assert {each.result().status_code for each in answers} == {200}
