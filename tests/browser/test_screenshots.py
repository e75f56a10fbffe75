"""The pictures of the page in README and docs, drawn by the page itself: `make screenshots`. Generated scenes alone."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.dashboard_steps import ANEW, choose, segmented
from tests.stack import ROOT, Stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.full,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not ANEW, reason="draws the pictures of the documentation anew: `make screenshots`"),
]

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 350_000


def _kept(page: Page, name: str) -> None:
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / name, type="jpeg", quality=80)
    assert (IMAGES / name).stat().st_size < MOST_BYTES


def test_half_a_scene_as_it_is_and_half_with_its_classes(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(address)
    segmented(page)
    page.get_by_label("Divider").fill("40")
    page.locator("canvas").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_label("Show").evaluate("each => each.scrollIntoView()")
    _kept(page, "dashboard.jpg")


def test_two_models_on_one_scene(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(address)
    page.get_by_role("button", name="Segment").wait_for()
    choose(page, "Models", "street-accurate")
    segmented(page)
    page.get_by_label("Show").evaluate("each => each.scrollIntoView()")
    _kept(page, "dashboard-compare.jpg")


def test_the_gallery_of_a_job(page: Page, address: str, stack: Stack) -> None:
    with stack.http() as http:
        samples = [each["id"] for each in http.get("/samples").json()["items"]]
        inputs = [{"sample": each, "mask": {"sample": each}} for each in samples]
        options = {"model": "street-accurate", "artifacts": ["overlay", "mask"], "mask_label_space": "cityscapes-34"}
        answer = http.post("/jobs", json={"inputs": inputs, **options})
    job = stack.finished(answer.json()["id"], timeout_s=300)
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(f"{address}/jobs?job={job['id']}")
    choose(page, "Order", "least certain first")
    page.locator(".gallery img").first.wait_for()
    page.locator(".gallery").evaluate("each => each.scrollIntoView({ block: 'end' })")
    page.wait_for_timeout(1500)
    _kept(page, "dashboard-job.jpg")


def test_the_page_of_a_comparison(browser: Browser, tmp_path: Path) -> None:
    """Its head, its scores and its first picture, one below the other."""
    data = ["--data", "scenes", "--option", "scene_count=24", "--no-speed"]
    shown = ["--out", "page.html", "--title", "Two bundled models"]
    command = [sys.executable, "-m", "maskmill", "compare", "street-fast", "street-accurate", *data, *shown]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    page = browser.new_page(viewport={"width": 1060, "height": 1000})
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_timeout(1500)
    pieces = [_piece(page, "body", ".classes-section"), _piece(page, ".pictures-section", ".picture:nth-of-type(2)")]
    page.close()
    sheet = Image.new("RGB", (1060, sum(each.height for each in pieces)), "white")
    sheet.paste(pieces[0], (0, 0))
    sheet.paste(pieces[1], (0, pieces[0].height))
    sheet.save(IMAGES / "comparison.jpg", quality=80, optimize=True)
    assert (IMAGES / "comparison.jpg").stat().st_size < MOST_BYTES


def _piece(page: Page, first: str, end: str) -> Image.Image:
    """From the top of `first` to the top of `end`, over the whole width."""
    above = "each => each.getBoundingClientRect().top + scrollY"
    top, bottom = (page.locator(each).first.evaluate(above) for each in (first, end))
    whole = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    return whole.convert("RGB").crop((0, round(top), whole.width, round(bottom)))
