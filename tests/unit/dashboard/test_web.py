"""The routes beside the pages: who may ask, what may be asked for, and how a mask becomes ids."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.parts.outgoing import delivery_row, export_address
from dashboard.settings import DashboardSettings
from dashboard.web.pictures import thumbnail, with_ids_for_colours
from dashboard.web.routes import routes
from maskmill import Maskmill
from tests.factories import make_card, mask, picture
from tests.unit.api.house import House
from tests.unit.api.live import serving

JOB = "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def service(house: House) -> Iterator[httpx.Client]:
    with serving(house) as http:
        yield http


@pytest.fixture(scope="module")
def browser(service: httpx.Client) -> Iterator[TestClient]:
    with Maskmill(str(service.base_url), patience=0.5) as server:
        application = Starlette(routes=routes(server, DashboardSettings()))
        with TestClient(application, base_url="http://localhost:8009") as browser:
            yield browser


def _sample(browser: TestClient, query: str = "") -> Image.Image:
    return Image.open(io.BytesIO(browser.get(f"/pictures/samples/crossing/mask{query}").content))


def test_a_mask_as_ids_is_grey_of_the_class_id(browser: TestClient) -> None:
    ids = np.asarray(_sample(browser, "?as=ids").convert("RGB"))
    assert np.array_equal(ids[..., 0], np.asarray(_sample(browser)))
    assert np.array_equal(ids[..., 0], ids[..., 2])


def test_what_is_no_palette_png_stays_as_it_is() -> None:
    grey = io.BytesIO()
    Image.new("L", (4, 4), 7).save(grey, "PNG")
    assert np.asarray(Image.open(io.BytesIO(with_ids_for_colours(grey.getvalue()))))[0, 0] == 7
    assert with_ids_for_colours(b"no png") == b"no png"


def _png(depth: int, samples: bytes, width: int, palette: bytes = b"") -> bytes:
    """Of one row, grey where there is no palette."""
    head = struct.pack(">IIBBBBB", width, 1, depth, 3 if palette else 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(b"\0" + samples)), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
        if data or kind == b"IEND"
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("png", "ids"),
    [
        (_png(1, b"\x40", 3), [0, 1, 0]),
        (_png(2, b"\x1b", 4), [0, 1, 2, 3]),
        (_png(4, b"\x5b", 2), [5, 11]),
        (_png(16, b"\0\x05\0\xff", 2), [5, 255]),
        (_png(8, b"\1\xff", 2, palette=bytes(6)), [1, 255]),  # beyond its palette
        (_png(4, b"\x5b", 2, palette=bytes(48)), [5, 11]),
    ],
)
def test_a_correction_in_any_depth_is_shown_with_its_ids(png: bytes, ids: list[int]) -> None:
    """The service takes them so, and the viewer goes on from what is shown."""
    shown = Image.open(io.BytesIO(with_ids_for_colours(png))).convert("RGB")
    assert np.asarray(shown)[0].tolist() == [[each] * 3 for each in ids]


def test_a_thumbnail_is_upright() -> None:
    lying, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (640, 320)).save(lying, "JPEG", exif=exif)
    assert Image.open(io.BytesIO(thumbnail(lying.getvalue()) or b"")).size == (160, 320)


def test_a_thumbnail_is_small_and_kept_by_the_browser(browser: TestClient) -> None:
    large = io.BytesIO()
    Image.new("RGB", (2048, 1024)).save(large, "JPEG")
    assert Image.open(io.BytesIO(thumbnail(large.getvalue()) or b"")).size == (320, 160)
    answer = browser.get("/pictures/samples/crossing/image?as=thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert "max-age" in answer.headers["cache-control"]


def test_a_thumbnail_is_of_the_newest_correction(browser: TestClient, service: httpx.Client, house: House) -> None:
    job = service.post("/jobs", files={"files": ("a.png", picture(form="PNG"))}).json()["id"]
    house.work()
    shown = []
    for drawn in (0, 1):
        data = mask(np.full((24, 32), drawn, np.uint8))
        assert service.put(f"/jobs/{job}/images/0/correction", content=data).status_code == 200
        answer = browser.get(f"/pictures/jobs/{job}/0/correction?as=thumbnail")
        assert answer.headers["cache-control"] == "private, no-cache"
        shown.append(answer.content)
    assert shown[0] != shown[1]
    first = browser.get(f"/pictures/jobs/{job}/0/correction?as=thumbnail&version=1").content
    assert first == shown[0]


def test_what_is_no_picture_has_no_thumbnail() -> None:
    assert thumbnail(b"no picture") is None


@pytest.mark.parametrize(
    "headers", [{"host": "example.org:8009"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
def test_pages_of_others_are_refused(browser: TestClient, headers: dict[str, str]) -> None:
    assert browser.get("/pictures/samples/crossing/mask", headers=headers).status_code == 403
    sent = browser.put(f"/corrections/{JOB}/0", headers={**headers, "x-maskmill": "correction"}, content=b"")
    assert sent.status_code == 403


def test_a_form_cannot_save_a_correction(browser: TestClient) -> None:
    assert browser.put(f"/corrections/{JOB}/0", content=b"png").status_code == 403


def test_a_correction_beyond_the_limit_is_not_read(browser: TestClient) -> None:
    headers = {"x-maskmill": "correction", "content-length": str(2**31)}
    assert browser.put(f"/corrections/{JOB}/0", headers=headers, content=b"").status_code == 413


@pytest.mark.parametrize(
    "path", [f"/rows/{JOB}", f"/archives/{JOB}", f"/archives/{JOB}?export=cvat", f"/pictures/jobs/{JOB}/0/mask"]
)
def test_the_services_refusal_is_passed_on(browser: TestClient, path: str) -> None:
    answer = browser.get(path.format(JOB))
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize(
    "path", ["/rows/limits", "/pictures/jobs/..%2fkeys/0/mask", "/pictures/samples/a/keys", "/archives/limits"]
)
def test_an_id_is_never_a_path(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code in (404, 502)


def test_an_export_is_named_after_its_tool(house: House, service: httpx.Client, browser: TestClient) -> None:
    job = service.post("/jobs", files=[("files", ("a.jpg", picture()))]).json()["id"]
    house.work()
    answer = browser.get(export_address(job, "cvat", {"pictures": True, "instances": False}))
    assert answer.headers["content-disposition"] == f'attachment; filename="{job}_cvat.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert {"labelmap.txt", "SegmentationClass/a.png"} < set(found.namelist())


def test_a_comparison_comes_as_a_page_that_reaches_nothing(
    house: House, service: httpx.Client, browser: TestClient
) -> None:
    house.catalog.cards = [make_card(), make_card("other")]
    files, options = [("files", ("a.jpg", picture()))], {"options": json.dumps({"models": ["tiny", "other"]})}
    job = service.post("/jobs", files=files, data=options).json()["id"]
    assert browser.get(f"/comparisons/{job}").json()["code"] == "job_not_finished"
    house.work()
    answer = browser.get(f"/comparisons/{job}")
    assert "<h1>tiny against other</h1>" in answer.text
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"sandbox allow-scripts", "default-src 'none'", "frame-ancestors 'self'"} < set(policy)


def test_the_first_page_is_found_by_its_name_as_the_others_are(browser: TestClient) -> None:
    told = {browser.get(f"/try{query}", follow_redirects=False).headers["location"] for query in ("", "?sample=a%20b")}
    assert told == {"./", "./?sample=a%20b"}


def test_the_name_of_an_export_is_never_a_path(browser: TestClient) -> None:
    assert browser.get(f"/archives/{JOB}?export=../keys").status_code == 404


def test_a_delivery_is_told_with_its_last_answer() -> None:
    delivery = {"event": "job.completed", "url": "https://a.example", "status": "pending", "attempts": []}
    assert delivery_row(delivery)[3:] == [0, "–", "–"]
    tried = {**delivery, "status": "failed", "attempts": [{"status_code": None, "error": "timeout"}]}
    assert delivery_row(tried)[2:] == ["failed", 1, "timeout", "–"]


def test_the_page_has_its_files() -> None:
    root = Path(__file__).resolve().parents[3] / "dashboard"
    assert (root / "main.py").is_file()
    assert not (root / "pages").exists()  # Streamlit would run each file of it by itself
