"""A real browser: Debian's Chromium, driven by playwright; and axe, which knows the rules of WCAG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Browser, Page, sync_playwright

from tests.services.processes import find_program, missing

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Browser]:
    program = find_program("chromium") or find_program("chromium-browser") or find_program("google-chrome")
    if program is None:
        missing("chromium", "pages in a real browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True, slots=True)
class Violation:
    """impact: `critical`, `serious`, `moderate` or `minor`. element: the first that breaks the rule."""

    rule: str
    impact: str
    element: str


def examined(page: Page) -> list[Violation]:
    """What axe finds."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    return [Violation(each["id"], each["impact"], each["nodes"][0]["html"][:200]) for each in found["violations"]]


def violations(page: Page) -> list[tuple[str, str]]:
    """The same: (rule, the first element that breaks it)."""
    return [(each.rule, each.element) for each in examined(page)]
