"""axe over every page in every state, light and dark, on a desk and on a phone: the table of docs/accessibility.md."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from maskmill import Maskmill
from tests.browser.dashboard_steps import ANEW, PATIENCE_MS, choose, coloured, page_of, segmented
from tests.services.chromium import Violation, examined
from tests.services.processes import free_port
from tests.stack import ROOT, Stack
from tests.tiny_comparison import blind, right, subject
from training.compare import Choices, compare, examine_alone, show_alone
from training.datasets import DATASETS

pytestmark = [pytest.mark.slow, pytest.mark.full, pytest.mark.timeout(600)]

# Streamlit 1.67's own, minor: its drop zone for files carries a role and a label at once.
OF_THE_FRAMEWORK = {"presentation-role-conflict"}
IMPACTS = ("critical", "serious", "moderate", "minor")
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TABLE = ROOT / "docs" / "accessibility.md"
# Streamlit draws the text of a link after the link.
LABELLED = "[...document.querySelectorAll('[data-testid=stPageLink-NavLink]')].every((link) => link.textContent.trim())"
MARKS = ("<!-- axe: begin -->", "<!-- axe: end -->")


@dataclass(frozen=True, slots=True)
class Place:
    """What a state is reached from."""

    address: str
    alone: str  # of a page whose service does not answer
    job: str
    documents: Path  # pages in files


@dataclass(frozen=True, slots=True)
class State:
    page: str
    state: str
    reach: Callable[[Page, Place], object]

    @property
    def id(self) -> str:
        return f"{self.page}, {self.state}"


def _opened(path: str) -> Callable[[Page, Place], object]:
    return lambda page, place: page.goto(f"{place.address}/{path.format(job=place.job)}")


def _viewed(path: str) -> Callable[[Page, Place], object]:
    def reach(page: Page, place: Place) -> None:
        page.goto(f"{place.address}/{path.format(job=place.job)}")
        page.locator("canvas[data-ready=yes]").wait_for()

    return reach


def _tried(page: Page, place: Place) -> None:
    page.goto(place.address)
    segmented(page)


def _tried_with_two(page: Page, place: Place) -> None:
    page.goto(place.address)
    page.get_by_role("button", name="Segment").wait_for()
    choose(page, "Models", "street-accurate")
    segmented(page)


def _compared(page: Page, place: Place) -> None:
    page.goto(f"{place.address}/compare")
    page.get_by_role("link", name=re.compile("^job_")).first.click()
    page.locator("canvas[data-ready=yes]").wait_for()


def _compared_as_one_page(page: Page, place: Place) -> None:
    _compared(page, place)
    page.get_by_text("The comparison as one page").click()
    page.frame_locator("iframe").get_by_role("heading", level=1).wait_for()


def _report_of_the_command_line(page: Page, place: Place) -> None:
    page.goto(f"{place.address}/compare")
    page.get_by_text("A page that maskmill compare wrote").click()
    page.locator("input[type=file]").set_input_files(place.documents / "compare.html")
    whole = page.frame_locator("iframe[title='The page compare.html']")
    whole.get_by_role("button", name="sky", exact=True).click()  # its script runs


def _refused(page: Page, place: Place) -> None:
    page.goto(place.address)
    broken: Any = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.locator("input[type=file]").set_input_files(broken)
    page.get_by_text("broken.png").first.wait_for()
    page.get_by_role("button", name="Segment").click()
    page.get_by_text("broken.png has no mask").wait_for()


def _nothing_chosen(page: Page, place: Place) -> None:
    page.goto(f"{place.address}/batch")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("Choose at least one picture").wait_for()


def _option_refused(page: Page, place: Place) -> None:
    page.goto(f"{place.address}/batch")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "c.png", "mimeType": "image/png", "buffer": coloured()}
    )
    page.get_by_text("c.png").first.wait_for()
    page.get_by_text("More options").click()
    page.get_by_role("spinbutton", name="Tile size").fill("7")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("must be a whole number from 64 to 4096").first.wait_for()


def _card(page: Page, place: Place) -> None:
    page.goto(f"{place.address}/models")
    page.get_by_text(re.compile("^street-fast ")).first.click()


def _numbers(page: Page, place: Place) -> None:
    page.goto(f"{place.address}/training")
    page.get_by_text("The numbers").click()


def _without_service(page: Page, place: Place) -> None:
    page.goto(place.alone)
    page.get_by_text("nobody answers at").wait_for()


def _document(name: str) -> Callable[[Page, Place], object]:
    def reach(page: Page, place: Place) -> None:
        page.goto((place.documents / name).as_uri())
        for each in page.locator("details:not([open])").all():
            each.evaluate("each => { each.open = true; }")

    return reach


STATES = [
    State("Try", "as it opens", _opened("")),
    State("Try", "result", _tried),
    State("Try", "result of two models", _tried_with_two),
    State("Try", "file that is no picture", _refused),
    State("Try", "no service", _without_service),
    State("Batch", "as it opens", _opened("batch")),
    State("Batch", "nothing chosen", _nothing_chosen),
    State("Batch", "option that is refused", _option_refused),
    State("Jobs", "list", _opened("jobs")),
    State("Jobs", "a job, with a failed image", _opened("jobs?job={job}")),
    State("Jobs", "a job that there is not", _opened("jobs?job=job_01JD3T1M4Z8Q5R6S7T8V9WAXBY")),
    State("Jobs", "an image", _viewed("jobs?job={job}&image=0")),
    State("Jobs", "an image that failed", _opened("jobs?job={job}&image=2")),
    State("Compare", "list", _opened("compare")),
    State("Compare", "two models", _compared),
    State("Compare", "as one page", _compared_as_one_page),
    State("Compare", "page of the command line", _report_of_the_command_line),
    State("Samples", "a scene", _viewed("samples")),
    State("Models", "as it opens", _opened("models")),
    State("Models", "a card", _card),
    State("Training", "two runs", _opened("training")),
    State("Training", "numbers", _numbers),
    State("Health", "all parts answer", _opened("health")),
    State("maskmill report", "of a job", _document("report/index.html")),
    State("maskmill demo", "demo/index.html", _document("demo/index.html")),
    State("maskmill compare", "two models", _document("compare.html")),
    State("maskmill compare", "of a job", _document("job/comparison.html")),
    State("maskmill evaluate", "one model", _document("evaluate.html")),
]


@pytest.fixture(scope="module")
def place(address: str, stack: Stack, job: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("accessibility")
    _documents(stack, job["id"], folder)
    with page_of(f"http://127.0.0.1:{free_port()}", folder) as alone:
        yield Place(address, alone, job["id"], folder)


def _documents(stack: Stack, job_id: str, folder: Path) -> None:
    """Of the report of a job, of the demo, of comparisons by the command line and by a job, and of one model."""
    report = ["report", job_id, "--server", stack.url, "--out", "report"]
    demo = ["demo", "--home", "home", "--out", "demo", "--limit", "3"]
    for command in (report, demo):
        subprocess.run([sys.executable, "-m", "maskmill", *command], cwd=folder, check=True, capture_output=True)
    scenes = DATASETS["scenes"](folder / "scenes", "val", scene_count=2, width=192, height=96)
    compare([subject("plain", right), subject("blind", blind)], scenes, folder / "compare.html", choices=Choices())
    alone = examine_alone(subject("plain", right), scenes, choices=Choices())
    show_alone(alone, folder / "evaluate.html", latency=None)
    with Maskmill(stack.url) as service:
        told = {"sample": service.get("/samples")["items"][0]["id"]}
        several = service.submit([told], models=["street-fast", "street-accurate"])
        several.wait(timeout=120).download(folder / "job")


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, Counter[str]]]:
    """By state, how many rules of each impact are broken, in any of its four forms."""
    found: dict[str, Counter[str]] = {}
    yield found
    if ANEW:
        _written(found)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.id)
def test_a_state_is_accessible_and_fits_a_phone(
    browser: Browser, place: Place, table: dict[str, Counter[str]], state: State
) -> None:
    page = browser.new_page(viewport=DESK)
    page.set_default_timeout(PATIENCE_MS)
    state.reach(page, place)
    page.get_by_role("heading", level=1).first.wait_for()
    page.wait_for_function(LABELLED)
    page.wait_for_timeout(2000)
    found = _in_all_forms(page)
    page.close()
    table[state.id] = Counter(impact for _, impact in {(each.rule, each.impact) for each in found})
    assert [each for each in found if each.rule not in OF_THE_FRAMEWORK] == []


def _in_all_forms(page: Page) -> list[Violation]:
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            page.wait_for_timeout(700)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            found += examined(page)
        assert _is_dark(page) == (scheme == "dark")
    return found


def _is_dark(page: Page) -> bool:
    ground = "getComputedStyle(document.querySelector('[data-testid=stApp]') ?? document.body).backgroundColor"
    return max(int(each) for each in re.findall(r"\d+", page.evaluate(ground))[:3]) < 100


def _written(found: dict[str, Counter[str]]) -> None:
    """States that were not looked at keep their row."""
    before, _, rest = TABLE.read_text("utf-8").partition(MARKS[0])
    kept, _, after = rest.partition(MARKS[1])
    rows = ["| page | state | " + " | ".join(IMPACTS) + " |", "| --- | --- |" + " ---: |" * len(IMPACTS)]
    for state in STATES:
        head = f"| {state.page} | {state.state} |"
        row = next((line for line in kept.splitlines() if line.startswith(head)), None)
        if state.id in found:
            row = f"{head} {' | '.join(str(found[state.id][impact]) for impact in IMPACTS)} |"
        rows += [] if row is None else [row]
    TABLE.write_text("\n".join([f"{before}{MARKS[0]}", *rows, f"{MARKS[1]}{after}"]), "utf-8")
