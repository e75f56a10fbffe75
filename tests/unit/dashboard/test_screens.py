"""Each screen before the service in memory: what it says of jobs that are done, failed, canceled, or not there."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from api.schemas.choices import SORTS
from dashboard import frame
from dashboard.parts.choices import choices
from dashboard.parts.views import classes_of, image_view, pair_view, sample_view
from dashboard.screens.models import scatter
from dashboard.service import connect
from dashboard.service import service as connected
from dashboard.settings import DashboardSettings
from dashboard.web.routes import routes
from maskmill import JobHandle
from maskmill.errors import WaitTimeout
from segmentation.exports import EXPORTS
from segmentation.exports.coco import Coco
from segmentation.formats import FORMATS
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LABEL_SPACES, LabelSpaces
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from tests.factories import make_card, mask, picture
from tests.toys import ToyFormat
from tests.unit.dashboard.pages import Open, html, said, shown

pytestmark = pytest.mark.usefixtures("service")

MAIN = Path(__file__).resolve().parents[3] / "dashboard" / "main.py"


def test_the_list_of_jobs_leads_to_each_of_them(service: Open, job: str) -> None:
    page = shown("jobs")
    assert any(job in each.proto.label for each in page.get("page_link"))
    page.selectbox[0].select("failed").run()
    assert page.markdown[0].value == "No job fits that."
    linked = shown("jobs", status="partial", model="tiny")
    assert [each.value for each in linked.selectbox] == ["partial", "tiny"]
    assert any(job in each.proto.label for each in linked.get("page_link"))


def test_a_job_names_what_failed(service: Open, job: str) -> None:
    told = html(shown("jobs", job=job))
    assert "unreadable_image" in told
    assert "partial: 2 of 2 images, 1 failed" in told
    assert f"/archives/{job}" in told


@pytest.mark.parametrize("screen", ["jobs", "compare"])
def test_a_link_to_what_is_no_job_says_so(service: Open, screen: str) -> None:
    """Also one that would be another address of the service."""
    told = {each: said(shown(screen, job=each).error[0]) for each in ("job_1", "../models", "")}
    assert "there is no job 'job_1'" in told["job_1"]
    assert told["../models"].startswith("'../models' is not the id of a job")
    assert told[""].startswith("'' is not the id of a job")


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An artifact format and an export, listed where the service lists its own."""
    monkeypatch.setitem(FORMATS, ToyFormat.name, ToyFormat())
    monkeypatch.setitem(EXPORTS, "toy", Coco("toy", "Toys & games", polygons=False))
    choices.clear()
    yield
    choices.clear()


@pytest.mark.usefixtures("toys")
def test_what_is_added_to_the_service_is_offered_without_a_change_here(job: str) -> None:
    assert shown("batch").multiselect[1].options == [*FORMATS]
    told = html(shown("jobs", job=job))
    assert f'href="/archives/{job}?export=toy" download>Toys &amp; games<' in told
    assert all(f"export={name}" in told for name in EXPORTS)


def test_images_are_in_each_order_that_the_service_knows(job: str, pair: str) -> None:
    boxes = (shown("jobs", job=each).selectbox for each in (job, pair))
    one, several = (next(box for box in each if box.label == "Order") for each in boxes)
    assert several.options == list(SORTS.values())
    assert one.options == [title for name, title in SORTS.items() if name != "disagreement"]


def test_names_are_shown_as_they_are_and_never_as_markdown(service: Open) -> None:
    name = "*a* __b__ $x$ [c](d) :red[e] `f`.jpg"
    page = shown("jobs", job=service.submit((name, picture())), image="0")
    assert page.header[0].value == r"\*a\* \_\_b\_\_ \$x\$ \[c\]\(d\) \:red\[e\] \`f\`\.jpg"


def test_an_image_is_shown_with_its_numbers_and_its_neighbours(service: Open, job: str) -> None:
    page = shown("jobs", job=job, image="0")
    assert list(map(said, page.header)) == ["a.jpg"]
    assert "Share of the pixels by class" in html(page)
    page.button[1].click().run()
    assert page.error[0].value.startswith("No mask: ")


def test_what_was_left_undecided_is_told_of_a_job_and_of_its_images(service: Open) -> None:
    undecided = service.submit(("a.jpg", picture()), min_confidence=0.9)
    service.house.work()
    for query in ({}, {"image": "0"}):
        assert "Pixels that are not void" in html(shown("jobs", job=undecided, **query))


def test_legends_have_the_colours_in_which_the_job_was_asked_for(service: Open, job: str) -> None:
    safe = service.submit(("a.jpg", picture()), overlay={"palette": "colour_blind"})
    service.house.work()
    sky = next(each for each in classes_of("camvid-11") if each["name"] == "sky")
    told = {each: html(shown("jobs", job=each, image="0")) for each in (job, safe)}
    assert [sky["hex"] in told[each] for each in (job, safe)] == [True, False]
    assert [sky["colour_blind_hex"] in told[each] for each in (job, safe)] == [False, True]


def test_a_jobs_masks_are_shown_in_its_own_classes_whatever_a_model_brings_since(service: Open) -> None:
    bare = LabelSpace("bare", (LabelClass(0, "soil", (9, 9, 9), "flat"), LabelClass(1, "weed", (0, 9, 0), "plant")))
    catalog, segmenter = service.house.catalog, service.house.segmenter
    cards = catalog.cards
    try:
        catalog.cards, catalog.spaces = [make_card("tiny", label_space="bare")], LabelSpaces((bare,))
        segmenter.label_space, segmenter.spaces = "bare", catalog.spaces
        made = service.submit(("a.jpg", picture()), artifacts=["mask"])
        service.house.work()
        catalog.spaces = LabelSpaces((replace(bare, classes=(LabelClass(1, "crop", (9, 9, 0), "plant"),)),))
        state = service.http.get(f"/jobs/{made}").json()
        view = image_view(state, service.http.get(f"/jobs/{made}/images/0").json(), correctable=True)
        assert {each["id"]: each["name"] for each in view.classes} == {0: "soil", 1: "weed"}
        told = service.http.get(f"/jobs/{made}/label-space").json()
        assert (told["name"], [each["name"] for each in told["classes"]]) == ("bare", ["soil", "weed"])
    finally:
        catalog.cards, catalog.spaces = cards, LabelSpaces()
        segmenter.label_space, segmenter.spaces = "camvid-11", LabelSpaces()


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_no_two_classes_look_alike_in_the_viewers_colour_blind_colours(space: str) -> None:
    classes = sample_view("market", space).classes
    assert len({each["safe"] for each in classes}) == len(classes) == len(LABEL_SPACES[space].classes)


def test_every_version_of_a_correction_is_listed_and_can_be_fetched(service: Open) -> None:
    made = service.submit(("a.jpg", picture()))
    service.house.work()
    assert "Corrections" not in html(shown("jobs", job=made, image="0"))
    mask = Image.open(io.BytesIO(service.http.get(f"/jobs/{made}/images/0/mask").content))
    for class_id in (0, 1):
        drawn = io.BytesIO()
        Image.new("L", mask.size, class_id).save(drawn, "PNG")
        kind = {"Content-Type": "image/png"}
        sent = service.http.put(f"/jobs/{made}/images/0/correction", content=drawn.getvalue(), headers=kind)
        assert sent.status_code == 200
    told = html(shown("jobs", job=made, image="0"))
    links = re.findall(rf'href="(/pictures/jobs/{made}/0/correction\?version=\d)"', told)
    assert [link[-1] for link in links] == ["2", "1"]
    application = Starlette(routes=routes(connected(), DashboardSettings()))
    with TestClient(application, base_url="http://localhost:8009") as browser:
        ids = [np.unique(np.asarray(Image.open(io.BytesIO(browser.get(link).content)))).tolist() for link in links]
    assert ids == [[1], [0]]


def test_a_job_is_deleted_after_it_was_meant(service: Open) -> None:
    made = service.submit(("a.jpg", picture()))
    assert "Delete" not in [each.label for each in shown("jobs", job=made).button]  # it runs
    service.house.work()
    page = shown("jobs", job=made)
    page.session_state["tried"] = made
    delete = f"delete-{made}"
    assert page.button(key=delete).disabled
    page.checkbox(key=f"meant-{made}").check().run()
    page.button(key=delete).click().run()
    assert not page.exception
    assert f"{made} is deleted." in html(page)
    assert "tried" not in page.session_state
    assert service.http.get(f"/jobs/{made}").status_code == 404


def test_a_comparison_is_told_by_scores_pairs_and_pictures(pair: str) -> None:
    assert any(pair in each.proto.label for each in shown("compare").get("page_link"))
    page = shown("compare", job=pair, image="0")
    told = html(page)
    assert "compared: 1 of 1 image, " in told
    assert "tiny and other" in told
    assert said(page.header[-1]) == "a.jpg: tiny and other"
    assert "Share of the pixels by class and model" in told
    assert told.count('class="mm-bar mm-line"') == 2 * told.count('<th scope="row">')
    assert "<p>Highest Share of the pixels, of " in told
    assert f'href="/comparisons/{pair}"' in told


def test_a_pair_of_models_is_shown_with_no_numbers_of_another(pair: str, service: Open) -> None:
    job, row = (service.http.get(f"/jobs/{pair}{tail}").json() for tail in ("", "/images/0"))
    row["results"]["other"]["metrics"] |= {"class_fractions": {"pole": 1.0}, "mean_confidence": 0.25}
    view = pair_view(job, row, ("other", "tiny"))
    assert "it shows pole 100 %; mean confidence 25 %." in view.alt
    assert view.alt.endswith("So says other, right of the divider; left of it is what tiny says.")
    assert view.classes[0]["name"] == "pole"
    assert {each["share"] for each in view.classes} == {None}


def test_a_job_of_several_models_says_whose_numbers_it_shows(pair: str) -> None:
    page = shown("jobs", job=pair)
    assert "<dt>Numbers and masks of</dt><dd>tiny</dd>" in html(page)
    assert "Comparison of tiny and other" in [each.proto.label for each in page.get("page_link")]


def test_a_page_that_somebody_else_wrote_is_not_framed() -> None:
    for data in (b"<html><head><title>a</title></head></html>", b"\xff\xfe"):
        page = shown("compare")
        page.file_uploader[0].set_value(("page.html", data, "text/html")).run()
        assert said(page.error[0]).startswith("page.html is no page of Maskmill")


def test_a_page_of_the_command_line_is_framed_under_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    mounted: list[dict[str, str]] = []
    monkeypatch.setattr("dashboard.frame._mount", lambda *, key, data: mounted.append(data))
    frame.show_document(f"<html><head>\n{frame.OURS}</head></html>", title="a", key="b")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{frame.POLICY}">'
    assert mounted[0]["value"] == f"<html><head>{policy}\n{frame.OURS}</head></html>"


def test_a_comparison_tells_which_classes_a_model_cannot_give(service: Open) -> None:
    made = service.submit(("a.jpg", picture()), models=["tiny", "other"], label_space="cityscapes-19")
    service.house.work()
    assert "tiny has no way to give wall, " in html(shown("compare", job=made))


def test_warnings_of_a_job_are_told_beside_what_its_models_scored(service: Open) -> None:
    files = [("files", ("a.jpg", picture())), ("masks", ("a.png", mask(np.full((24, 32), 200, np.uint8))))]
    made = service.http.post("/jobs", files=files, data={"models": "tiny,other"}).json()["id"]
    service.house.work()
    for screen in ("jobs", "compare"):
        assert said(shown(screen, job=made).warning[0]) == "1 image: mask_unknown_ids"
    page = service.http.get(f"/jobs/{made}/archive", params={"artifacts": "comparison"}).content
    with zipfile.ZipFile(io.BytesIO(page)) as archive:
        assert "Images with warnings: 1 mask_unknown_ids." in archive.read("comparison.html").decode()


def test_a_job_of_one_model_is_no_comparison(job: str) -> None:
    assert "ran one model" in shown("compare", job=job).markdown[0].value


def test_try_runs_an_upload_and_shows_its_classes(service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.screens.try_picture.JobHandle.wait", lambda job, timeout: service.house.work())
    page = shown("try")
    page.file_uploader[0].set_value(("a.jpg", picture(), "image/jpeg"))
    page.button[0].click().run()
    assert not page.exception
    assert "Done. " in html(page)
    assert page.header[0].value.endswith(" by tiny")


def test_a_picture_that_waits_for_its_turn_is_told_so(service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(job: JobHandle, timeout: float) -> None:
        raise WaitTimeout(f"{job.id} takes longer than {timeout} s")

    monkeypatch.setattr("dashboard.screens.try_picture.JobHandle.wait", wait)
    page = shown("try")
    page.file_uploader[0].set_value(("late.jpg", picture(), "image/jpeg"))
    page.button[0].click().run()
    assert said(page.info[0]).startswith("late.jpg is queued")


def test_try_with_two_models_is_a_comparison(service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.screens.try_picture.JobHandle.wait", lambda job, timeout: service.house.work())
    page = shown("try")
    page.file_uploader[0].set_value(("a.jpg", picture(), "image/jpeg"))
    page.multiselect[0].select("other")
    page.button[0].click().run()
    assert not page.exception
    assert "What each model says of this picture" in html(page)


def test_a_sample_is_chosen_by_its_link() -> None:
    page = shown("samples", sample="market")
    assert page.selectbox[0].value == "market"
    assert page.selectbox[1].options == ["cityscapes-34", *CITYSCAPES_34.mappings]


def test_models_are_told_with_their_cards() -> None:
    page = shown("models")
    assert [each.label for each in page.expander] == ["tiny 1 (default)", "other 1"]
    assert "Variants of other" in html(page)
    assert "Images per second, forward alone of 1" in html(page)
    assert "on the pictures that its card names" in html(page)


def test_a_scatter_spreads_by_powers_of_ten_and_names_its_points() -> None:
    figure = ET.fromstring(scatter([("<a>", 1.0, 0.5), ("b", 10.0, 0.7), ("c", 100.0, 0.9)], "speed"))  # noqa: S314 ours
    places = [float(each.get("cx", "")) for each in figure.findall("{*}circle")]
    assert places[1] - places[0] == places[2] - places[1]
    assert "<a> (1)" in [each.text for each in figure.findall("{*}text")]


def test_models_at_one_point_have_labels_below_one_another() -> None:
    """A calibrated model is as fast and scores as much as the one that it was made from."""
    same = [("fast", 90.0, 0.7), ("slow", 50.0, 0.7), ("fast-calibrated", 90.0, 0.7), ("fast-again", 91.0, 0.69)]
    figure = ET.fromstring(scatter(same, "speed"))  # noqa: S314 ours
    lines = {str(each.text): float(each.get("y", "")) for each in figure.findall("{*}text")}
    fast, slow, calibrated, again = (lines[f"{name} ({value:.3g})"] for name, value, _ in same)
    assert (fast - slow, calibrated - fast, again - calibrated) == (0, 16, 16)


def test_health_tells_what_is_missing_and_what_is_allowed(service: Open) -> None:
    page = shown("health")
    assert page.error[0].value.startswith("Not ready: ")  # nobody works here
    assert "Bytes of an image" in html(page)
    service.house.beat()
    page.run()
    assert "<td>w1</td>" in html(page)


def _opened(**settings: Any) -> AppTest:
    """The whole page, as the settings have it."""
    connect(DashboardSettings(**settings))
    return AppTest.from_file(str(MAIN), default_timeout=60).run()


def test_the_page_opens_with_try(service: Open) -> None:
    page = _opened(server=str(service.http.base_url))
    assert [each.value for each in page.title] == ["Try"]
    assert not page.error


def test_without_a_service_it_is_said_how_to_start_one(service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.service.PATIENCE_S", 0.0)
    told = said(_opened(server="http://127.0.0.1:9").error[0])
    connect(DashboardSettings(server=str(service.http.base_url)))
    assert "nobody answers at http://127.0.0.1:9" in told
    assert "maskmill up" in told
