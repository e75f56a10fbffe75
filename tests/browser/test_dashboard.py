"""Each page does its job in Chromium, against the real stack."""

from __future__ import annotations

import io
import json
import re
import signal
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Request, expect

from dashboard.frame import OURS
from tests.browser.dashboard_steps import PATIENCE_MS, choose, choose_model, coloured, pixel, pointed_at, segmented
from tests.stack import Stack, pictures_zip

pytestmark = [pytest.mark.slow, pytest.mark.full, pytest.mark.timeout(600)]

BATCH = 200
PRYING = """<html><head>{ours}</head><body><img src="{address}/prying.png"><script>(async () => {{
  const told = [];
  try {{ parent.document.title; }} catch (error) {{ told.push(error.name); }}
  try {{ await fetch("{address}/prying"); }} catch (error) {{ told.push(error.name); }}
  document.body.append(`told: ${{told.join(" ")}}`);
}})();</script></body></html>"""
SCENE = "day-downtown-01"


def _ids(stack: Stack, path: str, **params: str) -> NDArray[np.uint8]:
    with stack.http() as http:
        return np.asarray(Image.open(io.BytesIO(http.get(path, params=params).raise_for_status().content)))


def _classes(stack: Stack, space: str) -> dict[int, Any]:
    with stack.http() as http:
        return {each["id"]: each for each in http.get(f"/label-spaces/{space}").json()["classes"]}


def _file(name: str, data: bytes, kind: str = "image/png") -> Any:
    return {"name": name, "mimeType": kind, "buffer": data}


def test_try_takes_an_upload_to_its_mask_class_by_class(page: Page, address: str, stack: Stack) -> None:
    page.goto(address)
    page.locator("input[type=file]").set_input_files(_file("c.png", coloured()))
    page.get_by_text("c.png").first.wait_for()
    choose_model(page, "tiny")
    job_id = segmented(page)
    mask, classes = _ids(stack, f"/jobs/{job_id}/images/0/mask"), _classes(stack, "camvid-11")
    for share in (0.05, 0.33, 0.34, 0.5, 0.66, 0.67, 0.95):
        x, y, name = pointed_at(page, share, 0.4)
        assert name == classes[int(mask[y, x])]["name"]
    page.get_by_label("Show").select_option("mask")
    page.wait_for_timeout(300)
    there = [pixel(page, share, 0.5) for share in (0.1, 0.5, 0.9)]
    assert there == [tuple(classes[int(mask[48, x])]["colour"]) for x in (19, 96, 172)]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("[data-part=classes] label", has_text="sky").locator("input").uncheck()
    page.wait_for_timeout(300)
    assert pixel(page, 0.1, 0.5) != there[0]
    assert pixel(page, 0.9, 0.5) == there[2]
    assert asked == []  # nothing that is switched asks anybody


def test_no_picture_is_loaded_twice(page: Page, address: str, job: Any) -> None:
    """Not by what is switched, nor on the way to the next image and back."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/pictures/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    page.get_by_label("Hatching").check()
    page.get_by_role("button", name="Zoom in").click()
    pointed_at(page, 0.5, 0.5)
    assert len(asked) == len(set(asked)) == 3  # picture, mask, confidence
    page.get_by_role("button", name="Next image").click()
    page.get_by_role("application", name="two.png").wait_for()
    page.locator("canvas[data-ready=yes]").wait_for()
    assert len(asked) == len(set(asked)) == 6


def test_the_viewer_is_used_by_keys_alone(page: Page, address: str, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("[data-part=readout]").inner_text().startswith("x 95, y 48 · building")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert "pole" in page.locator("[data-part=readout]").inner_text()


def test_a_mask_is_shown_without_its_picture(page: Page, address: str, stack: Stack, job: Any) -> None:
    """In a bucket it may be gone, or another one by now."""
    page.route(re.compile("/pictures/.*/input"), lambda route: route.fulfill(status=409, body="{}"))
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    assert "could not be loaded: 409" in page.locator("[data-part=readout]").inner_text()
    assert page.get_by_label("Show").locator("option").all_inner_texts() == ["Mask", "Confidence"]
    mask, classes = _ids(stack, f"/jobs/{job['id']}/images/0/mask"), _classes(stack, "camvid-11")
    assert pixel(page, 0.1, 0.5) == tuple(classes[int(mask[48, 19])]["colour"])


def test_a_correction_is_drawn_saved_and_used(page: Page, address: str, stack: Stack, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}&image=1")
    _filled(page, "road", 0.1, 0.5)
    page.get_by_role("button", name="Undo").click()  # the second
    page.get_by_role("button", name="Save correction").click()
    page.get_by_text("Saved as version 1").wait_for()
    road = next(id_ for id_, each in _classes(stack, job["label_space"]).items() if each["name"] == "road")
    ids = _ids(stack, f"/jobs/{job['id']}/images/1/correction")
    assert np.unique(ids[:, :60]).tolist() == [road]
    assert road not in ids[:, 68:]
    page.goto(f"{address}/jobs?job={job['id']}&image=1")  # scores are against it, and it is shown
    page.get_by_text("mIoU against a correction").wait_for()
    page.locator("canvas[data-ready=yes]").wait_for()
    page.get_by_label("Show").select_option("truth")
    page.mouse.move(0, 0)
    told = page.locator("[data-part=readout]").first
    page.locator("canvas").hover(position={"x": 20, "y": 20})
    assert "truth: road" in told.inner_text()
    page.goto(f"{address}/jobs?job={job['id']}")  # and it goes to other tools
    page.get_by_text("For annotation tools").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Cityscapes").click()
    with zipfile.ZipFile(downloading.value.path()) as archive:
        name = next(each for each in archive.namelist() if each.endswith("two_gtFine_labelIds.png"))
        exported = np.asarray(Image.open(io.BytesIO(archive.read(name))))
    assert np.unique(exported[:, :60]).tolist() == [7]  # Cityscapes' road


def test_a_saved_correction_is_undone_gone_on_with_and_saved_again(page: Page, address: str, stack: Stack) -> None:
    """The button says whether what is shown is saved, and no version forgets an earlier one."""
    with stack.http() as http:
        sent = [("files", ("again.png", coloured(), "image/png"))]
        options = json.dumps({"model": "tiny", "artifacts": ["mask"]})
        job_id = stack.finished(http.post("/jobs", files=sent, data={"options": options}).json()["id"])["id"]
    image = f"{address}/jobs?job={job_id}&image=0"
    save, undo = (page.get_by_role("button", name=name) for name in ("Save correction", "Undo"))
    page.goto(image)
    _filled(page, "road", 0.1, 0.5)
    save.click()
    page.get_by_text("Saved as version 1").wait_for()
    expect(save).to_be_disabled()
    undo.click()  # the second third is what the model said again
    expect(page.get_by_text("Saved as version 1")).to_have_count(0)
    save.click()
    page.get_by_text("Saved as version 2").wait_for()
    page.goto(image)
    _filled(page, "car", 0.9)
    save.click()
    page.get_by_text("Saved as version 3").wait_for()
    names = {id_: each["name"] for id_, each in _classes(stack, "camvid-11").items()}
    ids = _ids(stack, f"/jobs/{job_id}/images/0/correction")
    assert [names[int(ids[48, x])] for x in (10, 96, 180)] == ["road", "building", "car"]


def _filled(page: Page, name: str, *shares: float) -> None:
    """The regions at these places of the picture, with that class."""
    canvas = page.locator("canvas[data-ready=yes]")
    canvas.wait_for()
    page.get_by_role("button", name="Fill").click()
    page.locator("[data-part=editor] select").select_option(label=name)
    box = canvas.bounding_box()
    assert box is not None
    for share in shares:
        page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.5)


def test_two_models_are_compared_on_one_picture(page: Page, address: str, stack: Stack) -> None:
    page.goto(address)
    page.get_by_role("button", name="Segment").wait_for()
    choose(page, "Models", "street-accurate")
    job_id = segmented(page)
    page.goto(f"{address}/compare")  # it is among the comparisons, and so are its scores
    page.get_by_role("link", name=re.compile(job_id)).click()
    page.get_by_role("cell", name="street-fast and street-accurate").wait_for()
    page.locator("canvas[data-ready=yes]").wait_for()
    names = {id_: each["name"] for id_, each in _classes(stack, "camvid-11").items()}
    masks = [_ids(stack, f"/jobs/{job_id}/images/0/mask", model=model) for model in ("street-fast", "street-accurate")]
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        page.locator("canvas").hover(position=_place(page, share, 0.45))
        told = page.locator("[data-part=readout]").inner_text()
        x, y = (int(each) for each in re.findall(r"\d+", told)[:2])
        says = [names[int(mask[y, x])] for mask in masks]
        assert f"street-fast: {says[0]} · street-accurate: {says[1]}" in told
    page.get_by_label("Show").select_option("difference")
    page.get_by_text("The comparison as one page").click()  # its script runs, in a sandbox
    whole = page.frame_locator("iframe[title^='Comparison of the models']")
    whole.get_by_role("heading", name="street-fast against street-accurate").wait_for()
    mask = whole.locator("image.mask").first
    before = mask.get_attribute("href")
    whole.get_by_role("button", name="road", exact=True).click()
    expect(mask).not_to_have_attribute("href", before or "", timeout=PATIENCE_MS)


def test_a_framed_page_reaches_neither_this_page_nor_anybody(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/compare")
    page.get_by_text("A page that maskmill compare wrote").click()
    hostile = PRYING.format(ours=OURS, address=address).encode()
    page.locator("input[type=file]").set_input_files(_file("page.html", hostile, "text/html"))
    page.frame_locator("iframe").get_by_text("told: SecurityError TypeError").wait_for()
    assert [url for url in asked if "prying" in url] == []


def _place(page: Page, x: float, y: float) -> Any:
    box = page.locator("canvas").bounding_box()
    assert box is not None
    return {"x": box["width"] * x, "y": box["height"] * y}


@contextmanager
def _frozen(stack: Stack) -> Iterator[None]:
    """The worker does nothing meanwhile, so that what is between beginning and end can be looked at."""
    worker = stack.processes["worker"]
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


def _submitted(page: Page, address: str, images: int) -> None:
    packed = _file("pictures.zip", pictures_zip(images, width=160, height=96), "application/zip")
    page.goto(f"{address}/batch")
    page.locator("input[type=file]").first.set_input_files(packed)
    page.get_by_text("pictures.zip").first.wait_for()
    choose_model(page, "tiny")
    page.get_by_role("button", name="Submit").click()


def test_a_batch_of_two_hundred_is_watched_to_its_end(page: Page, address: str, stack: Stack) -> None:
    with _frozen(stack):
        _submitted(page, address, BATCH)
        page.get_by_text(re.compile(rf"(queued|running): 0 of {BATCH} images")).first.wait_for()
        assert page.get_by_role("progressbar").first.get_attribute("aria-valuenow") == "0"
    page.get_by_text(f"succeeded: {BATCH} of {BATCH} images").first.wait_for()
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Images, metrics and archive of this job").click()
    page.get_by_role("button", name="picture_0000.jpg").wait_for()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Archive of everything").click()
    with zipfile.ZipFile(downloading.value.path()) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == BATCH


def test_a_batch_is_canceled_midway(page: Page, address: str, stack: Stack) -> None:
    with _frozen(stack):
        _submitted(page, address, 21)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text(re.compile("^canceled: ")).first.wait_for()
    page.get_by_role("link", name="Images, metrics and archive of this job").click()
    page.get_by_role("button", name=re.compile("picture_0000.jpg.*canceled")).wait_for()


def test_the_gallery_opens_an_image_and_names_what_failed(page: Page, address: str, job: Any) -> None:
    page.goto(f"{address}/jobs?job={job['id']}")
    page.get_by_role("button", name="failed: unreadable_image").wait_for()
    page.get_by_role("button", name="two.png").click()
    page.locator("canvas[data-ready=yes]").wait_for()
    assert page.url.endswith("image=1")


def test_jobs_are_listed_by_status_and_a_link_without_a_page_leads_to_its_job(
    page: Page, address: str, job: Any
) -> None:
    page.goto(f"{address}/jobs")
    listed = page.get_by_role("link", name=re.compile(job["id"]))
    listed.wait_for()
    choose(page, "Status", "failed")
    listed.wait_for(state="detached")  # other tests' jobs may have failed
    choose(page, "Status", "partial")
    listed.wait_for()
    page.goto(f"{address}/?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    assert page.url.startswith(f"{address}/jobs?")


def test_the_address_says_what_is_shown_on_the_way_from_the_list_and_back(page: Page, address: str, job: Any) -> None:
    """Streamlit leaves it as it was where a page links to itself; what is clicked next would go to the wrong place."""
    listed, its_job = f"{address}/jobs", f"{address}/jobs?job={job['id']}"
    page.goto(listed)
    page.get_by_role("link", name=re.compile(job["id"])).click()
    page.wait_for_url(its_job)
    page.get_by_role("button", name="two.png").click()
    page.wait_for_url(f"{its_job}&image=1")
    page.locator("canvas[data-ready=yes]").wait_for()
    page.go_back()
    page.get_by_role("button", name="two.png").wait_for()
    page.go_back()
    page.get_by_label("Status").wait_for()
    assert page.url == listed
    page.go_forward()
    page.get_by_role("button", name="two.png").wait_for()
    page.get_by_role("link", name="All jobs").click()
    page.wait_for_url(listed)


def test_a_sample_shows_its_ground_truth(page: Page, address: str, stack: Stack) -> None:
    page.goto(f"{address}/samples?sample={SCENE}")
    page.locator("canvas[data-ready=yes]").wait_for()
    truth, names = _ids(stack, f"/samples/{SCENE}/mask", label_space="cityscapes-19"), _classes(stack, "cityscapes-19")
    for share in (0.1, 0.5, 0.9):
        x, y, name = pointed_at(page, share, 0.95)
        assert name == names[int(truth[y, x])]["name"].partition(" ")[0]


def test_models_show_their_scores_and_their_cards(page: Page, address: str, stack: Stack) -> None:
    with stack.http() as http:
        models = http.get("/models").json()["items"]
    page.goto(f"{address}/models")
    page.get_by_role("table", name="All models").wait_for()
    for each in models:
        assert page.get_by_role("cell", name=each["name"], exact=True).count() == 1
    page.get_by_text(f"{models[0]['name']} {models[0]['version']}").click()
    page.get_by_text(models[0]["licence"]).first.wait_for()


def test_training_shows_curves_and_their_numbers(page: Page, address: str) -> None:
    page.goto(f"{address}/training")
    page.get_by_role("img", name=re.compile("miou over epochs.*rises from 0.25 to 0.5")).wait_for()
    choose(page, "Metric", "train_loss")
    page.get_by_role("img", name=re.compile("train_loss over epochs")).wait_for()


def test_health_names_workers_and_parts(page: Page, address: str) -> None:
    page.goto(f"{address}/health")
    page.get_by_text("All parts answer.").wait_for()
    page.get_by_role("cell", name="Part answers").first.wait_for()  # the sentence may be there before the table
    page.get_by_role("cell", name=re.compile("^worker@")).first.wait_for()
    assert page.get_by_role("cell", name=re.compile("^worker@")).count() == 1


def test_nobody_else_is_asked_for_anything(page: Page, address: str, job: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/jobs?job={job['id']}&image=0")
    page.locator("canvas[data-ready=yes]").wait_for()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
