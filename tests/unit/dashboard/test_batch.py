"""A batch is sent with what was chosen for it, before the service in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from jobs.deliveries.endpoint import Endpoint
from jobs.options import JobOptions, OverlayOptions, TileOptions
from segmentation.formats.outlines import Outlines
from tests.factories import picture
from tests.unit.dashboard.pages import Open, fill, html, said, shown

pytestmark = pytest.mark.usefixtures("service")


def _options(service: Open, page: AppTest) -> JobOptions:
    """Of the job that the page has just submitted."""
    with service.house.unit() as unit:
        return unit.jobs.get(page.session_state["batch_job"]).options


def test_a_batch_begins_with_the_model_that_jobs_take(service: Open) -> None:
    models = service.http.get("/models").json()["items"]
    assert shown("batch").multiselect[0].value == [each["name"] for each in models if each["default"]]


def test_a_batch_without_files_says_what_is_missing() -> None:
    page = shown("batch")
    page.button[0].click().run()
    assert page.error[0].value == "Choose at least one picture or archive."


def test_a_batch_is_sent_watched_and_canceled(service: Open) -> None:
    page = shown("batch")
    page.file_uploader[0].set_value([("a.jpg", picture(), "image/jpeg"), ("a.jpg", picture(), "image/jpeg")])
    page.button[0].click().run()
    assert not page.exception
    assert "queued: 0 of 2 images" in html(page)
    next(each for each in page.button if each.label == "Cancel").click().run()
    assert "canceled: 2 of 2 images" in html(page)


def test_a_batch_goes_with_all_that_was_chosen(service: Open) -> None:
    page = shown("batch")
    page.file_uploader[0].set_value([("a.jpg", picture(), "image/jpeg")])
    page.multiselect[0].select("other")
    fill(page, "Tile size", 512)
    fill(page, "Overlap of tiles", 32)
    fill(page, "Bits of 16-bit pictures", 12)
    fill(page, "Colours", "colour_blind")
    fill(page, "Overlays as", "png")
    fill(page, "Opacity of overlays, in percent", 70)
    fill(page, "Least confidence, in percent", 30)
    fill(page, "Classes to draw, with commas", "sky, building")
    fill(page, "Tolerance of polygons, in pixels", 1.5)
    fill(page, "Least area of polygons, in pixels", 40)
    fill(page, "Webhook", "https://example.org/hook")
    fill(page, "Delete after hours", 1.5)
    page.checkbox[0].uncheck()
    page.button[0].click().run()
    assert not page.error
    told = _options(service, page)
    assert (told.models, told.tile) == (("tiny", "other"), TileOptions(size=512, overlap=32))
    assert (told.bit_depth, told.min_confidence, told.expires_in, told.reuse) == (12, 0.3, 5400, False)
    assert told.overlay == OverlayOptions(opacity=0.7, format="png", palette="colour_blind")
    assert (told.polygons, told.classes) == (Outlines(1.5, 40), ("sky", "building"))
    assert told.webhook == Endpoint(url="https://example.org/hook")


def test_what_nobody_chose_for_a_batch_is_left_to_the_service(service: Open) -> None:
    page = shown("batch")
    page.file_uploader[0].set_value([("a.jpg", picture(), "image/jpeg")])
    page.multiselect[0].unselect("tiny")
    page.button[0].click().run()
    assert not page.error
    told = _options(service, page)
    filled = {name: getattr(told, name) for name in ("model", "label_space", "priority", "expires_in")}
    assert told == replace(JobOptions(), **filled)


def test_what_the_service_says_against_an_option_stands_at_its_field() -> None:
    page = shown("batch")
    page.file_uploader[0].set_value([("a.jpg", picture(), "image/jpeg")])
    fill(page, "Tile size", 7)
    fill(page, "A frame of a film each", "often")
    page.button[0].click().run()
    at_fields = list(map(said, page.expander[0].error))
    assert [told.partition(",")[0] for told in at_fields] == [
        "must be a whole number from 64 to 4096",
        "must be 0.001 to 86400 seconds",
    ]
    assert page.error[-1].value.startswith("The service refused: ")
