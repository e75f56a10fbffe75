"""Try and Batch from beginning to end by keys alone: the focus is seen wherever it is, and goes the way one reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.dashboard_steps import PATIENCE_MS
from tests.stack import pictures_zip

pytestmark = [pytest.mark.slow, pytest.mark.full, pytest.mark.timeout(600)]

MOST_STOPS = 80
SAME_LINE = 24  # pixels

# What has the focus: the innermost element, also within a component; its name, its place, and how it looks.
FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  (window.stops ??= []).push(at);
  const place = at.getBoundingClientRect();
  const name = at.getAttribute('aria-label') || at.labels?.[0]?.textContent || at.textContent || at.name || at.type || '';
  return { tag: at.tagName, name: name.trim().slice(0, 60), left: place.left + scrollX, top: place.top + (document.querySelector('[data-testid=stMain]')?.scrollTop ?? 0), main: at.getRootNode() !== document || !!at.closest('[data-testid=stMain]') };
}"""  # noqa: E501 lines of the page
# How each stop looks, with what is around it.
LOOKS = """(which) => which.map((number) => {
  const told = [];
  for (let at = window.stops[number], up = 0; at && up < 5; at = at.parentElement ?? at.getRootNode().host, up++)
    for (const part of [null, '::before', '::after']) {
      const style = getComputedStyle(at, part);
      told.push(style.outline, style.boxShadow, style.border, style.backgroundColor, style.textDecoration);
    }
  return window.stops[number].isConnected ? told.join('|') : null;
})"""
LEAVE = "() => { let at = document.activeElement; while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement; at.blur(); }"  # noqa: E501 a line of the page


@dataclass(frozen=True, slots=True)
class Stop:
    tag: str
    name: str
    left: float
    top: float
    main: bool


@pytest.fixture
def still(browser: Browser) -> Any:
    """A page on which nothing moves, so that looks can be compared."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


class Keys:
    """Goes on by Tab, and notes where the focus was and how that looked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.stops: list[Stop] = []
        self._looks: list[str] = []

    def tab(self) -> Stop:
        self.page.keyboard.press("Tab")
        stop = Stop(**self.page.evaluate(FOCUSED))
        self.page.wait_for_timeout(60)
        self._looks += self.page.evaluate(LOOKS, [len(self.stops)])
        self.stops.append(stop)
        return stop

    def unseen(self) -> list[str]:
        """Stops that look as they do without the focus."""
        self.page.evaluate(LEAVE)
        self.page.wait_for_timeout(300)
        now = self.page.evaluate(LOOKS, list(range(len(self.stops))))
        seen = zip(self.stops, self._looks, now, strict=True)
        return [
            stop.name for stop, then, later in seen if then == later and stop.tag != "BODY"
        ]  # beyond the page's end

    def to(self, wanted: Callable[[Stop], bool]) -> Stop:
        for _ in range(MOST_STOPS):
            stop = self.tab()
            if wanted(stop):
                return stop
        raise AssertionError([each.name for each in self.stops])

    def named(self, name: str) -> Stop:
        return self.to(lambda stop: stop.tag != "MAIN" and re.search(name, stop.name) is not None)


def _out_of_order(stops: list[Stop]) -> list[tuple[str, str]]:
    """Where the focus goes up, or back on the same line, within the page."""
    own = [each for each in stops if each.main]
    return [
        (one.name, two.name)
        for one, two in pairwise(own)
        if two.top < one.top - SAME_LINE or (abs(two.top - one.top) <= SAME_LINE and two.left < one.left)
    ]


def test_try_is_walked_through_by_keys(still: Page, address: str) -> None:
    page, keys = still, Keys(still)
    page.goto(address)
    page.get_by_role("button", name="Segment").wait_for()
    keys.named("Or a sample scene")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    keys.named("^Models")
    page.keyboard.type("street-acc")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove street-accurate").or_(page.get_by_text("street-accurate")).first.wait_for()
    page.keyboard.press("Escape")
    keys.named("^Segment")
    page.keyboard.press("Enter")
    page.locator("canvas[data-ready=yes]").wait_for()
    keys.to(lambda stop: stop.tag == "CANVAS")
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-part=readout]").inner_text().startswith("x 513, y 256 · street-fast: ")
    page.keyboard.press("+")
    keys.to(lambda stop: stop.tag == "INPUT" and stop.name.startswith("road"))
    page.keyboard.press("Space")
    assert not page.locator("[data-part=classes] label", has_text="road").locator("input").is_checked()
    keys.named("This comparison with its scores")
    keys.tab()
    assert keys.unseen() == []
    assert _out_of_order(keys.stops) == []


def test_batch_is_walked_through_by_keys(still: Page, address: str) -> None:
    page, keys = still, Keys(still)
    page.goto(f"{address}/batch")
    page.get_by_role("button", name="Submit").wait_for()
    packed: Any = {
        "name": "pictures.zip",
        "mimeType": "application/zip",
        "buffer": pictures_zip(6, width=160, height=96),
    }
    keys.named("Upload")
    page.locator("input[type=file]").first.set_input_files(packed)  # Enter opens the system's own dialog
    page.get_by_text("pictures.zip").first.wait_for()
    keys.named("^Models")
    page.keyboard.press("Backspace")  # the one that is the service's own
    page.keyboard.type("tiny")
    page.keyboard.press("Enter")
    keys.named("^Submit")
    page.keyboard.press("Enter")
    page.get_by_text("succeeded: 6 of 6 images").first.wait_for()
    assert _out_of_order(keys.stops) == []
    keys.named("Images, metrics and archive of this job")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="picture_0000.jpg").wait_for()


def test_the_focus_is_seen_wherever_it_is_on_batch(still: Page, address: str) -> None:
    keys = Keys(still)
    still.goto(f"{address}/batch")
    still.get_by_role("button", name="Submit").wait_for()
    keys.named("^Submit")
    assert len(keys.stops) > 15
    assert keys.unseen() == []
