"""Pages of a comparison and of one model in Chromium: accessible, asking nobody for anything, usable by keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.services.chromium import chromium, violations
from tests.tiny_comparison import blind, right, subject, swapped
from training.compare import Choices, compare, examine_alone, show_alone
from training.datasets import DATASETS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    scenes = DATASETS["scenes"](folder / "scenes", "val", scene_count=2, width=192, height=96)
    subjects = [subject("plain", right), subject("<b>blind</b>", blind), subject("swapped", swapped, history=())]
    compare(subjects, scenes, folder / "page.html", choices=Choices())
    show_alone(examine_alone(subjects[1], scenes, choices=Choices()), folder / "alone.html", latency=None)
    return (folder / "page.html").as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(address)
    yield opened
    opened.close()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.full)])
def test_axe_finds_nothing(browser: Browser, address: str, scheme: Literal["light", "dark"]) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    assert violations(page) == []
    page.close()


def test_axe_finds_nothing_on_the_page_of_one_model(page: Page, address: str) -> None:
    page.goto(address.replace("page.html", "alone.html"))
    assert violations(page) == []


def test_the_curves_of_a_class_are_chosen_by_keys(page: Page) -> None:
    select = page.get_by_label("Curves of")
    names = select.locator("option").all_text_contents()
    assert len(names) > 1
    for number, name in enumerate(names):
        if number:
            select.press("ArrowDown")
        assert page.locator("[data-choice]:visible h3").all_text_contents() == [name]


def test_nobody_is_asked_for_anything_and_nothing_fails(browser: Browser, address: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: asked.append(message.text))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(address)
    page.get_by_role("button", name="sky", exact=True).click()
    page.wait_for_function("document.querySelector('image.mask').getAttribute('href').length > 0")
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [address]
    page.close()


def test_the_table_can_be_sorted_by_keys(page: Page) -> None:
    button = page.get_by_role("button", name="mIoU %")
    button.focus()
    page.keyboard.press("Enter")
    rows = page.locator("table.scores tbody tr td:nth-child(2)")
    values = [float(text) for text in rows.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]
    assert values == sorted(values, reverse=True)
    assert page.locator("table.scores th[aria-sort=descending]").count() == 1


def test_arrow_keys_in_a_mask_tell_the_class(page: Page) -> None:
    page.locator(".probe").first.focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_function("document.querySelector('[role=status]').textContent !== ''")
    told = page.locator("[role=status]").text_content()
    assert told in page.locator("[data-legend] li").all_text_contents()


def test_a_class_can_be_seen_alone_and_all_of_them_again(page: Page) -> None:
    before = page.locator("image.mask").first.get_attribute("href")
    button = page.get_by_role("button", name="sky", exact=True)
    button.click()
    page.wait_for_function("old => document.querySelector('image.mask').getAttribute('href') !== old", arg=before)
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    page.wait_for_function("old => document.querySelector('image.mask').getAttribute('href') === old", arg=before)


def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 640})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.locator("details").first.evaluate("each => each.open = true")
    cut = "frames => frames.filter(each => each.scrollWidth > each.clientWidth).map(each => each.ariaLabel)"
    assert [label for label in page.locator(".scrolled:has(.cards)").evaluate_all(cut) if label] == []
    assert page.locator(".cards td").first.evaluate("cell => getComputedStyle(cell, '::before').content") == '"mIoU %"'
    page.close()


def test_the_page_is_whole_without_scripts(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("button").count() == 0
    assert page.get_by_role("heading", level=2).count() >= 10
    context.close()


@pytest.mark.full
def test_the_page_prints(page: Page, tmp_path: Path) -> None:
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
