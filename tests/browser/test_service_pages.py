"""The service in Chromium: what its own page may do, and what a page of another site may not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.services.chromium import chromium
from tests.unit.api.house import House
from tests.unit.api.live import serving

pytestmark = pytest.mark.slow

FOREIGN = """<form method=post enctype=multipart/form-data action="%s/jobs"><input name=model value=tiny></form>
<iframe src="%s/docs"></iframe>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def served(tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(House(tmp_path)) as http:
        yield http


@pytest.fixture
def address(served: httpx.Client) -> str:
    return f"http://localhost:{served.base_url.port}"


@pytest.fixture
def foreign(address: str) -> Iterator[str]:
    """A page of somebody else, which points here."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((FOREIGN % (address, address)).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_documentation_shows_everything_and_asks_nobody_else(browser: Browser, address: str) -> None:
    page, asked, errors = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{address}/docs")
    page.wait_for_selector(".opblock")
    page.locator(".opblock-summary").first.click()
    page.wait_for_selector(".opblock.is-open")
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert errors == []
    page.close()


def test_a_form_of_another_site_changes_nothing(browser: Browser, served: httpx.Client, foreign: str) -> None:
    page = browser.new_page()
    page.goto(foreign)
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert "cross_site_request" in page.locator("body").inner_text()
    assert served.get("/jobs").json()["items"] == []
    page.close()


def test_the_documentation_is_shown_in_no_frame_of_another_site(browser: Browser, foreign: str) -> None:
    page = browser.new_page()
    page.goto(foreign)
    page.wait_for_timeout(500)
    assert [frame.locator("#page").count() for frame in page.frames[1:]] == [0]
    page.close()
