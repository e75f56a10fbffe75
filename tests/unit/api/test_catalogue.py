"""Models, label spaces, samples, limits, health."""

from __future__ import annotations

import io
from itertools import product
from typing import get_args

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.schemas.choices import Sort
from jobs.errors import StorageUnavailable
from jobs.job import Failure
from jobs.watching.workers import FollowedModel
from segmentation.formats import FORMATS
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LABEL_SPACES, LabelSpaces
from segmentation.palette import palette
from segmentation.variant import Variant
from tests.factories import make_card
from tests.fakes import FakeCatalog
from tests.unit.api.house import House

ONE_OF = ("palettes", "overlay_formats", "bit_depths", "priorities")


def test_models_tell_which_is_the_default_and_which_are_loaded(client: TestClient, house: House) -> None:
    before = client.get("/models").json()["items"]
    assert [(model["name"], model["default"], model["loaded"]) for model in before] == [("tiny", True, False)]
    house.beat()
    assert client.get("/models/tiny").json()["loaded"] is True
    house.clock.advance(60)
    assert client.get("/models/tiny").json()["loaded"] is False


def test_a_model_tells_in_what_live_workers_run_it(client: TestClient, house: House) -> None:
    assert client.get("/models/tiny").json()["runs_as"] is None
    house.beat()
    house.beat(name="w2")
    assert client.get("/models/tiny").json()["runs_as"] == "openvino int8"
    house.beat(name="w2", variant="torch bf16")
    assert client.get("/models").json()["items"][0]["runs_as"] == "openvino int8, torch bf16"


def test_of_a_model_that_no_worker_holds_it_is_told_what_was_measured_to_be_fastest(
    client: TestClient, house: House
) -> None:
    house.tuned["tiny"] = "openvino bf16"
    assert client.get("/models/tiny").json()["runs_as"] == "openvino bf16"
    house.beat(variant="onnxruntime fp32")  # as its settings say
    assert client.get("/models/tiny").json()["runs_as"] == "onnxruntime fp32"


def test_a_model_names_its_runtimes_and_input(client: TestClient) -> None:
    model = client.get("/models/tiny").json()
    assert model["backend"] == ["openvino", "onnxruntime"]
    assert model["input_size"] == {"resize": "fit", "long_side": 64, "height": None, "width": None}


@pytest.fixture
def measured(house: House) -> None:
    variant = {"precision": "int8", "engine": "onnxruntime", "file": "model.onnx", "bytes": 9, "miou": 0.5}
    scores = {"miou": 0.6, "iou/sky": 0.9, "dice/sky": 0.95, "iou/pole": 0.1}
    seen = make_card("seen", scores=scores, temperature=1.1, variants=(Variant.from_dict(variant),))
    house.catalog = FakeCatalog([make_card(), seen])


@pytest.mark.usefixtures("measured")
def test_one_model_tells_how_good_it_is_in_all_and_by_class(client: TestClient) -> None:
    assert client.get("/models/tiny").json()["evaluation"] is None
    told = client.get("/models/seen").json()["evaluation"]
    assert (told["scores"], told["temperature"]) == ({"miou": 0.6}, 1.1)
    assert told["classes"] == [{"name": "sky", "iou": 0.9, "dice": 0.95}, {"name": "pole", "iou": 0.1, "dice": None}]
    assert [(each["precision"], each["miou"], each["median_ms"]) for each in told["variants"]] == [("int8", 0.5, None)]


def test_an_unknown_model_is_a_404_here_and_a_field_fault_in_a_job(client: TestClient) -> None:
    missing = client.get("/models/none")
    assert (missing.status_code, missing.json()["code"]) == (404, "model_not_found")
    fault = client.post("/jobs", json={"inputs": [{"sample": "market"}], "model": "none"})
    assert (fault.status_code, fault.json()["errors"][0]["field"]) == (422, "model")


@pytest.mark.parametrize("name", LABEL_SPACES)
def test_every_label_space_can_be_read(client: TestClient, name: str) -> None:
    space = client.get(f"/label-spaces/{name}").json()
    assert {each["id"] for each in space["classes"]} == set(LABEL_SPACES[name].by_id)
    assert all(each["hex"] == "#" + bytes(each["colour"]).hex() for each in space["classes"])
    safe = palette(LABEL_SPACES[name], colour_blind_safe=True)
    assert {each["id"]: each["colour_blind_hex"] for each in space["classes"]} == {
        each: f"#{bytes(safe[each].tolist()).hex()}" for each in LABEL_SPACES[name].by_id
    }


def test_label_spaces_tell_where_other_ids_go(client: TestClient) -> None:
    spaces = {space["name"]: space for space in client.get("/label-spaces").json()["items"]}
    assert (
        spaces["cityscapes-8"]["mappings_from"]["cityscapes-34"]["7"]
        == LABEL_SPACES["cityscapes-34"].mappings["cityscapes-8"][7]
    )
    assert client.get("/label-spaces/none").json()["code"] == "label_space_not_found"


def test_samples_can_be_looked_at(client: TestClient) -> None:
    items = client.get("/samples").json()["items"]
    assert [item["id"] for item in items] == ["crossing", "market"]
    assert Image.open(io.BytesIO(client.get(items[0]["links"]["image"]).content)).size == (32, 24)


def test_a_samples_mask_comes_in_the_label_space_that_is_asked_for(client: TestClient) -> None:
    def ids(**query: str) -> set[int]:
        data = client.get("/samples/crossing/mask", params=query).content
        return set(np.unique(np.asarray(Image.open(io.BytesIO(data)))).tolist())

    assert ids() == {7}
    assert ids(label_space="cityscapes-19") == {0}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/samples/none/image", "sample_not_found"),
        ("/samples/none/mask", "sample_not_found"),
        ("/samples/crossing/mask?label_space=none", "label_space_not_found"),
    ],
)
def test_a_sample_that_is_not_there_is_a_404(client: TestClient, path: str, code: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_a_space_without_a_way_there_is_a_422(client: TestClient) -> None:
    answer = client.get("/samples/crossing/mask?label_space=oxford-pets-3")
    assert (answer.status_code, answer.json()["code"]) == (422, "no_remapping")


def test_limits_are_told(client: TestClient) -> None:
    limits = client.get("/limits").json()
    assert limits["images_per_job"] == 100_000
    assert limits["wait_seconds"] == 60
    films = {name: value for name, value in limits.items() if name.startswith("film_")}
    assert films == {"film_seconds": 4 * 3600, "film_frames": 100_000, "film_bytes": 8 * 2**30}


def test_what_may_be_chosen_is_told_with_its_titles(client: TestClient) -> None:
    told = client.get("/limits").json()["choices"]
    assert told["artifacts"] == list(FORMATS)
    assert told["exports"]["coco-polygons"] == "COCO, polygons"
    assert list(told["sorts"]) == list(get_args(Sort))
    job = {"inputs": [{"sample": "crossing"}], "artifacts": told["artifacts"]}
    for colours, form, depth, priority in product(*(told[name] for name in ONE_OF)):
        options = {"overlay": {"palette": colours, "format": form}, "bit_depth": depth, "priority": priority}
        assert client.post("/jobs", json={**job, **options}).status_code == 202


def test_health_needs_nobody(client: TestClient, house: House) -> None:
    house.dispatcher.away = True
    assert client.get("/health").json()["status"] == "ok"
    assert (client.head("/health").status_code, client.head("/ready").status_code) == (200, 503)


def test_ready_when_every_part_answers_and_a_worker_lives(client: TestClient, house: House) -> None:
    house.beat()
    assert client.get("/ready").json() == {"status": "ready", "workers": ["w1"], "followed": []}


def test_ready_tells_what_workers_follow_and_what_stands_in_the_way(client: TestClient, house: House) -> None:
    broken = Failure("model_failed", "street 4 gave values that are no numbers")
    house.beat(FollowedModel(name="street@champion", version="3", problem=broken))
    (told,) = client.get("/ready").json()["followed"]
    problem = {"code": "model_failed", "message": "street 4 gave values that are no numbers"}
    assert told == {"worker": "w1", "model": "street@champion", "version": "3", "problem": problem}


def test_what_is_missing_is_named(client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StorageUnavailable("the store does not answer")

    monkeypatch.setattr(house.objects, "check", away)
    house.dispatcher.away = True
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert [fault["field"] for fault in answer.json()["errors"]] == ["broker", "store", "worker"]


def test_a_model_tells_which_classes_it_can_give_in_each_label_space(client: TestClient) -> None:
    spaces = client.get("/models/tiny").json()["label_spaces"]
    assert set(spaces) == {"camvid-11", "cityscapes-34", "cityscapes-19", "cityscapes-8"}
    assert spaces["camvid-11"]["impossible"] == spaces["cityscapes-8"]["impossible"] == []
    assert "unlabelled" not in spaces["camvid-11"]["classes"]
    assert len(spaces["cityscapes-19"]["impossible"]) == 8
    assert {"wall", "bus"} <= set(spaces["cityscapes-19"]["impossible"])
    assert not set(spaces["cityscapes-19"]["classes"]) & set(spaces["cityscapes-19"]["impossible"])


@pytest.fixture
def astray(house: House) -> None:
    """A model whose classes lead to an id that there is not."""
    space = LabelSpace("astray", (LabelClass(0, "blob", (200, 0, 0), "thing"),), mappings={"cityscapes-8": {0: 99}})
    house.catalog = FakeCatalog([make_card("tiny"), make_card("lost", label_space="astray")], LabelSpaces((space,)))


@pytest.mark.usefixtures("astray")
def test_a_mapping_to_ids_that_do_not_exist_hides_no_model(client: TestClient) -> None:
    spaces = {each["name"]: set(each["label_spaces"]) for each in client.get("/models").json()["items"]}
    assert spaces["lost"] == {"astray"}
    assert "cityscapes-8" in spaces["tiny"]
