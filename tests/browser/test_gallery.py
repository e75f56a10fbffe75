"""Five thousand images of one job: what the first screen and a way to the end ask for, and what the browser keeps."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.record import record
from tests.browser.dashboard_steps import ANEW, PATIENCE_MS
from tests.stack import Stack, picture

pytestmark = [pytest.mark.slow, pytest.mark.full]

IMAGES, DIFFERENT = 5000, 50
STATIONS = 25  # places on the way to the end
OPENED = 5  # times, each with an empty cache and again with a full one
MIB = 2**20
QUESTION = "ms until each card in sight of a large gallery has its picture, and what a way to its end loads and keeps"

# Tells when the first screen of the gallery is whole, without anybody asking it meanwhile.
LOOKING = """
  const gallery = () => { for (const each of document.querySelectorAll('[data-testid^=stBidiComponent], [data-testid^=stBidiComponent] *')) { const found = each.shadowRoot?.querySelector('.gallery'); if (found) return found; } };
  const whole = (card) => { const picture = card.querySelector('img'); return picture?.complete && picture.naturalWidth > 0; };
  const look = () => {
    const box = gallery(), edge = box?.getBoundingClientRect();
    const cards = box ? [...box.querySelectorAll('button')].filter((card) => card.getBoundingClientRect().top < Math.min(edge.bottom, innerHeight)) : [];
    if (cards.length && cards.every(whole)) window.firstScreen = performance.now(); else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
"""  # noqa: E501 lines of the page


SCROLL = "(box, share) => box.scrollTo(0, box.scrollHeight * share)"
# Whether all cards in sight are there, with their pictures.
IN_PLACE = """(last) => {
  const box = [...document.querySelectorAll('*')].map((each) => each.shadowRoot?.querySelector('.gallery')).find(Boolean), edge = box.getBoundingClientRect();
  const cards = [...box.querySelectorAll('button')].map((card) => [card, card.getBoundingClientRect()]).filter(([, at]) => at.top < edge.bottom && at.bottom > edge.top);
  const covered = cards.some(([card, at]) => at.bottom > edge.bottom - 20 || card.dataset.index == last) && cards.some(([, at]) => at.top < edge.top + 20);
  return covered && cards.every(([card]) => card.querySelector('img')?.complete);
}"""  # noqa: E501 lines of the page


@pytest.fixture(scope="module")
def large(stack: Stack) -> str:
    some = [picture(number, width=320, height=240) for number in range(DIFFERENT)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(IMAGES):
            archive.writestr(f"picture_{number:04d}.jpg", some[number % DIFFERENT])
    options = {"model": "tiny", "artifacts": ["overlay", "mask"], "reuse": False}
    with stack.http() as http:
        files = {"files": ("many.zip", packed.getvalue(), "application/zip")}
        answer = http.post("/jobs", files=files, data={"options": json.dumps(options)}, timeout=300)
    return str(stack.finished(answer.json()["id"], timeout_s=1200)["id"])


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {"images": IMAGES}
    yield found
    if ANEW:
        record("gallery", QUESTION, found)


@pytest.mark.timeout(1800)
def test_the_first_screen_asks_for_what_it_shows(
    browser: Browser, address: str, large: str, figures: dict[str, Any]
) -> None:
    cards = 0
    shown: dict[str, list[float]] = {"empty_cache": [], "full_cache": []}
    for _ in range(OPENED):
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        context.add_init_script(LOOKING)
        for cache, times in shown.items():
            page = context.new_page()
            asked = _asked(page)
            page.goto(f"{address}/jobs?job={large}")
            page.wait_for_function("window.firstScreen", timeout=PATIENCE_MS)
            times.append(page.evaluate("window.firstScreen"))
            own = [url for url in asked if "/rows/" in url or "/pictures/" in url]
            cards = page.locator(".gallery button").count()
            assert len(own) == len(set(own)) == cards, cache  # the rows came with the page
            page.close()
        context.close()
    figures["first_screen_ms"] = {cache: round(median(times)) for cache, times in shown.items()}
    figures["first_screen_pictures"] = cards


@pytest.mark.timeout(1800)
def test_a_way_to_the_end_loads_what_is_seen_and_keeps_no_more(
    browser: Browser, address: str, large: str, figures: dict[str, Any]
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    asked = _asked(page)
    page.goto(f"{address}/jobs?job={large}")
    page.get_by_role("button", name="picture_0000.jpg").wait_for(timeout=PATIENCE_MS)
    begun, seen, most = _kept(page), set[str](), 0
    for station in range(1, STATIONS + 1):
        page.locator(".gallery").evaluate(SCROLL, station / STATIONS)
        page.wait_for_function(IN_PLACE, arg=IMAGES - 1, timeout=PATIENCE_MS)
        names = page.locator(".gallery button").evaluate_all("cards => cards.map(card => card.dataset.index)")
        seen.update(names)
        most = max(most, len(names))
    ended = _kept(page)
    pictures = [url for url in asked if "as=thumbnail" in url]
    rows = [url for url in asked if "/rows/" in url]
    figures["way_to_the_end"] = {
        "stations": STATIONS,
        "cards_at_once": most,
        "pictures_asked_for": len(pictures),
        "pages_of_rows": len(rows),
        "begun": begun,
        "ended": ended,
    }
    page.close()
    assert {re.search(r"/(\d+)/overlay", url)[1] for url in pictures} <= seen | {str(at) for at in range(most)}  # type: ignore[index]
    assert len(pictures) == len(set(pictures)) <= (STATIONS + 1) * most
    assert len(rows) == len(set(rows)) <= IMAGES / 60
    assert ended["nodes"] <= begun["nodes"] * 1.2
    assert ended["heap_mib"] <= begun["heap_mib"] + 8  # five thousand rows of text


def _asked(page: Page) -> list[str]:
    """Addresses that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def _kept(page: Page) -> dict[str, Any]:
    """What the page holds once nothing unused is left: its nodes, its heap, and the memory of its process."""
    browser = page.context.browser
    assert browser is not None
    session, whole = page.context.new_cdp_session(page), browser.new_browser_cdp_session()
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    processes = whole.send("SystemInfo.getProcessInfo")["processInfo"]
    memory = [_resident(each["id"]) for each in processes if each["type"] == "renderer"]
    session.detach()
    whole.detach()
    heap = metrics["JSHeapUsedSize"] / MIB
    return {"nodes": int(metrics["Nodes"]), "heap_mib": round(heap, 1), "process_mib": round(max(memory) / MIB)}


def _resident(pid: int) -> int:
    """Bytes of its own that a process has in memory; 0 when it is gone."""
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return 0 if found is None else int(found[1]) * 1024
