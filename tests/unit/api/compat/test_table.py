"""What clients of before rely on, call by call: paths, fields, status codes, colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.main import create_app
from api.routes.compat.rendering import compared_colours
from jobs.errors import ModelFailed
from segmentation.label_map import LabelMap
from segmentation.label_spaces import LABEL_SPACES
from segmentation.label_spaces.cityscapes_8 import CITYSCAPES_8
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from segmentation.picture_files.pictures import decode_mask
from tests.factories import encoded, picture, zip_of
from tests.unit.api.house import LOCAL, House

SKY, CONSTRUCTION = (250, 170, 30), (102, 102, 156)  # as the comparison draws them


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def colours(data_url: str) -> np.ndarray:
    head, _, data = data_url.partition(",")
    assert head == "data:image/png;base64"
    return pixels(base64.b64decode(data))


# ---- POST /predict with `image`: the comparison of two models


def test_a_picture_in_image_comes_back_as_two_models_masks(old: TestClient, works: House) -> None:
    answer = old.post("/predict", files={"image": ("a.jpg", picture(), "image/jpeg")})
    assert answer.status_code == 200
    assert set(answer.json()) == {"deeplab_png", "mask2former_png"}
    first, second = (colours(answer.json()[name]) for name in ("deeplab_png", "mask2former_png"))
    assert first.shape == second.shape == (24, 32, 3)
    assert (tuple(first[0, 0]), tuple(first[0, -1])) == (SKY, CONSTRUCTION)
    assert (tuple(second[0, 0]), tuple(second[0, -1])) == (CONSTRUCTION, SKY)


def test_one_job_is_enough_when_both_names_mean_the_same_model(old: TestClient, works: House) -> None:
    works.settings.compat_models["mask2former"] = "tiny"
    answer = old.post("/predict", files={"image": ("a.jpg", picture())})
    assert answer.json()["deeplab_png"] == answer.json()["mask2former_png"]
    assert len(old.get("/jobs").json()["items"]) == 1


def test_a_picture_in_file_is_the_main_interfaces(old: TestClient, works: House) -> None:
    answer = old.post("/predict", files={"file": ("a.jpg", picture())})
    assert answer.json()["metrics"]["class_fractions"] == {"sky": 0.5, "building": 0.5}


def test_without_the_setting_image_is_no_field(client: TestClient) -> None:
    answer = client.post("/predict", files={"image": ("a.jpg", picture())})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")


@pytest.mark.parametrize("name", ["deeplab", "mask2former"])
def test_a_comparison_without_its_model_is_a_404(old: TestClient, works: House, name: str) -> None:
    works.settings.compat_models[name] = "gone"
    answer = old.post("/predict", files={"image": ("a.jpg", picture())})
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("space", LABEL_SPACES.values(), ids=list(LABEL_SPACES))
def test_every_class_has_the_colour_of_its_category_or_is_black(space) -> None:
    expected = {
        "flat": (128, 64, 128),
        "human": (244, 35, 232),
        "vehicle": (70, 70, 70),
        "construction": (102, 102, 156),
        "object": (190, 153, 153),
        "nature": (153, 153, 153),
        "sky": (250, 170, 30),
    }
    for each in space.classes:
        wanted = (220, 220, 0) if each.name in ("parking", "rail track") else expected.get(each.group, (0, 0, 0))
        assert tuple(compared_colours(space)[each.id]) == wanted, each


def test_parking_and_rail_have_a_colour_of_their_own_and_ids_of_no_class_are_black() -> None:
    table = compared_colours(CITYSCAPES_34)
    assert [tuple(table[each]) for each in (7, 8, 9, 10)] == [(128, 64, 128)] * 2 + [(220, 220, 0)] * 2
    assert tuple(table[255]) == (0, 0, 0)


# ---- POST /predict/: the mask as numbers


def test_a_mask_comes_as_numbers_with_the_names_of_its_classes(old: TestClient, works: House) -> None:
    answer = old.post("/predict/", files={"file": ("a.jpg", picture())})
    assert answer.status_code == 200
    assert set(answer.json()) == {"classes", "mask"}
    assert answer.json()["classes"] == ["sky", "building"]
    assert answer.json()["mask"] == [[0] * 16 + [1] * 16] * 24


@pytest.mark.parametrize(("width", "height", "small"), [(640, 320, (128, 256)), (100, 1000, (256, 26))])
def test_a_mask_of_numbers_has_at_most_256_on_its_long_side(
    old: TestClient, works: House, width, height, small
) -> None:
    mask = old.post("/predict/", files={"file": ("a.jpg", picture(width, height))}).json()["mask"]
    assert (len(mask), len(mask[0])) == small


@pytest.mark.parametrize("said", ["true", "True", "1", "on"])
def test_visualize_adds_a_message_and_a_link_to_the_picture(old: TestClient, works: House, said: str) -> None:
    answer = old.post("/predict/", files={"file": ("a.jpg", picture())}, data={"visualize": said}).json()
    assert set(answer) == {"classes", "mask", "message", "image_url"}
    shown = old.get(answer["image_url"])
    assert shown.headers["content-type"] == "image/jpeg"
    assert pixels(shown.content).shape == (24, 32, 3)


def test_visualize_may_be_said_to_be_false(old: TestClient, works: House) -> None:
    answer = old.post("/predict/", files={"file": ("a.jpg", picture())}, data={"visualize": "false"})
    assert set(answer.json()) == {"classes", "mask"}


def test_visualize_is_a_truth_value(old: TestClient, works: House) -> None:
    answer = old.post("/predict/", files={"file": ("a.jpg", picture())}, data={"visualize": "perhaps"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "visualize")


# ---- GET /health and GET /


def test_health_says_ok(old: TestClient) -> None:
    assert old.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html", None])
def test_programs_are_greeted(old: TestClient, accept: str | None) -> None:
    answer = old.get("/", headers={} if accept is None else {"Accept": accept}, follow_redirects=False)
    assert answer.status_code == 200
    assert isinstance(answer.json()["message"], str)


def test_browsers_are_sent_to_the_pages(old: TestClient) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = old.get("/", headers={"Accept": accept})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


def test_the_front_door_stands_open_without_the_setting(client: TestClient) -> None:
    assert "message" in client.get("/").json()


# ---- the gallery


def test_the_gallery_lists_ids_and_shows_pictures(old: TestClient) -> None:
    assert old.get("/list_images/").json() == {"ids": ["crossing", "market"]}
    shown = old.get("/list_images/market")
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).format == "PNG"
    assert (pixels(shown.content) == pixels(picture())).all()


def test_the_truth_is_laid_half_and_half_over_its_picture(old: TestClient, house: House) -> None:
    shown = old.get("/get_mask/market")
    assert shown.headers["content-type"] == "image/png"
    half = (pixels(picture()).astype(float) + np.array((128, 64, 128))) / 2  # the truth is road everywhere
    assert np.abs(pixels(shown.content) - half).max() <= 1
    truth = decode_mask(house.services().adapters.samples.mask("market"), max_pixels=10**6)
    assert set(np.unique(LabelMap(truth, CITYSCAPES_34).remapped(CITYSCAPES_8).ids)) == {1}


def test_the_legend_is_that_of_the_eight_categories(old: TestClient) -> None:
    assert old.get("/legend_data/").json() == {
        "legend": [
            {"name": "void", "color": [0, 0, 0]},
            {"name": "flat", "color": [128, 64, 128]},
            {"name": "construction", "color": [70, 70, 70]},
            {"name": "object", "color": [255, 165, 0]},
            {"name": "nature", "color": [107, 142, 35]},
            {"name": "sky", "color": [70, 130, 180]},
            {"name": "human", "color": [220, 20, 60]},
            {"name": "vehicle", "color": [0, 0, 142]},
        ]
    }


def test_models_go_by_their_old_names_and_by_ours(old: TestClient) -> None:
    assert old.get("/available_models/").json() == {"models": ["deeplab", "mask2former", "dilatednet", "tiny", "other"]}


def is_blended(shown: bytes, left: tuple[int, int, int], right: tuple[int, int, int]) -> bool:
    colour = np.zeros((24, 32, 3))
    colour[:, :16], colour[:, 16:] = left, right
    return bool(np.abs(pixels(shown) - (pixels(picture()) + colour) / 2).max() <= 1)


def test_a_file_comes_back_as_an_overlay_of_its_own_size(old: TestClient, works: House) -> None:
    for name, left, right in (("dilatednet", (70, 130, 180), (70, 70, 70)), ("other", (70, 70, 70), (70, 130, 180))):
        answer = old.post("/predict_from_file/", files={"file": ("a.jpg", picture())}, data={"model_name": name})
        assert answer.headers["content-type"] == "image/png"
        assert is_blended(answer.content, left, right)


def test_a_sample_comes_back_as_an_overlay(old: TestClient, works: House) -> None:
    answer = old.post("/predict_from_id/", json={"image_id": "market", "model_name": "mask2former"})
    assert answer.headers["content-type"] == "image/png"
    assert is_blended(answer.content, (70, 70, 70), (70, 130, 180))


def test_a_model_of_ours_is_never_hidden_by_an_old_name(old: TestClient, works: House) -> None:
    works.settings.compat_models["tiny"] = "other"
    answer = old.post("/predict_from_id/", json={"image_id": "market", "model_name": "tiny"})
    assert is_blended(answer.content, (70, 130, 180), (70, 70, 70))


# ---- what is not there, what cannot be read, what takes too long


@pytest.mark.parametrize("name", ["gone", "retired", "../tiny", "", "\x00"])
def test_an_unknown_model_is_a_404_and_leaves_nothing(old: TestClient, works: House, name: str) -> None:
    before = dict(works.objects.contents)
    by_file = old.post("/predict_from_file/", files={"file": ("a.jpg", picture())}, data={"model_name": name})
    by_id = old.post("/predict_from_id/", json={"image_id": "market", "model_name": name})
    assert [answer.status_code for answer in (by_file, by_id)] == [404, 404]
    assert {answer.json()["code"] for answer in (by_file, by_id)} == {"model_not_found"}
    assert works.objects.contents == before


@pytest.mark.parametrize("name", ["nothing", "..%2fsecret", "market.jpg", "%2e%2e", "market%00"])
def test_an_unknown_id_is_a_404_and_never_a_path(old: TestClient, works: House, name: str) -> None:
    (works.folder / "secret.jpg").write_bytes(picture())
    for path in ("list_images", "get_mask"):
        assert old.get(f"/{path}/{name}").status_code == 404
    sent = {"image_id": name.replace("%2f", "/").replace("%2e", ".").replace("%00", "\x00"), "model_name": "tiny"}
    answer = old.post("/predict_from_id/", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (404, "sample_not_found")


FORMS = [("/predict", "image", {}), ("/predict/", "file", {}), ("/predict_from_file/", "file", {"model_name": "tiny"})]
UNREADABLE = {
    "text": ("a.txt", b"text"),
    "cut": ("a.jpg", picture()[:80], "image/jpeg"),
    "bundle": ("a.zip", zip_of({"a.jpg": picture()})),
    "empty": ("a.jpg", b"", "image/jpeg"),
    "no pixels of ours": ("a.psd", b"8BPS" + bytes(100), "image/vnd.adobe.photoshop"),
}


@pytest.mark.parametrize(("path", "field", "data"), FORMS, ids=["comparison", "edge", "gallery"])
@pytest.mark.parametrize("file", UNREADABLE.values(), ids=list(UNREADABLE))
def test_a_picture_that_cannot_be_read_is_a_400(old: TestClient, works: House, path, field, data, file) -> None:
    answer = old.post(path, files={field: file}, data=data)
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_image"), answer.text


@pytest.mark.parametrize(("path", "field", "data"), FORMS, ids=["comparison", "edge", "gallery"])
def test_a_form_without_a_picture_is_a_400(old: TestClient, path, field, data) -> None:
    answer = old.post(path, files={"other": (None, "x")}, data=data)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_images")


@pytest.mark.parametrize("path", ["/predict/", "/predict_from_file/"])
def test_what_is_no_form_is_a_415(old: TestClient, path: str) -> None:
    assert old.post(path, content=picture(), headers={"Content-Type": "image/jpeg"}).status_code == 415


def test_the_model_must_be_named(old: TestClient) -> None:
    answer = old.post("/predict_from_file/", files={"file": ("a.jpg", picture())})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "model_name")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[" * 5000, 400), (b"[]", 422), (b'{"image_id": 1, "model_name": "tiny"}', 422), (b"{}", 422)],
)
def test_a_choice_that_is_none_is_told_so(old: TestClient, body: bytes, status: int) -> None:
    answer = old.post("/predict_from_id/", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert old.post("/predict_from_id/", content=b" " * 70_000).status_code == 413


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/predict", {"files": {"image": ("a.jpg", picture())}}),
    ("/predict/", {"files": {"file": ("a.jpg", picture())}}),
    ("/predict_from_file/", {"files": {"file": ("a.jpg", picture())}, "data": {"model_name": "tiny"}}),
    ("/predict_from_id/", {"json": {"image_id": "market", "model_name": "tiny"}}),
]


@pytest.mark.parametrize(("path", "sent"), CALLS, ids=["comparison", "edge", "gallery", "gallery by id"])
def test_what_is_not_done_in_time_is_a_504_and_canceled(old: TestClient, house: House, path, sent) -> None:
    house.settings.compat_wait_s = 0.05
    answer = old.post(path, **sent)
    assert (answer.status_code, answer.json()["code"]) == (504, "timed_out")
    assert {job["status"] for job in old.get("/jobs").json()["items"]} == {"canceled"}


@pytest.mark.parametrize(("path", "sent"), CALLS, ids=["comparison", "edge", "gallery", "gallery by id"])
def test_a_model_that_fails_is_an_error_with_its_own_code(old: TestClient, works: House, path, sent) -> None:
    def broken(_picture: object) -> None:
        raise ModelFailed("no numbers")

    works.segmenter.before = broken
    answer = old.post(path, **sent)
    assert (answer.status_code, answer.json()["code"]) == (500, "model_failed")


def test_these_jobs_are_urgent_and_do_not_stay(old: TestClient, works: House) -> None:
    for path, sent in CALLS:
        old.post(path, **sent)
    jobs = old.get("/jobs").json()["items"]
    assert {job["priority"] for job in jobs} == {"interactive"}
    assert all(job["expires_at"] is not None for job in jobs)


@contextmanager
def service(house: House, *, compat: bool | None) -> Iterator[TestClient]:
    with TestClient(create_app(lambda: nullcontext(house.services()), compat=compat), base_url=LOCAL) as client:
        yield client


def test_one_setting_decides_whether_they_are_served(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def served() -> int:
        with service(house, compat=None) as client:
            return client.get("/legend_data/").status_code

    assert served() == 404
    monkeypatch.setenv("MASKMILL_API_COMPAT", "1")
    assert served() == 200


def test_grey_and_transparent_pictures_are_taken(old: TestClient, works: House) -> None:
    grey = encoded(np.full((24, 32), 90, np.uint8), "PNG")
    clear = encoded(np.full((24, 32, 4), 90, np.uint8), "PNG")
    for data in (grey, clear):
        assert old.post("/predict", files={"image": ("a.png", data)}).status_code == 200
