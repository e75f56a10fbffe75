"""Adding a format, an engine or a label space is one file and one registry line: everything else follows from it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from maskmill.client import MEDIA_TYPES
from segmentation.engines import ENGINES
from segmentation.formats import FORMATS
from segmentation.label_spaces import LABEL_SPACES
from segmentation.media_types import accepted_as
from segmentation.variant import Variant
from storage.catalog import Catalog
from tests.factories import make_card, picture
from tests.toys import TOY_ENGINE, TOY_SPACE, ToyFormat
from tests.unit.api.house import House
from worker.engines import EngineRules, open_engine
from worker.settings import WorkerSettings


@pytest.fixture
def toy_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, ToyFormat.name, ToyFormat())


@pytest.fixture
def toy_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "toy", TOY_ENGINE)


@pytest.fixture
def toy_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LABEL_SPACES, TOY_SPACE.name, TOY_SPACE)


@pytest.mark.usefixtures("toy_format")
def test_a_format_is_in_options_rows_media_types_archive_and_predictions(client: TestClient, house: House) -> None:
    files = [("files", ("a/street.jpg", picture()))]
    answer = client.post("/jobs", files=files, data={"artifacts": "mask,classes"})
    assert answer.status_code == 202
    house.work()
    job = answer.json()
    row = client.get(f"{job['links']['images']}/0").json()
    artifact = client.get(row["artifacts"]["classes"])
    assert (artifact.text, artifact.headers["content-type"].partition(";")[0]) == ("sky\nbuilding", "text/x-toy")
    assert artifact.headers["content-disposition"].startswith('inline; filename="street_classes.toy"')
    with zipfile.ZipFile(io.BytesIO(client.get(job["links"]["archive"]).content)) as archive:
        assert archive.read("classes/a/street.toy") == b"sky\nbuilding"
    refused = client.post("/jobs", files=files, data={"artifacts": "none"}).json()
    assert "known are overlay, mask, confidence, polygons, coco, geotiff, classes" in refused["errors"][0]["message"]
    refused = client.post("/predict", files={"file": ("a.jpg", picture())}, headers={"Accept": "text/none"})
    assert "text/x-toy" in refused.json()["detail"]
    schema = client.get("/openapi.json").json()["components"]["schemas"]["JobForm"]
    assert schema["properties"]["artifacts"]["items"]["enum"] == [*FORMATS]


@pytest.mark.usefixtures("toy_engine")
def test_an_engine_is_in_cards_models_settings_and_workers(client: TestClient, house: House, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"toy").hexdigest()
    card = make_card(files={"toy": "model.toy"}, sha256={"model.toy": digest})
    house.catalog.cards = [card]
    assert client.get("/models/tiny").json()["backend"] == ["toy"]
    assert WorkerSettings(engine="toy", precision="fp8").engine == "toy"
    Variant(precision="fp8", engine="toy", file="model.toy", bytes=3)  # or the precision would be refused
    (tmp_path / "model.toy").write_bytes(b"toy")
    bundle = Catalog([tmp_path / "models"]).publish(card, {"model.toy": tmp_path / "model.toy"})
    engine = open_engine(bundle, EngineRules(), engine="toy", precision="fp8")
    assert engine.device == "toy cpu fp8"
    assert engine.run(np.zeros((1, 3, 8, 8), np.float32)).shape == (1, 11, 2, 2)


def test_an_engine_that_is_not_registered_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="must be one of auto, openvino, onnxruntime, torch, got 'toy'"):
        WorkerSettings(engine="toy")


@pytest.mark.usefixtures("toy_space")
def test_a_label_space_is_in_its_list_and_in_the_options(client: TestClient, house: House) -> None:
    assert client.get("/label-spaces").json()["items"][-1]["name"] == "toy-2"
    house.catalog.cards = [make_card(label_space="toy-2")]
    house.segmenter.label_space = "toy-2"
    job = client.post("/jobs", files=[("files", ("a.jpg", picture()))], data={"label_space": "toy-2"}).json()
    house.work()
    assert client.get(job["links"]["self"]).json()["metrics"]["class_fractions"] == {"rest": 0.5, "toy": 0.5}
    refused = client.post("/jobs", files=[("files", ("a.jpg", picture()))], data={"label_space": "none"}).json()
    assert "toy-2" in refused["errors"][0]["message"]


def test_the_client_asks_for_predictions_as_the_service_offers_them() -> None:
    assert {media_type: name for name, media_type in MEDIA_TYPES.items()} == accepted_as()
