"""The viewer alone in Chromium, without a service: its tools change the mask that it saves."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Route

from dashboard.viewer import SCRIPT
from tests.browser.dashboard_steps import pixel
from tests.services.chromium import chromium

pytestmark = [pytest.mark.slow, pytest.mark.full]

VIEWER = Path(__file__).resolve().parents[2] / "dashboard" / "viewer"
SKY, ROAD = 3, 7
WIDE, HIGH = 200, 100
NAMES = ("name", "alt", "picture", "mask", "other", "truth", "confidence", "save", "models", "identity")
CLASSES = [
    {"id": SKY, "name": "sky", "hex": "#0909c8", "safe": "#56b4e9"},
    {"id": ROAD, "name": "road", "hex": "#630963", "safe": "#cc79a7"},
]
DATA = dict.fromkeys(NAMES) | {"name": "a", "alt": "a", "mask": "/mask", "save": "/save", "classes": CLASSES}
START = f"<script type=module>import show from '/viewer.js';show({{parentElement: document.body, data: {json.dumps(DATA)}, setTriggerValue() {{}}}});</script>"  # noqa: E501 one line of the page


class Served:
    """The page, its mask of sky, and what was saved. size: of the mask."""

    def __init__(self) -> None:
        self.saved, self.size = b"", (WIDE, HIGH)

    def __call__(self, route: Route) -> None:
        path = route.request.url.rpartition("/")[2]
        if path == "mask":
            mask = io.BytesIO()
            Image.new("L", self.size, SKY).save(mask, "PNG")
            route.fulfill(body=mask.getvalue(), content_type="image/png")
        elif path == "save":
            self.saved = route.request.post_data_buffer or b""
            route.fulfill(json={"version": 1})
        elif path == "viewer.js":
            route.fulfill(body=SCRIPT, content_type="text/javascript")
        else:
            style = (VIEWER / "viewer.css").read_text("utf-8")
            inner = (VIEWER / "viewer.html").read_text("utf-8")
            route.fulfill(body=f"<style>{style}</style>{inner}{START}", content_type="text/html")


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 900, "height": 900})
        opened.route("**/*", served)
        opened.goto("http://localhost/")
        opened.locator("canvas[data-ready=yes]").wait_for()
        opened.locator("[data-part=editor] select").select_option(label="road")
        yield opened


def _at(page: Page, x: float, y: float) -> tuple[float, float]:
    box = page.locator("canvas").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def _dragged(page: Page, *shares: float) -> None:
    page.mouse.move(*_at(page, shares[0], 0.5))
    page.mouse.down()
    for share in shares[1:]:
        page.mouse.move(*_at(page, share, 0.5))
    page.mouse.up()


def _kept(page: Page, served: Served) -> NDArray[np.uint8]:
    page.get_by_role("button", name="Save correction").click()
    page.get_by_text("Saved as version 1").wait_for()
    return np.asarray(Image.open(io.BytesIO(served.saved)))


def test_brush_eraser_polygon_and_undo_change_what_is_saved(page: Page, served: Served) -> None:
    page.get_by_role("button", name="Brush").click()
    _dragged(page, 0.2, 0.8)
    page.get_by_role("button", name="Erase").click()
    _dragged(page, 0.5, 0.52)
    page.get_by_role("button", name="Polygon").click()
    for x, y in ((0.05, 0.05), (0.3, 0.05), (0.05, 0.25)):
        page.mouse.click(*_at(page, x, y))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Brush").click()
    _dragged(page, 0.95, 0.96)
    page.get_by_role("button", name="Undo").click()
    ids = _kept(page, served)
    assert ids.shape == (HIGH, WIDE)
    assert [ids[50, x] for x in (60, 102, 150, 190)] == [ROAD, SKY, ROAD, SKY]
    assert [ids[8, 16], ids[8, 70]] == [ROAD, SKY]


def test_colour_blind_colours_are_those_that_came_with_the_classes(page: Page) -> None:
    swatch = "getComputedStyle(document.querySelector('.swatch')).backgroundColor"
    assert (pixel(page, 0.5, 0.5), page.evaluate(swatch)) == ((9, 9, 200), "rgb(9, 9, 200)")
    page.get_by_label("Colour-blind colours").check()
    page.wait_for_timeout(300)
    assert (pixel(page, 0.5, 0.5), page.evaluate(swatch)) == ((86, 180, 233), "rgb(86, 180, 233)")


def test_a_panorama_has_room_to_be_zoomed_into(page: Page, served: Served) -> None:
    served.size = (2000, 10)
    page.reload()
    page.locator("canvas[data-ready=yes]").wait_for()
    for _ in range(6):
        page.get_by_role("button", name="Zoom in").click()  # each half as large again: 5 pixels of the screen for one
    page.mouse.move(*_at(page, 0.5, 0.3))
    assert ", y 1 · sky" in page.locator("[data-part=readout]").inner_text()


def test_two_fingers_zoom(page: Page) -> None:
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 0.1), ("touchMove", 0.11), ("touchMove", 0.3), ("touchEnd", None)):
        places = [] if apart is None else [_at(page, 0.5 - apart, 0.5), _at(page, 0.5 + apart, 0.5)]
        points = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.mouse.move(*_at(page, 0.1, 0.5))
    found = re.match(r"x (\d+),", page.locator("[data-part=readout]").inner_text())
    assert found is not None
    assert int(found[1]) > 0.2 * WIDE  # 0.1 of it before
