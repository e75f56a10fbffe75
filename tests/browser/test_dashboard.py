"""The page does its job in Chromium, against the real stack: one of each for all tests of the file."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page

from tests.browser.dashboard_steps import coloured, page_of, photograph, pixel, pointed_at
from tests.services.chromium import chromium, violations
from tests.services.valkey import MortalValkey
from tests.stack import Stack, pictures_zip, running_stack

pytestmark = [pytest.mark.slow, pytest.mark.full]

PATIENCE_MS = 60_000
BUNDLED = Path(__file__).resolve().parents[2] / "data" / "models"
# Streamlit 1.67's own, minor: its drop zone for files carries a role and a label at once.
OF_THE_FRAMEWORK = {"presentation-role-conflict"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder, broker = tmp_path_factory.mktemp("stack"), MortalValkey(tmp_path_factory.mktemp("broker"))
    models = json.dumps([str(BUNDLED), str(folder / "models")])
    parts = {"MASKMILL_BROKER_URL": broker.server.url, "MASKMILL_STORAGE_MODEL_FOLDERS": models}
    with running_stack(folder, parts) as stack:
        yield stack
    broker.close()


@pytest.fixture(scope="module")
def address(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with page_of(stack.url, tmp_path_factory.mktemp("page")) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def job(stack: Stack) -> Any:
    """Two coloured pictures and a file that is none, with all that the viewer can show."""
    files = [("files", (f"{name}.png", coloured(), "image/png")) for name in ("one", "two")]
    files.append(("files", ("broken.png", b"no picture", "image/png")))
    options = {"model": "tiny", "artifacts": ["mask", "overlay", "confidence"]}
    with stack.http() as http:
        answer = http.post("/jobs", files=files, data={"options": json.dumps(options)})
    return stack.finished(answer.json()["id"])


def _chosen(page: Page, label: str, name: str) -> None:
    page.get_by_label(label).first.click()
    page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")


def test_try_shows_the_mask_of_an_upload_and_the_class_under_the_pointer(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("input[type=file]").set_input_files({"name": "c.png", "mimeType": "image/png", "buffer": coloured()})
    page.get_by_text("c.png").first.wait_for()
    page.get_by_role("button", name="Remove street-fast").or_(page.get_by_label("Clear all")).first.click()
    _chosen(page, "Models", "tiny")
    page.get_by_role("button", name="Segment").click()
    page.locator("canvas[data-ready=yes]").wait_for()
    assert [pointed_at(page, share, 0.5)[2] for share in (0.1, 0.5, 0.9)] == ["sky", "building", "pole"]


def test_the_pixel_under_the_pointer_is_the_masks(page: Page, address: str, stack: Stack, job: Any) -> None:
    with stack.http() as http:
        mask = np.asarray(Image.open(io.BytesIO(http.get(f"/jobs/{job['id']}/images/0/mask").content)))
        space = http.get(f"/label-spaces/{job['label_space']}").json()
    names = {each["id"]: each["name"] for each in space["classes"]}
    page.goto(f"{address}/?job={job['id']}&image=0")
    for share in (0.05, 0.33, 0.34, 0.66, 0.67, 0.95):
        x, y, name = pointed_at(page, share, 0.4)
        assert name == names[int(mask[y, x])]


def test_a_class_is_switched_off_in_the_browser_alone(page: Page, address: str, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    page.get_by_label("Show").select_option("mask")
    page.wait_for_timeout(300)
    before, other, asked = pixel(page, 0.1, 0.5), pixel(page, 0.9, 0.5), []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("[data-part=classes] label", has_text="sky").locator("input").uncheck()
    page.wait_for_timeout(300)
    assert pixel(page, 0.1, 0.5) != before
    assert pixel(page, 0.9, 0.5) == other
    assert asked == []


def test_no_picture_is_loaded_twice(page: Page, address: str, job: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/pictures/" in request.url else None)
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    page.get_by_label("Hatching").check()
    page.get_by_role("button", name="Zoom in").click()
    pointed_at(page, 0.5, 0.5)
    assert sorted(asked) == sorted(set(asked))
    assert len(asked) == 3  # picture, mask, confidence


def test_the_viewer_is_used_by_keys_alone(page: Page, address: str, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("[data-part=readout]").inner_text().startswith("x 95, y 48 · building")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert "pole" in page.locator("[data-part=readout]").inner_text()


def test_a_correction_is_drawn_and_saved(page: Page, address: str, stack: Stack, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}&image=1")
    canvas = page.locator("canvas[data-ready=yes]")
    canvas.wait_for()
    page.get_by_role("button", name="Fill").click()
    page.locator("[data-part=editor] select").select_option(label="road")
    box = canvas.bounding_box()
    assert box is not None
    for share in (0.1, 0.5):
        page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.5)
    page.get_by_role("button", name="Undo").click()  # the second
    page.get_by_role("button", name="Save correction").click()
    page.get_by_text("Saved as version 1").wait_for()
    with stack.http() as http:
        drawn = http.get(f"/jobs/{job['id']}/images/1/correction").content
        truth = http.get(f"/jobs/{job['id']}/images/1").json()["metrics"]["ground_truth"]
        road = {c["name"]: c["id"] for c in http.get(f"/label-spaces/{job['label_space']}").json()["classes"]}["road"]
    ids = np.asarray(Image.open(io.BytesIO(drawn)))
    assert np.unique(ids[:, :60]).tolist() == [road]
    assert road not in ids[:, 68:]
    assert truth["source"] == "correction"


def test_two_models_are_compared_on_one_picture(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Segment").wait_for()
    _chosen(page, "Models", "street-accurate")
    page.get_by_role("button", name="Segment").click()
    page.locator("canvas[data-ready=yes]").wait_for()
    page.locator("canvas").focus()
    page.keyboard.press("ArrowDown")
    assert "street-fast: " in page.locator("[data-part=readout]").inner_text()
    page.goto(f"{address}{page.get_by_role('link', name='This comparison with its scores').get_attribute('href')}")
    page.get_by_role("cell", name="street-fast and street-accurate").wait_for()
    page.locator("canvas[data-ready=yes]").wait_for()
    assert violations(page) == []


def test_try_needs_no_mouse(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Segment").wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "Segment":
            break
    page.keyboard.press("Enter")
    page.locator("canvas[data-ready=yes]").wait_for()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.shadowRoot?.activeElement?.tagName") == "CANVAS":
            break
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-part=readout]").inner_text().startswith("x 513, y 256")


@pytest.mark.skipif("MASKMILL_SCREENSHOTS" not in os.environ, reason="makes the picture of the README anew")
def test_the_page_is_photographed(page: Page, address: str) -> None:
    folder = Path(os.environ["MASKMILL_SCREENSHOTS"])
    photograph(page, address, folder)
    assert (folder / "dashboard.jpg").stat().st_size < 300_000


def test_a_batch_is_watched_to_its_end(page: Page, address: str) -> None:
    page.goto(f"{address}/batch")
    packed: FilePayload = {
        "name": "pictures.zip",
        "mimeType": "application/zip",
        "buffer": pictures_zip(40, width=160, height=96),
    }
    page.locator("input[type=file]").first.set_input_files(packed)
    page.get_by_text("pictures.zip").first.wait_for()
    _chosen(page, "Model", "tiny")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("succeeded: 40 of 40 images").first.wait_for()


def test_the_gallery_opens_an_image_and_names_what_failed(page: Page, address: str, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}")
    page.get_by_role("button", name="failed: unreadable_image").wait_for()
    page.get_by_role("button", name="two.png").click()
    page.locator("canvas[data-ready=yes]").wait_for()
    assert page.url.endswith("image=1")


def test_the_gallery_loads_what_is_seen(page: Page, address: str, stack: Stack) -> None:
    with stack.http() as http:
        files = {"files": ("many.zip", pictures_zip(300, width=48, height=32), "application/zip")}
        answer = http.post("/jobs", files=files, data={"options": json.dumps({"model": "tiny"})})
    large = stack.finished(answer.json()["id"], timeout_s=120)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/jobs?job={large['id']}")
    page.get_by_role("button", name="picture_0000.jpg").wait_for()
    page.wait_for_timeout(1000)
    assert sum("/rows/" in url for url in asked) == 1
    assert sum("as=thumbnail" in url for url in asked) <= 40
    page.locator(".gallery").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    page.get_by_role("button", name="picture_0299.jpg").wait_for()
    assert page.locator(".gallery button").count() <= 40
    assert sum("as=thumbnail" in url for url in asked) <= 160


PATHS = [
    "",
    "batch",
    "jobs",
    "compare",
    "samples",
    "models",
    "training",
    "health",
    "jobs?job={job}",
    "jobs?job={job}&image=0",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing(
    browser: Browser, address: str, job: Any, path: str, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{address}/{path.format(job=job['id'])}")
    page.get_by_role("heading", level=1).wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(2500)
    found = [(rule, html) for rule, html in violations(page) if rule not in OF_THE_FRAMEWORK]
    page.close()
    assert found == []


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_needs_no_scrolling_sideways(browser: Browser, address: str, job: Any, path: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{address}/{path.format(job=job['id'])}")
    page.get_by_role("heading", level=1).wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(1500)
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert wide <= 360


def test_the_report_of_a_job_is_accessible_and_fits_a_phone(
    browser: Browser, stack: Stack, job: Any, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "maskmill", "report", job["id"], "--server", stack.url, "--out", "report"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto((tmp_path / "report" / "index.html").as_uri())
    assert page.get_by_role("heading", level=3).all_inner_texts() == ["one.png", "two.png", "broken.png"]
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_nobody_else_is_asked_for_anything(page: Page, address: str, job: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
