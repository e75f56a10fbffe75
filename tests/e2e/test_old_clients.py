"""Programs that were written for other services, doing what they do, against the real stack with its bundled models."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from mlflow.tracking import MlflowClient
from PIL import Image

from data.sample_library import MASK_ENDING, SAMPLES_FOLDER
from storage.registry.mlflow_registry import set_manners
from tests.services.valkey import MortalValkey
from tests.stack import ROOT, Stack, running_stack

TIMEOUT_S = 20  # at which those clients hang up
SAMPLE = "day-avenue-01"
PICTURE = (SAMPLES_FOLDER / f"{SAMPLE}.jpg").read_bytes()
SIZE = Image.open(io.BytesIO(PICTURE)).size


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, broker: MortalValkey) -> Iterator[Stack]:
    parts = {
        "MASKMILL_BROKER_URL": broker.server.url,
        "MASKMILL_API_COMPAT": "1",
        "MASKMILL_STORAGE_MODEL_FOLDERS": json.dumps([str(ROOT / "data" / "models")]),
    }
    with running_stack(tmp_path_factory.mktemp("old"), parts) as stack:
        yield stack


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def shares(image: Image.Image) -> dict[tuple[int, ...], float]:
    colours, counts = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(map(int, colour)): count / counts.sum() for colour, count in zip(colours, counts, strict=True)}


def test_the_page_that_compares_two_models_shows_curves_and_both_masks(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the page starts: the curves of two runs, of which one was tracked here and the other is of long ago.
    set_manners()
    trained = MlflowClient(tracking_uri=f"sqlite:///{stack.storage.home / 'mlflow.db'}")
    run_id = trained.create_run(trained.create_experiment("old")).info.run_id
    for step in range(3):
        trained.log_metric(run_id, "miou", 0.2 * step, step=step)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.url)
    curves = MlflowClient()
    assert [(each.step, each.value) for each in curves.get_metric_history(run_id, "miou")] == [
        (0, 0.0),
        (1, 0.2),
        (2, 0.4),
    ]
    assert curves.get_metric_history("9d1d6201075647d088840506a93f7a3f", "miou") == []

    # A person chooses a file, whose name and type the page hands on.
    answer = requests.post(
        f"{stack.url}/predict", files={"image": ("street.jpg", PICTURE, "image/jpeg")}, timeout=TIMEOUT_S
    )

    assert answer.status_code == 200
    for name in ("deeplab_png", "mask2former_png"):
        _, encoded = answer.json()[name].split(",", 1)
        mask = opened(base64.b64decode(encoded))
        assert mask.size == SIZE
        assert shares(mask).get((128, 64, 128), 0) > 0.1, name  # a street, seen from it


def test_the_device_at_the_edge_gets_names_numbers_and_a_picture(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/health", timeout=TIMEOUT_S).json()["status"] == "ok"
    plain = requests.post(f"{stack.url}/predict/", files={"file": ("street.jpg", PICTURE)}, timeout=TIMEOUT_S).json()
    shown = requests.post(
        f"{stack.url}/predict/",
        files={"file": ("street.jpg", PICTURE)},
        data={"visualize": "true"},
        timeout=TIMEOUT_S,
    ).json()

    mask = np.array(plain["mask"])
    assert mask.shape == (128, 256)
    assert "road" in plain["classes"]
    assert len(plain["classes"]) == len(np.unique(mask))
    assert shown["mask"] == plain["mask"]
    assert shown["message"]
    assert opened(requests.get(shown["image_url"], timeout=TIMEOUT_S).content).size == SIZE


def test_the_gallery_is_browsed_and_predicts(stack: Stack) -> None:
    assert "message" in requests.get(f"{stack.url}/", timeout=TIMEOUT_S).json()
    ids = requests.get(f"{stack.url}/list_images/", timeout=TIMEOUT_S).json()["ids"]
    legend = requests.get(f"{stack.url}/legend_data/", timeout=TIMEOUT_S).json()["legend"]
    models = requests.get(f"{stack.url}/available_models/", timeout=TIMEOUT_S).json()["models"]
    assert ids == sorted(path.name.removesuffix(MASK_ENDING) for path in SAMPLES_FOLDER.glob("*.png"))
    assert [each["name"] for each in legend][1] == "flat"
    assert {"dilatednet", "mask2former"} <= set(models)

    picture = opened(requests.get(f"{stack.url}/list_images/{SAMPLE}", timeout=TIMEOUT_S).content)
    truth = opened(requests.get(f"{stack.url}/get_mask/{SAMPLE}", timeout=TIMEOUT_S).content)
    assert picture.size == truth.size == SIZE
    for name in models:
        by_id = requests.post(
            f"{stack.url}/predict_from_id/", json={"image_id": SAMPLE, "model_name": name}, timeout=TIMEOUT_S
        )
        by_file = requests.post(
            f"{stack.url}/predict_from_file/",
            files={"file": ("street.jpg", PICTURE, "image/jpeg")},
            data={"model_name": name},
            timeout=TIMEOUT_S,
        )
        assert by_id.headers["content-type"] == by_file.headers["content-type"] == "image/png"
        assert (np.asarray(opened(by_id.content)) == np.asarray(opened(by_file.content))).all(), name
        assert opened(by_id.content).size == SIZE


def test_what_is_not_there_is_told_without_its_insides(stack: Stack) -> None:
    def post(**sent: str) -> int:
        return requests.post(f"{stack.url}/predict_from_id/", json=sent, timeout=TIMEOUT_S).status_code

    assert requests.get(f"{stack.url}/get_mask/nothing", timeout=TIMEOUT_S).status_code == 404
    assert post(image_id="../../pyproject", model_name="dilatednet") == 404
    assert post(image_id=SAMPLE, model_name="nothing") == 404
    broken = requests.post(f"{stack.url}/predict", files={"image": ("a.jpg", PICTURE[:500])}, timeout=TIMEOUT_S)
    assert broken.status_code == 400
    assert not {"Traceback", str(Path.cwd())} & set(broken.text.split())
