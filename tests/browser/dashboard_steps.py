"""What tests of the page need: the page in a process, and pictures of three colours."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.plain_http import NO_TLS
from tests.services.processes import free_port, running
from tests.tiny_models import BLUE, GREEN, RED

PATIENCE_MS = 60_000
ANEW = os.environ.get("DRAW_ANEW") == "1"  # pictures, tables and figures that the documentation shows are made anew
READOUT = re.compile(r"x (\d+), y (\d+) · (?:truth: )?([a-z]+)")


@contextmanager
def page_of(server: str, folder: Path, **settings: str) -> Iterator[str]:
    """The address of the page in a process of its own; settings: of its environment."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "dashboard", "--port", str(port), "--server", server]
    log, environment = folder / "dashboard.log", {**os.environ, **settings}
    with running(command, log=log, ready=lambda: _answers(address), env=environment):
        yield address


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/_stcore/health", timeout=2, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def choose(page: Page, label: str, name: str) -> None:
    """In one of Streamlit's lists."""
    page.get_by_role("combobox", name=label).first.click()
    page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")


def choose_model(page: Page, name: str) -> None:
    """That one alone."""
    page.get_by_role("button", name="Remove street-fast").or_(page.get_by_label("Clear all")).first.click()
    choose(page, "Models", name)


def segmented(page: Page) -> str:
    """Press *Segment* and wait for what it shows. Returns the job's id."""
    page.get_by_role("button", name="Segment").click()
    page.locator("canvas[data-ready=yes]").wait_for()
    link = page.get_by_role("link", name=re.compile("This result in its job|This comparison with its scores"))
    found = re.search(r"job=(job_\w+)", link.get_attribute("href") or "")
    assert found is not None
    return found[1]


def coloured(width: int = 192, height: int = 96) -> bytes:
    """A PNG: red on the left, green in the middle, blue on the right. The tiny model says sky, building, pole."""
    pixels = np.zeros((height, width, 3), np.uint8)
    third = width // 3
    for at, colour in enumerate((RED, GREEN, BLUE)):
        pixels[:, at * third : (at + 1) * third] = colour
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def pointed_at(page: Page, share_x: float, share_y: float) -> tuple[int, int, str]:
    """Move the pointer to a place of the picture; x, y and class as the page tells them."""
    canvas = page.locator("canvas[data-ready=yes]").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share_x, box["y"] + box["height"] * share_y)
    told = page.locator("[data-part=readout]").first.inner_text()
    found = READOUT.match(told)
    assert found is not None, told
    return int(found[1]), int(found[2]), found[3]


def pixel(page: Page, share_x: float, share_y: float) -> tuple[int, int, int]:
    """What is drawn there."""
    script = """(canvas, [x, y]) => Array.from(canvas.getContext('2d').getImageData(
        Math.floor(canvas.width * x), Math.floor(canvas.height * y), 1, 1).data.slice(0, 3))"""
    red, green, blue = page.locator("canvas[data-ready=yes]").first.evaluate(script, [share_x, share_y])
    return red, green, blue
