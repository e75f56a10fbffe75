"""Answers that break off while they are sent: a job that is deleted, a store that fails, an object that is another."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from api.edge.connections import ConnectionRules, guarded
from jobs.change import Changing
from jobs.errors import StorageUnavailable
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog, MemoryObjects
from tests.unit.api.house import House
from tests.unit.api.live import serving

ARCHIVE, EXPORT, PICTURES = "archive", "archive?export=cvat", "archive?export=cvat&pictures=true"


class Watched(MemoryObjects):
    """meanwhile: happens once, when a stored file is read that is not the first one. Large files are in two pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[str], None] | None = None
        self._read = 0

    def get(self, key: str) -> bytes:
        self._happens(key)
        return super().get(key)

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._happens(key)
        return super().stream(key, start=start, length=length)

    def _happens(self, key: str) -> None:
        self._read += self.meanwhile is not None
        if self.meanwhile is not None and self._read > 1:
            happens, self.meanwhile = self.meanwhile, None
            happens(key)


@pytest.fixture
def store() -> Watched:
    return Watched()


@pytest.fixture
def house(house: House, store: Watched) -> House:
    house.objects, house.catalog = store, FakeCatalog([make_card(), make_card("other")])
    return house


@pytest.fixture
def http(house: House) -> Iterator[httpx.Client]:
    """Behind the server that we serve with, which logs as it does there."""
    with serving(house, http=guarded(ConnectionRules()), log_config=None, log_level="info") as http:
        yield http


def submitted(http: httpx.Client, house: House) -> str:
    files = [("files", (f"{seed}.png", picture(seed=seed))) for seed in range(3)]
    job_id = str(http.post("/jobs", files=files).json()["id"])
    house.work()
    return job_id


def broken_off(http: httpx.Client, path: str) -> tuple[httpx.Response, int]:
    """The answer, and how many bytes of it came before the connection ended."""
    received = 0
    with http.stream("GET", path) as answer, pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        for piece in answer.iter_raw():
            received += len(piece)
    return answer, received


def told_of(caplog: pytest.LogCaptureFixture) -> tuple[str, str, str]:
    """Job, reason and sentence of the one line that tells of something amiss."""
    (found,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert found.exc_info is None
    return vars(found)["job_id"], vars(found)["reason"], found.getMessage()


@pytest.mark.parametrize("what", [ARCHIVE, EXPORT, PICTURES])
def test_a_job_that_is_deleted_while_it_is_sent(
    http: httpx.Client, house: House, store: Watched, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    job_id = submitted(http, house)
    store.meanwhile = lambda _: Changing(house.unit, house.objects, house.dispatcher).delete(job_id)
    answer, received = broken_off(http, f"/jobs/{job_id}/{what}")
    assert answer.status_code == 200
    assert received < int(answer.headers.get("content-length", received + 1))
    assert told_of(caplog)[:2] == (job_id, "object_not_found")
    assert http.get("/health").status_code == 200


@pytest.mark.parametrize("what", [ARCHIVE, EXPORT, PICTURES])
def test_a_store_that_fails_while_a_job_is_sent(
    http: httpx.Client, house: House, store: Watched, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    job_id = submitted(http, house)

    def fail(key: str) -> None:
        raise StorageUnavailable("the store does not answer")

    store.meanwhile = fail
    broken_off(http, f"/jobs/{job_id}/{what}")
    *told, said = told_of(caplog)
    assert told == [job_id, "storage_unavailable"]
    assert "the store does not answer" in said


def test_an_object_that_is_shorter_than_it_was_is_never_a_whole_answer(
    http: httpx.Client, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = submitted(http, house)
    key = next(key for key in house.objects.contents if "/mask/" in key)
    data, media_type = house.objects.contents[key]
    house.objects.contents[key] = (data[:-1], media_type)
    for path in ("images/0/mask", "archive"):
        caplog.clear()
        broken_off(http, f"/jobs/{job_id}/{path}")
        assert told_of(caplog)[:2] == (job_id, "content_changed")


def test_what_the_store_gives_back_with_other_bytes_is_sent_and_told(
    http: httpx.Client, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """As a disk that rots does: nobody would know before somebody unpacks it."""
    job_id = submitted(http, house)
    key = next(key for key in house.objects.contents if "/mask/" in key)
    data, media_type = house.objects.contents[key]
    rotten = data[:-1] + bytes([data[-1] ^ 1])
    house.objects.contents[key] = (rotten, media_type)
    paths = ("images/0/mask", "images/0/input", "images/1/mask", "archive")
    sent = [http.get(f"/jobs/{job_id}/{path}").raise_for_status().content for path in paths]
    told = [vars(each) for each in caplog.records if each.levelno >= logging.WARNING]
    assert [(each["action"], each["job_id"], each["artifact"], each["key"]) for each in told] == [
        ("stored_file_damaged", job_id, "mask", key)
    ] * 2
    assert (told[0]["image"], told[1]["file"]) == (0, "mask/0.png")
    assert rotten in sent[-1]
    assert "maskmill_damaged_files_total 2.0" in http.get("/metrics").text
    assert http.get(f"/jobs/{job_id}/images/0/mask", headers={"range": "bytes=1-"}).content == rotten[1:]


def test_a_file_that_is_lost_keeps_nobody_from_the_rest(http: httpx.Client, house: House) -> None:
    job_id = submitted(http, house)
    house.objects.delete(next(key for key in house.objects.keys("") if "/mask/000001" in key))
    broken_off(http, f"/jobs/{job_id}/archive")
    answer = http.get(f"/jobs/{job_id}/archive", params={"without_lost": "true"})
    assert len(answer.content) == int(answer.headers["content-length"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert b"mask/1.png" in archive.read("files_missing.csv")
        assert {"mask/0.png", "mask/2.png", "overlay/1.jpg"} < set(archive.namelist())
    drawn = mask(np.zeros((24, 32), np.uint8))
    assert http.put(f"/jobs/{job_id}/images/0/correction", content=drawn).is_success  # which is exported then
    house.objects.delete(next(key for key in house.objects.keys("") if "/inputs/000002" in key))
    broken_off(http, f"/jobs/{job_id}/{PICTURES}")
    exported = http.get(f"/jobs/{job_id}/{PICTURES}&without_lost=true")
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        missing = archive.read("pictures_missing.csv")
        names = archive.namelist()
    assert b"1,1.png,,object_not_found,the store has lost" in missing
    assert b"2,2.png,,artifact_not_found,the input of image 2 is gone" in missing
    assert {"SegmentationClass/0.png", "SegmentationClass/2.png", "JPEGImages/0.png"} < set(names)
    assert not any(name.endswith("/1.png") or name == "JPEGImages/2.png" for name in names)


def test_a_mask_that_is_lost_costs_neither_the_comparison_nor_an_export(http: httpx.Client, house: House) -> None:
    told = {"models": "tiny,other", "artifacts": "mask,coco"}
    files = [("files", ("a.png", picture())), ("masks", ("a.png", mask(np.zeros((24, 32), np.uint8))))]
    job_id = str(http.post("/jobs", files=files, data=told).json()["id"])
    house.work()
    house.objects.delete(next(key for key in house.objects.keys("") if "/1/mask/000000" in key))
    for query, name in (("artifacts=comparison", "comparison.html"), ("export=cvat", "other/SegmentationClass/a.png")):
        with zipfile.ZipFile(io.BytesIO(http.get(f"/jobs/{job_id}/archive?{query}").content)) as archive:
            page = archive.read(name)  # of the export: its COCO says the same
            assert b"B, other: no mask at hand" in page or name != "comparison.html"
    whole = http.get(f"/jobs/{job_id}/archive?without_lost=true").content
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.read("files_missing.csv").splitlines()[1:] == [b"mask/other/a.png,the store has it no longer"]
    house.objects.delete(next(key for key in house.objects.keys("") if "/1/coco/000000" in key))
    for model, count in (("tiny", 0), ("other", 1)):  # another model's loss costs nothing
        whole = http.get(f"/jobs/{job_id}/{EXPORT}&without_lost=true&model={model}").content
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            assert archive.namelist().count("pictures_missing.csv") == count
